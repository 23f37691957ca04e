"""Operators of one log on a server tell each other what they have given back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio

from mephisto_es.adapters.log.postgres.mirrored import MirroredLog
from mephisto_es.adapters.log.postgres.sharing import OperatorSharing
from mephisto_es.core.ports import RunHolder

from ...postgres import Cluster
from .support import RUN

#: Longer than any test, as is the time after which one looks again without a notification.
LEASE_SECONDS = 3600.0


@pytest.fixture
def address(cluster: Cluster) -> str:
    return cluster.new_database()


@contextmanager
def two_logs(address: str, folder: Path) -> Iterator[tuple[MirroredLog, MirroredLog]]:
    with ExitStack() as logs:
        one, other = (
            logs.enter_context(MirroredLog.open(address, folder / f"{name}.db", ())) for name in ("ada", "bob")
        )
        yield one, other


@asynccontextmanager
async def two_operators(address: str, folder: Path) -> AsyncIterator[tuple[OperatorSharing, OperatorSharing]]:
    """Two operators that listen to each other."""
    with two_logs(address, folder) as logs, trio.fail_after(120):
        ada, bob = (
            OperatorSharing(log, address, name, LEASE_SECONDS) for log, name in zip(logs, ("ada", "bob"), strict=True)
        )
        async with trio.open_nursery() as nursery:
            for one in (ada, bob):
                listens = trio.Event()
                nursery.start_soon(one.run, listens.set)
                await listens.wait()
            yield ada, bob
            nursery.cancel_scope.cancel()
        for one in (ada, bob):
            await one.leave()


async def test_whoever_waits_for_a_run_is_woken_when_it_is_given_back(address: str, tmp_path: Path) -> None:
    async with two_operators(address, tmp_path) as (ada, bob):
        for give in (ada.give(RUN), ada.leave()):
            assert await ada.take(RUN) is None
            given = bob.given.next_event()
            holder = await bob.take(RUN)
            assert isinstance(holder, RunHolder)
            assert not given.is_set()
            await give
            await given.wait()
            assert await bob.take(RUN) is None
            await bob.give(RUN)


async def test_what_must_not_happen_twice_at_once_waits_for_the_other_operator(address: str, tmp_path: Path) -> None:
    async with two_operators(address, tmp_path) as (ada, bob), trio.open_nursery() as nursery:
        done, within = list[str](), trio.Event()

        async def pay() -> None:
            async with bob.payment_lock:
                done.append("bob")
            within.set()

        async with ada.payment_lock:
            nursery.start_soon(pay)
            assert isinstance(await bob.take_partition("payments"), RunHolder)
            done.append("ada")
        await within.wait()
        assert done == ["ada", "bob"]
