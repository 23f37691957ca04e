"""Connects a process to the others that write to its log, if there may be others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import trio

from ...core.ledger import Ledger
from ...core.operations.launching.owners import SoleOperator
from ...core.ports import Ids, RunOwnership
from ..log.sqlite.log import SqliteLog
from .clock_and_ids import BlockIds, SystemIds
from .log_choice import open_sharing
from .requests import unwrapped_nursery

#: Seconds in which the others are told that this process leaves; after that they wait for the end of its lease.
LEAVE_SECONDS = 3.0


class Membership(NamedTuple):
    """The parts that depend on whether others write to the log."""

    ids: Ids
    ownership: RunOwnership


@asynccontextmanager
async def joined(log: SqliteLog, ledger: Ledger) -> AsyncIterator[Membership]:
    """Join the writers of a log for a block. What this process has not written by its end it writes no more.

    Raises:
        WriterFencedError: another operator has taken over the runs of this one.
        LogError: the server of the log cannot be reached.
    """
    highest = ledger.state.highest_ids()
    if not log.is_shared:
        yield Membership(SystemIds(highest, log.epoch), SoleOperator())
        return
    sharing = open_sharing(log)
    ids = BlockIds(highest, log.epoch, sharing.reserve)
    ledger.payment_lock = sharing.payment_lock
    async with unwrapped_nursery() as nursery:
        nursery.start_soon(sharing.run, ledger.read_news)
        nursery.start_soon(ids.keep_reserves, trio.to_thread.run_sync)
        try:
            yield Membership(ids, sharing)
        finally:
            with trio.move_on_after(LEAVE_SECONDS) as leaving:
                leaving.shield = True
                await sharing.leave()
        nursery.cancel_scope.cancel()
