"""The kept state of a log: only the rest of the log is folded, and nothing doubtful is believed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
import trio

from mephisto_es.adapters.composition.ledger import open_ledger
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.state_file import read_state, state_path, write_state
from mephisto_es.adapters.log.state_keeper import KeepLimits, StateKeeper
from mephisto_es.core.errors import LogError
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.ports import AppendRequest, NewEvent, Outcome
from mephisto_es.core.state.state_snapshot import StateSnapshot
from mephisto_es.events.engagement import CallbackAnswered, WorkerArrived
from mephisto_es.events.ids import UnitId, WorkerId
from mephisto_es.projections.registry import PROJECTIONS

from ...commands import TEST_DECISIONS, append
from ...histories import history
from ...sample_log import submitted_history
from .support import unit_event, unit_request, unit_stream

T = TypeVar("T")

HISTORY = history(Random(7), 60)


class StoppedClock:
    """A clock that stands."""

    def now_us(self) -> int:
        return 1_700_000_000_000_000


async def on_the_loop(call: Callable[[], T], /) -> T:
    await trio.lowlevel.checkpoint()
    return call()


async def beside(write: Callable[[], None]) -> None:
    await trio.lowlevel.checkpoint()
    write()


def everything_in(ledger: Ledger) -> dict[str, object]:
    return {name: value for name, value in vars(ledger.state).items() if name != "_folds"}


def ledger_of(log: SqliteLog | MemoryLog) -> Ledger:
    return Ledger(log, StoppedClock(), on_the_loop, TEST_DECISIONS)


def keep(log: SqliteLog) -> None:
    write_state(log.path, log.head(), StateSnapshot(ledger_of(log).state))


def commit(log: SqliteLog, requests: tuple[AppendRequest, ...]) -> None:
    for request in requests:
        log.commit([request])


@pytest.mark.parametrize("cut", [0, 1, len(HISTORY) // 2, len(HISTORY)])
def test_only_the_events_since_then_are_folded(tmp_path: Path, cut: int) -> None:
    with SqliteLog.create_or_open(tmp_path / "log.db") as log:
        commit(log, HISTORY[:cut])
        keep(log)
        commit(log, HISTORY[cut:])
        kept = read_state(log.path, log)
        if cut == 0:
            assert kept is None, "an empty log has no event to recognize it by"
            return
        assert kept is not None
        assert kept.seq == sum(len(request.events) for request in HISTORY[:cut])
        resumed = Ledger(log, StoppedClock(), on_the_loop, kept=kept)
        assert everything_in(resumed) == everything_in(ledger_of(log))
    content = state_path(log.path).read_bytes()
    assert not any(payload.body in content for request in HISTORY for payload in request.payloads if payload.subject)
    assert state_path(log.path).stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.new"))


def test_a_damaged_file_is_never_believed(tmp_path: Path) -> None:
    with SqliteLog.create_or_open(tmp_path / "log.db") as log:
        commit(log, HISTORY)
        keep(log)
        path = state_path(log.path)
        whole = path.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 60)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert read_state(log.path, log) is None
            path.write_bytes(whole[:at])
            assert read_state(log.path, log) is None
        path.write_bytes(whole)
        assert read_state(log.path, log) is not None
        path.unlink()
        path.mkdir()
        assert read_state(log.path, log) is None


def test_what_other_code_wrote_is_not_used(tmp_path: Path) -> None:
    with SqliteLog.create_or_open(tmp_path / "log.db") as log:
        commit(log, HISTORY)
        keep(log)
        path = state_path(log.path)
        body = path.read_bytes()[:-32].replace(b"cpython-", b"cpythom-", 1)
        path.write_bytes(body + hashlib.sha256(body).digest())
        assert read_state(log.path, log) is None


def test_what_belongs_to_another_log_is_not_used(tmp_path: Path) -> None:
    with SqliteLog.create_or_open(tmp_path / "log.db") as log, SqliteLog.create_or_open(tmp_path / "other.db") as other:
        commit(log, HISTORY)
        commit(other, HISTORY[: len(HISTORY) // 2])
        keep(log)
        state_path(log.path).rename(state_path(other.path))
        assert read_state(other.path, other) is None, "its end was lost"
        commit(other, HISTORY[len(HISTORY) // 2 :])
        assert read_state(other.path, other) is None, "its key is another"


class FailingLog(MemoryLog):
    """A log whose commits can be made to fail."""

    is_full = False

    def commit(self, batch: list[AppendRequest]) -> list[Outcome]:  # type: ignore[override]  # a list is a sequence
        if self.is_full:
            raise LogError("the disk is full")
        return super().commit(batch)


@asynccontextmanager
async def keeping(path: Path, limits: KeepLimits) -> AsyncIterator[tuple[FailingLog, Ledger]]:
    log = FailingLog()
    ledger = ledger_of(log)
    keeper = StateKeeper(path, ledger, log, 0, beside, limits)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.run)
            nursery.start_soon(keeper.run)
            yield log, ledger
            nursery.cancel_scope.cancel()
    finally:
        keeper.keep_at_close()


async def write(ledger: Ledger, units: range) -> None:
    for number in units:
        await ledger.execute(append(f"command-{number}", NewEvent(unit_stream(number), unit_event(number, 0))))


async def test_the_state_is_kept_after_many_events_and_when_the_log_is_idle(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "log.db"
    async with keeping(path, KeepLimits(always=100, idle=10, idle_seconds=5, at_close=3)) as (_, ledger):
        await write(ledger, range(9))
        await trio.sleep(20)
        assert not state_path(path).exists(), "too little has happened"
        await write(ledger, range(9, 50))
        await trio.sleep(4)
        assert not state_path(path).exists(), "the log may be busy"
        await trio.sleep(8)
        state_path(path).unlink()
        for number in range(50, 150, 2):
            await write(ledger, range(number, number + 2))
            await trio.sleep(2)
        await trio.sleep(1)
        state_path(path).unlink()
        await write(ledger, range(150, 152))
    assert not state_path(path).exists(), "two events are folded sooner than the file is written"


async def test_the_state_is_kept_when_the_log_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with keeping(path, KeepLimits(at_close=3)) as (_, ledger):
        await write(ledger, range(3))
    assert state_path(path).exists()


async def test_a_state_that_is_ahead_of_the_log_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with pytest.RaisesGroup(LogError, LogError):
        async with keeping(path, KeepLimits(at_close=3)) as (log, ledger):
            await write(ledger, range(5))
            log.is_full = True
            await write(ledger, range(5, 6))
    assert not state_path(path).exists()


async def test_a_state_that_is_behind_a_shared_log_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with keeping(path, KeepLimits(at_close=3)) as (log, ledger):
        await write(ledger, range(5))
        log.commit([unit_request(9, 0)])
    assert not state_path(path).exists()


def test_a_state_of_another_position_is_not_used(tmp_path: Path) -> None:
    with SqliteLog.create_or_open(tmp_path / "log.db") as log:
        commit(log, HISTORY[:-1])
        state = ledger_of(log).state
        commit(log, HISTORY[-1:])
        write_state(log.path, log.head(), StateSnapshot(state))
        assert read_state(log.path, log) is None


@pytest.mark.parametrize("problem", ["the disk", "a number of 65 bits"])
async def test_a_state_that_cannot_be_kept_is_only_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], problem: str
) -> None:
    path = tmp_path / "log.db"
    if problem == "the disk":
        (tmp_path / "log.db.state.new").mkdir()
    async with keeping(path, KeepLimits(at_close=1)) as (_, ledger):
        stream = "engagement/1/2"
        answered = CallbackAnswered(callback="can_do", unit=UnitId(1), answer=2**64)
        await ledger.execute(append("arrive", NewEvent(stream, WorkerArrived(worker=WorkerId(2)))))
        if problem != "the disk":
            await ledger.execute(append("answer", NewEvent(stream, answered)))
    assert not state_path(path).exists()
    assert "the next start takes longer" in capsys.readouterr().err


async def test_whoever_opens_a_log_for_writing_keeps_its_state(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(submitted_history(units=250, workers=10))
        head = log.head()
    async with open_ledger(path) as (ledger, *_):
        before = everything_in(ledger)
    written = state_path(path).stat().st_mtime_ns
    async with open_ledger(path) as (ledger, *_):
        assert everything_in(ledger) == before
    assert state_path(path).stat().st_mtime_ns == written, "nothing has happened since"
    with SqliteLog.create_or_open(path) as log:
        kept = read_state(path, log)
    assert kept is not None
    assert kept.seq == head.seq
