"""Connects what executes people's requests: on the ledger of an operator, or of a process that has the log open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from ...core.errors import ConfigError, LogError, leaves
from ...core.ledger import Ledger
from ...core.operations.control.executor import RequestExecutor
from ...core.operations.control.own_page_requests import OwnPageServices
from ...core.operations.operator import Operator
from ...core.operations.registry import fill_registries
from ...core.operations.services.consents import WithdrawConsentData
from ...core.payloads import RUNS_FOLDER
from ...core.ports import Ids, Outage, RunOwnership
from ...events.ids import TaskRunId
from ..erasure.consent import withdraw_consent
from ..erasure.worker import erase_worker
from ..sealing.extra import load_receipts
from .clock_and_ids import SystemClock
from .data_dir import DATABASE_FILE
from .log_choice import log_address
from .provider import provider_opener


def request_executor(database: Path, ledger: Ledger, ids: Ids, operator: Operator) -> RequestExecutor:
    """Return what executes requests on an open log.

    Args:
        database: the log's file; the data folder is the folder it is in.
        ledger: the ledger of the log.
        ids: source of ids.
        operator: controls the runs.
    """
    erase = partial(erase_worker, database, ledger, ids)
    runs = _OperatorRuns(operator, database)
    withdraw = consent_withdrawer(database, ledger, ids)
    return RequestExecutor(ledger, ids, provider_opener(database, ledger, ids), erase, runs, withdraw)


def consent_withdrawer(database: Path, ledger: Ledger, ids: Ids) -> WithdrawConsentData:
    """Return what withdraws workers' consent, in an open log and in the files beside it."""
    return partial(withdraw_consent, database, ledger, ids)


def own_page_services(database: Path, ledger: Ledger, ids: Ids) -> OwnPageServices:
    """Return what workers may do on their own pages: there are receipts if the log is a file and the extra is there."""
    receipts = load_receipts(database) if log_address() is None else None
    make_receipt = None if receipts is None else receipts.promise
    return OwnPageServices(consent_withdrawer(database, ledger, ids), make_receipt)


@asynccontextmanager
async def executor_without_operator(
    database: Path, ledger: Ledger, ids: Ids, ownership: RunOwnership
) -> AsyncIterator[RequestExecutor]:
    """Return what executes requests where no operator has launched anything: runs can only be ended.

    When the block ends, a run that is still being ended is left as it is; it can be resumed, or ended again.
    """
    async with unwrapped_nursery() as nursery:
        parts = ledger, ids, SystemClock(), database.parent / RUNS_FOLDER, nursery
        operator = Operator(*parts, ownership=ownership)
        yield request_executor(database, ledger, ids, operator)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def unwrapped_nursery() -> AsyncIterator[trio.Nursery]:
    """Open a nursery that raises a single error as itself instead of in a group, as the caller expects.

    A failing log counts as a single error, although every task that waits for it raises it.
    """
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        error, *others = leaves(group)
        if not others or all(isinstance(one, LogError) for one in (error, *others)):
            raise error from error.__cause__
        raise


class _OperatorRuns:
    """Controls runs through an operator; see `RunControl`."""

    def __init__(self, operator: Operator, database: Path) -> None:
        self._operator = operator
        self._database = database

    async def refusals(self, run: TaskRunId) -> dict[str, int]:
        """Return what a live run has refused or discarded; nothing if it is not live here."""
        return await self._operator.runs.refusals(run)

    def outages(self, run: TaskRunId) -> tuple[Outage, ...]:
        """Return which routers of a run are out of reach; none if it is not live here."""
        return self._operator.runs.outages(run)

    async def pause_run(self, run: TaskRunId, reason: str, author: str, *, drain: bool) -> None:
        """Pause a live run.

        Raises:
            CommandRefusedError: it is not live.
        """
        await self._operator.pause_run(run, reason, author, drain=drain)

    async def end_run(self, run: TaskRunId, reason: str, author: str, *, at_once: bool) -> None:
        """End a run, live or not.

        Raises:
            ConfigError: the database is not that of a data folder, so the files of its runs cannot be found.
            CommandRefusedError: the run cannot be ended.
        """
        if self._database.name != DATABASE_FILE:
            raise ConfigError(
                f"{self._database} is not the database of a data folder",
                hint=f"Name the run's data folder, which contains {DATABASE_FILE}",
            )
        fill_registries()
        await self._operator.end_run(run, reason, author, at_once=at_once)

    async def retry(self, run: TaskRunId, reason: str, author: str) -> bool:
        """Ask the code of a live run again; return False if it has not failed.

        Raises:
            CommandRefusedError: it is not live.
        """
        return await self._operator.retry_run(run, reason, author)
