"""Records verdicts in batches, each once: the key of a verdict is made from what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

import msgspec
import trio

from ...core.errors import CommandRefusedError, MephistoError
from ...core.operations.control.requests import AnyRequest, RefusalsRequest, Reply, ReviewRequest
from ...core.ports import Outage
from ...events.ids import TaskRunId
from ...projections.mephisto_db.rows import date_of
from ..composition.clock_and_ids import SystemClock
from ..log.opening import WAIT_SECONDS
from .client import is_reachable, open_control
from .protocol import author_of


class BatchResult(NamedTuple):
    """The outcome of recording several verdicts."""

    #: Verdicts that are recorded, including those that had been before.
    recorded: int
    #: The first refusal, and the verdict that was refused; the others were still tried. None if all are recorded.
    refusal: CommandRefusedError | None
    refused: ReviewRequest | None = None


def content_key(request: AnyRequest, author: str | None = None) -> str:
    """Return an idempotency key made from a request's content, so that repeating a command does nothing twice.

    Args:
        request: the request.
        author: whose request it is; None if it does nothing twice whoever repeats it.
    """
    digest = hashlib.sha256(msgspec.json.encode((author, request))).hexdigest()
    return f"request/{digest[:40]}"


async def record_verdicts(
    database: Path,
    author: str,
    verdicts: Sequence[ReviewRequest],
    on_recorded: Callable[[ReviewRequest, Reply], None] = lambda *_: None,
    limit_seconds: float = WAIT_SECONDS,
) -> BatchResult:
    """Record verdicts, several at a time; one that is refused does not keep the others from being recorded.

    Args:
        database: the log.
        author: who gives them.
        verdicts: the verdicts, decided in this order.
        on_recorded: called after each verdict is durable, in order.
        limit_seconds: how long to wait for a process that has the log open.

    Raises:
        UnusableLogError: there is no such log, or it cannot be written.
        LogError: it is unknown which verdicts were recorded; the same call can be made again.
    """
    recorded, refusal, refused = 0, None, None
    keyed = [(verdict, content_key(verdict, author)) for verdict in verdicts]
    async with (
        open_control(database, author, limit_seconds) as control,
        aclosing(control.execute_all(keyed)) as outcomes,
    ):
        async for request, outcome in outcomes:
            if isinstance(outcome, Reply) and isinstance(request, ReviewRequest):
                recorded += 1
                on_recorded(request, outcome)
            elif isinstance(outcome, CommandRefusedError) and isinstance(request, ReviewRequest):
                refusal, refused = refusal or outcome, refused or request
            elif isinstance(outcome, Exception):
                raise outcome
    return BatchResult(recorded, refusal, refused)


class RouterOutage(NamedTuple):
    """A router that the operator of a run cannot reach."""

    #: Names the router, the problem and the remedy.
    sentence: str
    #: UTC time at which it was lost.
    since: str


def report_of(database: Path, run: TaskRunId) -> tuple[dict[str, int] | None, tuple[RouterOutage, ...]]:
    """Return what the operator of a live run has refused, and the routers that it cannot reach.

    The first is None, and the second empty, if there is no operator on this machine.
    """
    reply = trio.run(_report_of, database, run)
    return (None, ()) if reply is None else (reply.refusals, tuple(map(_in_words, reply.outages)))


def _in_words(outage: Outage) -> RouterOutage:
    problem = outage.problem.removeprefix(f"the router at {outage.server} ")
    sentence = (
        f"the router at {outage.server} is out of reach ({problem}): start it again, or see to the network. "
        "It keeps what workers have submitted there"
    )
    return RouterOutage(sentence, date_of(SystemClock().now_us() - round(outage.seconds * 1_000_000)))


async def _report_of(database: Path, run: TaskRunId) -> Reply | None:
    if not await is_reachable(database):
        return None
    try:
        async with open_control(database, author_of()) as control:
            return await control.execute(RefusalsRequest(task_run=run))
    except MephistoError:
        return None  # the operator has just gone
