"""Becoming the writer of a log for a moment, without an operator: for commands that people give."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import trio

from ...core.errors import UnusableLogError
from ...core.ledger import Ledger
from ...core.lifecycles.task_run import ENDED_RUN_STATUSES
from ...core.ports import Ids, Offload, RunOwnership, WallClock
from ...projections.mephisto_db.projection import MephistoDbProjection
from ...projections.registry import PROJECTIONS
from ..log.commit_thread import commit_in_thread, run_writer
from ..log.opening import pass_gate
from ..log.sqlite.log import SqliteLog
from ..log.sqlite.view_keeper import ViewKeeper
from ..log.state_file import read_state
from ..log.state_keeper import StateKeeper
from ..private_files import make_private_folder
from ..sealing.extra import seal_ended_runs
from .clock_and_ids import SystemClock
from .log_choice import log_address, open_log
from .sharing import joined


class LedgerHandle(NamedTuple):
    """Parts that a command needs."""

    ledger: Ledger
    ids: Ids
    #: Says which operator drives a run.
    ownership: RunOwnership


def ledger_of(log: SqliteLog, clock: WallClock, offload: Offload) -> tuple[Ledger, StateKeeper]:
    """Return the ledger of a log, which folds what the kept state does not have, and what keeps its state.

    Args:
        log: the log, open for writing.
        clock: the wall clock.
        offload: makes the blocking call of each commit.

    Raises:
        DamagedLogError, UnknownEventError: the log cannot be folded.
    """
    kept = read_state(log.path, log)
    seq = 0 if kept is None else kept.seq
    ledger = Ledger(log, clock, offload, kept=kept)
    views = ViewKeeper(log, MephistoDbProjection(), trio.to_thread.run_sync)
    return ledger, StateKeeper(log.path, ledger, log, seq, trio.to_thread.run_sync, keep_views=views.keep)


async def seal_ended(database: Path, ledger: Ledger) -> None:
    """Seal a log for its ended runs, if it has a key and is a file; nobody writes to it any more."""
    if log_address() is None:
        ended = [run.task_run for run in ledger.state.task_runs.values() if run.status in ENDED_RUN_STATUSES]
        await trio.to_thread.run_sync(seal_ended_runs, database, ended)


def make_log(database: Path) -> bool:
    """Make an empty log, with its folder, where there is none; return whether one was made.

    Raises:
        UnusableLogError: it cannot be made.
    """
    if database.exists():
        return False
    try:
        make_private_folder(database.parent)
    except OSError as error:
        raise UnusableLogError(f"the data folder {database.parent} cannot be made: {error.strerror}") from error
    open_log(database, PROJECTIONS).close()
    return True


@asynccontextmanager
async def open_ledger(database: Path) -> AsyncIterator[LedgerHandle]:
    """Open a log that exists for writing; other processes wait meanwhile.

    When the block ends, also by an error or cancelled, what was committed is durable and the log is free again.

    Raises:
        UnusableLogError: there is no such log, or another process writes it: the operator, while a run is live.
        DamagedLogError: the log was changed from outside.
    """
    await check_exists(database)
    gate = await pass_gate(database)
    try:
        async with open_within_gate(database) as handle:
            yield handle
    finally:
        gate.release()


async def check_exists(database: Path) -> None:
    """Check that there is a log to open; opening a folder for writing leaves traces.

    Raises:
        UnusableLogError: there is none.
    """
    if not await trio.Path(database).is_file():
        raise UnusableLogError(f"there is no log at {database}; check the path")


@asynccontextmanager
async def open_within_gate(database: Path) -> AsyncIterator[LedgerHandle]:
    """Open a log for writing, as `open_ledger`; the caller holds the gate of the log.

    Raises:
        UnusableLogError: another process writes it.
        DamagedLogError: the log was changed from outside.
    """
    log = open_log(database, PROJECTIONS)
    try:
        ledger, keeper = ledger_of(log, SystemClock(), commit_in_thread)
        try:
            async with joined(log, ledger) as membership, trio.open_nursery() as nursery:
                await nursery.start(run_writer, ledger)
                nursery.start_soon(keeper.run)
                yield LedgerHandle(ledger, *membership)
                nursery.cancel_scope.cancel()
        finally:
            keeper.keep_at_close()
    finally:
        log.close()
