"""A web view keeps the log open between verdicts, and gives it up for an operator."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio

from mephisto_es.adapters.control.client import ask_to_yield, is_reachable, open_control
from mephisto_es.adapters.control.holder import LogHolder
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.operations.control.requests import RegisterRequest
from mephisto_es.projections.registry import PROJECTIONS


def empty_log(folder: Path) -> Path:
    """Make an empty log."""
    database = folder / "mephisto.db"
    SqliteLog.create_or_open(database, PROJECTIONS).close()
    return database


async def register(database: Path, name: str) -> None:
    async with open_control(database, "user/ann") as control:
        await control.execute(RegisterRequest(requester=name, provider_type="mock"))


async def test_the_log_stays_open_until_an_operator_wants_it(tmp_path: Path) -> None:
    database = empty_log(tmp_path)
    holder = LogHolder(database)
    assert not await is_reachable(database)
    for name in ("one", "two"):
        await trio.to_thread.run_sync(holder.ensure_writer)
        assert await is_reachable(database)
        await register(database, name)
    await ask_to_yield(database)
    with trio.fail_after(120):
        while await is_reachable(database):  # noqa: ASYNC110 - it closes in another thread
            await trio.sleep(0.01)
    await trio.to_thread.run_sync(holder.close)
    SqliteLog.create_or_open(database, PROJECTIONS).close()


async def test_an_idle_log_is_closed(tmp_path: Path) -> None:
    database = empty_log(tmp_path)
    holder = LogHolder(database, idle_seconds=0.2)
    await trio.to_thread.run_sync(holder.ensure_writer)
    await register(database, "one")
    with trio.fail_after(120):
        while await is_reachable(database):  # noqa: ASYNC110 - it closes in another thread
            await trio.sleep(0.01)
    await trio.to_thread.run_sync(holder.close)
    SqliteLog.create_or_open(database, PROJECTIONS).close()


async def test_two_views_share_one_writer(tmp_path: Path) -> None:
    database = empty_log(tmp_path)
    holders = [LogHolder(database) for _ in range(2)]
    for holder in holders:
        await trio.to_thread.run_sync(holder.ensure_writer)
    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(partial(register, database, f"requester {number}"))
    for holder in holders:
        await trio.to_thread.run_sync(holder.close)
    assert not await is_reachable(database)


async def test_a_log_that_cannot_be_opened_is_named_by_who_asks(tmp_path: Path) -> None:
    holder = LogHolder(tmp_path / "nothing.db")
    await trio.to_thread.run_sync(holder.ensure_writer)
    assert not await is_reachable(tmp_path / "nothing.db")
