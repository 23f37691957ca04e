"""Collects what a worker may see on a page of their own: their work in a task, the verdicts on it, and their pay.

Everything comes from the log, so the page is the same while a run is live and afterwards. Its address holds a token
that only the log's key can make.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import msgspec

from ....events import streams
from ....events.agent import (
    AgentAccepted,
    AgentAppealDismissed,
    AgentAppealed,
    AgentApproved,
    AgentBonusGranted,
    AgentEvent,
    AgentLateAccepted,
    AgentRejected,
    AgentSoftRejected,
    AgentSubmitted,
    AgentSubmittedLate,
    AgentVerdictWithdrawn,
)
from ....events.base import PayloadRef
from ....events.engagement import ConsentGiven, ConsentRefused, ConsentWithdrawn, WorkStarted
from ....events.envelope import RecordedEvent
from ....events.ids import AgentId, TaskRunId, WorkerId
from ....events.payment import PaymentOwed
from ....events.task_run import TaskRunCreated
from ....events.unit import UnitCreated
from ...errors import ConfigError
from ...lifecycles.agent import AT_WORK_STATUSES, AgentRecord, AgentStatus
from ...lifecycles.agent import evolve as evolve_agent
from ...lifecycles.payment import PaymentState, PaymentStatus
from ...lifecycles.payment import evolve as evolve_payment
from ...payloads import pseudonym
from ..texts.catalogue import DEFAULT_LANGUAGE, load_texts

#: Pieces of work that a page shows at most, the latest first.
MAX_WORK = 50


class WorkLog(Protocol):
    """The part of a log that a page is made from."""

    def history(self, stream: str) -> Iterable[RecordedEvent]:
        """Return the events of a stream, oldest first."""

    def find(self, command: str) -> Iterable[RecordedEvent]:
        """Return the events of a command."""

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference; None if they were erased."""


class PagePayment(msgspec.Struct, frozen=True):
    """An amount that the worker is owed, or has been paid."""

    #: `pay` or `bonus`.
    purpose: str
    amount_cents: int
    #: The value of a `PaymentStatus`.
    status: str
    #: The reason for a bonus.
    reason: str | None = None


class PageAppeal(msgspec.Struct, frozen=True):
    """The worker's objection to a rejection."""

    #: The value of an `AppealStatus`.
    status: str
    #: What the worker wrote; None if it was erased.
    objection: str | None
    #: The reviewer's answer; None: there is none yet, or it is the note of the approval.
    answer: str | None


