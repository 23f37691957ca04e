"""Answers what workers ask for on their own pages: the contents, a receipt, the withdrawal of a consent."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
import trio

from ....events import streams
from ....events.agent import AgentAccepted
from ....events.engagement import WorkStarted
from ....events.ids import AgentId, TaskRunId, WorkerId
from ...errors import CommandRefusedError
from ...ledger import Ledger
from ...lifecycles.worker import WorkerStatus
from ...packet_data import PageReceipt, RequestWorkerPageData
from ..logger_core import get_logger
from ..services.consents import WithdrawConsentData
from ..services.worker_page import WorkerPage, WorkLog, worker_of_token, worker_page

#: The reason that is recorded for a withdrawal on the page.
WITHDRAWN_ON_PAGE = "the worker withdrew it on their own page"

logger = get_logger(__name__)


#: Makes a receipt of an agent; returns None if there can be none at the moment.
MakeReceipt = Callable[[TaskRunId, AgentId], PageReceipt | None]


class OwnPageServices(NamedTuple):
    """The services that workers use on their own pages."""

    withdraw_consent: WithdrawConsentData
    #: None: no receipts are offered.
    make_receipt: MakeReceipt | None = None


class OpenedPage(NamedTuple):
    """The answer to a worker who opened their own page."""

    page: WorkerPage | None
    receipt: PageReceipt | None = None


async def withdraw_on_page(ledger: Ledger, token: str, run: TaskRunId, withdraw: WithdrawConsentData) -> None:
    """Withdraw a worker's consent to a run; does nothing if no page has this token, or the worker may not do that now.

    Args:
        ledger: the ledger.
        token: the token in the page's address.
        run: a stranger's number.
        withdraw: withdraws the consent, and returns once that is durable.

    Raises:
        LogError: nothing could be recorded.
    """
    worker = worker_of_token(ledger.log.pseudonym_key, token)
    if worker is None:
        return
    try:
        await withdraw(run, worker, WITHDRAWN_ON_PAGE, f"worker/{worker}")
    except CommandRefusedError as error:
        logger.info("a withdrawal of consent on a worker's page was refused", worker=worker, reason=str(error))


async def open_worker_page(
    ledger: Ledger, run: TaskRunId, asked: RequestWorkerPageData, make_receipt: MakeReceipt | None
) -> OpenedPage:
    """Return the contents of a worker's own page; none if no page has this token.

    Whatever the worker has done before is in it.

    Args:
        ledger: the ledger.
        run: the run; the page shows the work in all runs of its task.
        asked: the token in the page's address, and the work of which a receipt is asked for.
        make_receipt: makes receipts; None: there are none.

    Raises:
        LogError: the log cannot be read.
    """
    state, log = ledger.state, ledger.log
    worker = worker_of_token(log.pseudonym_key, asked.worker_page)
    known = None if worker is None else state.workers.get(streams.worker(worker))
    if known is None or known.status is WorkerStatus.ERASED:
        return OpenedPage(None)
    await ledger.wait_durable(streams.engagement(run, known.worker))
    durable = trio.Event()
    ledger.call_when_durable(durable.set)
    await durable.wait()
    task = state.task_runs[streams.task_run(run)].task
    runs = [
        one.task_run
        for one in reversed(state.task_runs.values())
        if one.task == task and streams.engagement(one.task_run, known.worker) in state.engagements
    ]
    page = msgspec.structs.replace(worker_page(log, known.worker, runs), offers_receipts=make_receipt is not None)
    return OpenedPage(page, receipt_of(log, known.worker, runs, asked.receipt, make_receipt))


def receipt_of(
    log: WorkLog, worker: WorkerId, runs: Iterable[TaskRunId], token: str | None, make_receipt: MakeReceipt | None
) -> PageReceipt | None:
    """Return the receipt of one of the pieces of work on a worker's page; None if it is not theirs.

    Args:
        log: the log.
        worker: the worker.
        runs: the runs whose work is shown.
        token: a stranger's text: the token of the agent; None: no receipt was asked for.
        make_receipt: makes receipts; None: there are none.

    Raises:
        LogError: the log cannot be read.
    """
    if token is None or make_receipt is None:
        return None
    for run in runs:
        for recorded in log.history(streams.engagement(run, worker)):
            started = recorded.envelope.event
            if isinstance(started, WorkStarted) and _has_token(log, run, started.agent, token):
                return make_receipt(run, started.agent)
    return None


def _has_token(log: WorkLog, run: TaskRunId, agent: AgentId, token: str) -> bool:
    accepted = next(iter(log.history(streams.agent(run, agent)))).envelope.event
    offered = token.encode("utf-8", "replace")
    return isinstance(accepted, AgentAccepted) and hmac.compare_digest(accepted.token.encode(), offered)