class PageWork(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of a worker's work. Times are seconds since the epoch."""

    #: Title of the task.
    task: str
    unit: int
    #: The token by which the router knows the agent.
    agent: str
    #: The value of an `AgentStatus`.
    status: str
    started_at: float
    #: Time of the first submission, in time or late; None: there was none.
    submitted_at: float | None
    is_late: bool
    #: The pay that was offered.
    pay_cents: int
    #: The reviewer's note with the latest verdict.
    note: str | None
    payments: tuple[PagePayment, ...]
    may_appeal: bool
    appeal: PageAppeal | None


class PageConsent(msgspec.Struct, frozen=True):
    """The worker's consent to one run."""

    task_run: int
    #: Title of the task.
    task: str
    is_withdrawn: bool
    #: True while the worker has a unit of the run, which has to end before the consent can be withdrawn.
    is_at_work: bool


class WorkerPage(msgspec.Struct, frozen=True):
    """Everything that a worker sees on their own page."""

    work: tuple[PageWork, ...]
    #: True if there is earlier work that is not shown.
    has_more: bool
    #: Sums over the work that is shown.
    owed_cents: int
    paid_cents: int
    consents: tuple[PageConsent, ...] = ()
    #: Language, direction and texts of the latest run, as in the configuration of its page; none if they are English.
    texts: Mapping[str, object] = {}
    #: True if the page can ask for receipts of submitted work.
    offers_receipts: bool = False


def page_token(key: bytes, worker: WorkerId) -> str:
    """Return the token in the address of a worker's page.

    Args:
        key: the secret key of the log's pseudonyms.
        worker: the worker.
    """
    return f"{worker}-{pseudonym(key, 'worker page', str(worker))}"


def page_address(token: str) -> str:
    """Return the address of a worker's page below that of a server.

    The token is behind the `#`, which browsers do not send, so no server logs it.
    """
    return f"/worker_page.html#{token}"


def worker_of_token(key: bytes, token: str) -> WorkerId | None:
    """Return the worker whose page an address names; None if the token is not genuine.

    Args:
        key: the secret key of the log's pseudonyms.
        token: a stranger's text.
    """
    number, _, _ = token.partition("-")
    if not (number.isascii() and number.isdecimal() and len(number) < len(str(2**63))):
        return None
    worker = WorkerId(int(number))
    return worker if hmac.compare_digest(page_token(key, worker).encode(), token.encode("utf-8", "replace")) else None


def worker_page(log: WorkLog, worker: WorkerId, runs: Iterable[TaskRunId], limit: int = MAX_WORK) -> WorkerPage:
    """Return the page of a worker.

    Args:
        log: the log.
        worker: the worker.
        runs: the runs whose work is shown, the latest first.
        limit: the most pieces of work that are shown.

    Raises:
        LogError: the log cannot be read.
    """
    work: list[PageWork] = []
    consents: list[PageConsent] = []
    has_more = False
    latest: _StoredTask | None = None
    for run in runs:
        events = [recorded.envelope.event for recorded in log.history(streams.engagement(run, worker))]
        agents = [event.agent for event in events if isinstance(event, WorkStarted)]
        room = limit - len(work)
        has_more = has_more or len(agents) > room
        task = _task_of(log, run)
        latest = latest or task
        here = [_work(log, run, agent, task.task_title or "") for agent in agents[::-1][:room]]
        work += here
        consent = next((event for event in reversed(events) if isinstance(event, _CONSENT)), None)
        if consent is not None and not isinstance(consent, ConsentRefused):
            is_at_work = any(one.status in _AT_WORK for one in here)
            is_withdrawn = isinstance(consent, ConsentWithdrawn)
            consents.append(PageConsent(run, task.task_title or "", is_withdrawn, is_at_work))
    payments = [payment for one in work for payment in one.payments]
    owed = sum(payment.amount_cents for payment in payments)
    paid = sum(payment.amount_cents for payment in payments if payment.status in _PAID)
    texts = {} if latest is None else _texts_of(latest)
    return WorkerPage(tuple(work), has_more, owed - paid, paid, tuple(consents), texts)


_CONSENT = ConsentGiven | ConsentRefused | ConsentWithdrawn
_AT_WORK = frozenset(status.value for status in AT_WORK_STATUSES)
_PAID = frozenset({PaymentStatus.SENT.value, PaymentStatus.CONFIRMED.value})


def _work(log: WorkLog, run: TaskRunId, agent: AgentId, title: str) -> PageWork:
    state: AgentRecord | None = None
    started_at, submitted_at, is_late = 0.0, None, False
    note: PayloadRef | None = None
    objection: PayloadRef | None = None
    answer: PayloadRef | None = None
    owing: dict[str, PayloadRef | None] = {}
    for recorded in log.history(streams.agent(run, agent)):
        envelope = recorded.envelope
        event: AgentEvent = envelope.event  # type: ignore[assignment]  # the stream holds no other events
        state = evolve_agent(state, event)
        match event:
            case AgentAccepted():
                started_at = envelope.at / 1_000_000
            case AgentSubmitted() | AgentSubmittedLate():
                submitted_at = submitted_at or envelope.at / 1_000_000
                is_late = isinstance(event, AgentSubmittedLate)
            case AgentApproved() | AgentSoftRejected() | AgentRejected() | AgentLateAccepted():
                note = event.note
                owing[envelope.command] = None
            case AgentVerdictWithdrawn():
                note = objection = answer = None
            case AgentAppealed():
                objection = event.objection
            case AgentAppealDismissed():
                answer = event.answer
            case AgentBonusGranted():
                owing[envelope.command] = event.reason
            case _:
                pass
    if state is None:
        raise LookupError(f"agent-{agent} has started work and has no history; the assignment is wrong")
    return PageWork(
        task=title,
        unit=state.unit,
        agent=state.token,
        status=state.status.value,
        started_at=started_at,
        submitted_at=submitted_at,
        is_late=is_late,
        pay_cents=_pay_of(log.history(streams.unit(run, state.unit))),
        note=_text(log, note),
        payments=tuple(_payments(log, run, agent, owing)),
        may_appeal=state.status is AgentStatus.REJECTED and state.appeal is None,
        appeal=state.appeal and PageAppeal(state.appeal.value, _text(log, objection), _text(log, answer)),
    )


def _payments(
    log: WorkLog, run: TaskRunId, agent: AgentId, owing: Mapping[str, PayloadRef | None]
) -> Iterator[PagePayment]:
    """Yield what the agent is owed by some commands, each with the reason that belongs to it."""
    for command, reason in owing.items():
        for recorded in log.find(command):
            owed = recorded.envelope.event
            if isinstance(owed, PaymentOwed) and owed.agent == agent:
                state = _payment_state(log.history(streams.payment(run, owed.payment)))
                if state.status is PaymentStatus.WITHDRAWN:
                    continue
                yield PagePayment(owed.purpose, owed.amount_cents, state.status.value, _text(log, reason))


def _payment_state(history: Iterable[RecordedEvent]) -> PaymentState:
    state: PaymentState | None = None
    for recorded in history:
        state = evolve_payment(state, recorded.envelope.event)  # type: ignore[arg-type]  # it holds no other events
    if state is None:
        raise LookupError("a payment is owed and has no history")
    return state


def _pay_of(history: Iterable[RecordedEvent]) -> int:
    created = next(iter(history)).envelope.event
    return created.pay_cents if isinstance(created, UnitCreated) else 0


class _StoredTask(msgspec.Struct):
    task_title: str | None = None
    language: str = DEFAULT_LANGUAGE
    texts: dict[str, str] = {}


class _StoredConfig(msgspec.Struct):
    task: _StoredTask = msgspec.field(default_factory=_StoredTask)


def _task_of(log: WorkLog, run: TaskRunId) -> _StoredTask:
    created = next(iter(log.history(streams.task_run(run)))).envelope.event
    config = created.config if isinstance(created, TaskRunCreated) else ""
    try:
        return msgspec.json.decode(config, type=_StoredConfig).task
    except msgspec.DecodeError:
        # An imported run has Mephisto's configuration, or none.
        return _StoredTask()


def _texts_of(task: _StoredTask) -> Mapping[str, object]:
    try:
        return load_texts(task.language, task.texts).for_page()
    except ConfigError:
        # Another version of this package had the language, or the text.
        return {}


def _text(log: WorkLog, ref: PayloadRef | None) -> str | None:
    body = None if ref is None else log.payload(ref)
    return None if body is None else body.decode(errors="replace")
