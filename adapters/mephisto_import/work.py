"""Converts the assignments, units, agents and onboardings of a run into facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.lifecycles.agent import AgentStatus
from ...core.lifecycles.onboarding import OnboardingStatus
from ...core.lifecycles.unit import UnitStatus
from ...core.operations.configuration.money import cents
from ...core.ports import Payload
from ...events import streams
from ...events.agent import (
    AgentAccepted,
    AgentApproved,
    AgentDisconnected,
    AgentEvent,
    AgentExpired,
    AgentFileStored,
    AgentMetadataReceived,
    AgentObserved,
    AgentPartnerLeft,
    AgentRejected,
    AgentReturned,
    AgentSoftRejected,
    AgentStarted,
    AgentSubmitted,
    AgentTimedOut,
    AgentUpdateReceived,
    AgentWaiting,
)
from ...events.assignment import AssignmentCreated
from ...events.catalogue import AnyEvent
from ...events.ids import AgentId, AssignmentId, OnboardingAgentId, TaskRunId, UnitId, WorkerId
from ...events.onboarding import (
    OnboardingDisconnected,
    OnboardingFailed,
    OnboardingObserved,
    OnboardingPassed,
    OnboardingReturned,
    OnboardingStarted,
    OnboardingSubmitted,
    OnboardingTimedOut,
)
from ...events.unit import (
    UnitAccepted,
    UnitAssigned,
    UnitCompleted,
    UnitCreated,
    UnitEvent,
    UnitExpired,
    UnitLaunched,
    UnitRejected,
    UnitReleased,
    UnitReopened,
    UnitSoftRejected,
)
from .facts import IMPORTED, Fact, Sealer, fact
from .source import OnboardingRow, ReviewRow, SourceAgent, SourceAssignment, SourceUnit, microseconds
from .stored_work import StoredWork

_U, _A, _O = UnitStatus, AgentStatus, OnboardingStatus
#: Statuses of units with a verdict, and the event that leads to each.
UNIT_VERDICTS: dict[str, UnitEvent] = {
    _U.ACCEPTED.value: UnitAccepted(),
    _U.SOFT_REJECTED.value: UnitSoftRejected(),
    _U.REJECTED.value: UnitRejected(),
}
_NEEDS_AN_AGENT = {_U.ASSIGNED.value, _U.COMPLETED.value, *UNIT_VERDICTS}
_LEFT: dict[str, AgentEvent] = {
    _A.DISCONNECT.value: AgentDisconnected(reason=IMPORTED),
    _A.TIMEOUT.value: AgentTimedOut(reason=IMPORTED),
    _A.RETURNED.value: AgentReturned(reason=IMPORTED),
    _A.EXPIRED.value: AgentExpired(reason=IMPORTED),
}
#: Statuses of agents that have submitted.
SUBMITTED = frozenset(one.value for one in (_A.COMPLETED, _A.APPROVED, _A.SOFT_REJECTED, _A.REJECTED))
#: Statuses of agents that have left.
LEFT = frozenset(_LEFT)


def assignment_fact(row: SourceAssignment, number: int, data: Payload) -> Fact:
    """Return the fact of an assignment with its position in the run's data."""
    assignment = AssignmentId(row.assignment_id)
    created = AssignmentCreated(assignment=assignment, number=number, data=data.ref)
    stream = streams.assignment(TaskRunId(row.task_run_id), assignment)
    return fact(microseconds(row.creation_date), stream, created, payloads=(data,))


def unit_facts(row: SourceUnit, agents: Sequence[SourceAgent], done_at: int, reviewed_at: int) -> Iterator[Fact]:
    """Yield the facts of a unit and its agents.

    Args:
        row: the unit.
        agents: all agents of the unit, oldest first.
        done_at: the time its last agent submitted or left, in microseconds.
        reviewed_at: the time of the review.
    """
    stream, at = streams.unit(TaskRunId(row.task_run_id), UnitId(row.unit_id)), microseconds(row.creation_date)
    pay = cents(str(row.pay_amount), key=f"pay_amount of unit {row.unit_id}")
    assignment = AssignmentId(row.assignment_id)
    yield fact(
        at, stream, UnitCreated(unit=UnitId(row.unit_id), assignment=assignment, index=row.unit_index, pay_cents=pay)
    )
    if row.status == _U.CREATED.value and not agents:
        return
    yield fact(at, stream, UnitLaunched())
    holder = row.agent_id
    if holder is None and row.status in _NEEDS_AN_AGENT and agents:
        holder = agents[-1].agent_id
    for agent in sorted(agents, key=lambda agent: agent.agent_id == holder):
        at = max(at, microseconds(agent.creation_date))
        number = AgentId(agent.agent_id)
        yield fact(at, stream, UnitAssigned(agent=number, worker=WorkerId(agent.worker_id)))
        if agent.agent_id != holder or row.status in (_U.CREATED.value, _U.LAUNCHED.value):
            yield fact(at, stream, UnitReleased(agent=number, reason=IMPORTED))
    if row.status in _NEEDS_AN_AGENT and holder is not None:
        done_at = max(at, done_at)
        if row.status != _U.ASSIGNED.value:
            yield fact(done_at, stream, UnitCompleted(agent=AgentId(holder)))
        if row.status in UNIT_VERDICTS:
            yield fact(max(done_at, reviewed_at), stream, UNIT_VERDICTS[row.status])
    elif row.status == _U.EXPIRED.value:
        yield fact(max(at, done_at), stream, UnitExpired(reason=IMPORTED))
    elif row.status == _U.CREATED.value:
        yield fact(max(at, done_at), stream, UnitExpired(reason=IMPORTED), UnitReopened(reason=IMPORTED))


def agent_facts(
    row: SourceAgent, work: StoredWork, review: ReviewRow | None, sealer: Sealer, done_at: int
) -> Iterator[Fact]:
    """Yield the facts of an agent.

    Args:
        row: the agent.
        work: what there is of its work.
        review: the review of its unit, if there is one.
        sealer: creates payloads.
        done_at: the time it submitted or left, in microseconds.
    """
    stream, worker = streams.agent(TaskRunId(row.task_run_id), AgentId(row.agent_id)), WorkerId(row.worker_id)
    at = microseconds(row.creation_date)
    accepted = AgentAccepted(
        agent=AgentId(row.agent_id),
        unit=UnitId(row.unit_id),
        assignment=AssignmentId(row.assignment_id),
        worker=worker,
        token=f"imported_{row.agent_id}",
        registration=f"imported_{row.agent_id}",
    )
    yield fact(at, stream, accepted)
    at = max(at, _microseconds_of(work.task_start))
    may_have_started = row.status in (*LEFT, _A.PARTNER_DISCONNECT.value) and work.task_start is not None
    if row.status in (_A.IN_TASK.value, *SUBMITTED) or may_have_started:
        yield fact(at, stream, AgentStarted())
    elif row.status in (_A.WAITING.value, _A.PARTNER_DISCONNECT.value):
        yield fact(at, stream, AgentWaiting())
    if row.status == _A.PARTNER_DISCONNECT.value:
        # Mephisto does not say which partner it was.
        yield fact(at, stream, AgentPartnerLeft(partner=AgentId(row.agent_id)))
    for one in _update_facts(stream, at, work, worker, sealer):
        at = one.at
        yield one
    at = max(at, done_at)
    if row.status in _LEFT:
        yield fact(at, stream, _LEFT[row.status])
    if row.status in SUBMITTED:
        yield from _submission_facts(stream, at, work, worker, sealer)
    for body in work.metadata:
        metadata = sealer.json({"metadata": body}, worker)
        yield fact(at, stream, AgentMetadataReceived(metadata=metadata.ref), payloads=(metadata,))
    if row.status in SUBMITTED and row.status != _A.COMPLETED.value:
        reviewed_at = max(at, microseconds(review.creation_date)) if review else at
        note = sealer.text(review.review_note, worker) if review and review.review_note else None
        verdict = _verdict(row.status, note, review)
        yield fact(reviewed_at, stream, verdict, payloads=(note,) if note else ())


def _update_facts(stream: str, at: int, work: StoredWork, worker: WorkerId, sealer: Sealer) -> Iterator[Fact]:
    """Yield the messages or requests of an agent, in their order."""
    received = observed = 0
    for number, past in enumerate(work.updates, start=1):
        at = max(at, _microseconds_of(past.at))
        update = sealer.json(past.update, worker)
        update_id = str(past.update.get("update_id", f"imported-{number}"))
        event: AnyEvent
        if past.by_page:
            received += 1
            event = AgentUpdateReceived(number=received, update_id=update_id, update=update.ref)
        else:
            observed += 1
            event = AgentObserved(number=observed, update_id=update_id, update=update.ref)
        yield fact(at, stream, event, payloads=(update,))


def _submission_facts(stream: str, at: int, work: StoredWork, worker: WorkerId, sealer: Sealer) -> Iterator[Fact]:
    submission = sealer.json(work.submission, worker)
    details = sealer.json([one.details for one in work.files], worker) if work.files else None
    submitted = AgentSubmitted(
        submission=submission.ref,
        files=tuple(one.ref for one in work.files),
        file_details=details.ref if details else None,
    )
    stored = [AgentFileStored(filename=one.ref.filename) for one in work.files]
    yield fact(at, stream, submitted, *stored, payloads=(submission, details) if details else (submission,))


def _microseconds_of(seconds: float | None) -> int:
    return 0 if seconds is None else round(seconds * 1_000_000)


def _verdict(status: str, note: Payload | None, review: ReviewRow | None) -> AnyEvent:
    ref = note.ref if note else None
    if status == _A.APPROVED.value:
        bonus = cents(str(review.bonus), key="bonus") if review and review.bonus else 0
        return AgentApproved(note=ref, bonus_cents=bonus)
    return AgentRejected(note=ref) if status == _A.REJECTED.value else AgentSoftRejected(note=ref)


def onboarding_fact(row: OnboardingRow, work: StoredWork, sealer: Sealer) -> Fact:
    """Return the fact of an onboarding, with what was said in it."""
    worker, number = WorkerId(row.worker_id), OnboardingAgentId(row.onboarding_agent_id)
    name = f"onboarding_imported_{row.onboarding_agent_id}"
    payloads: list[Payload] = [sealer.json(work.inputs)] if work.inputs else []
    inputs = payloads[0].ref if payloads else None
    events: list[AnyEvent] = [
        OnboardingStarted(agent=number, worker=worker, token=name, registration=name, inputs=inputs)
    ]
    for place, past in enumerate(work.updates, start=1):
        update = sealer.json(past.update, worker)
        update_id = str(past.update.get("update_id", f"imported-{place}"))
        payloads.append(update)
        events.append(OnboardingObserved(number=place, update_id=update_id, update=update.ref))
    submission = sealer.json(work.submission, worker)
    submitted = row.status in (_O.WAITING.value, _O.APPROVED.value, _O.REJECTED.value)
    if submitted:
        events.append(OnboardingSubmitted(submission=submission.ref))
    match row.status:
        case _O.APPROVED.value:
            events.append(OnboardingPassed())
        case _O.REJECTED.value:
            events.append(OnboardingFailed(reason=IMPORTED))
        case _O.DISCONNECT.value:
            events.append(OnboardingDisconnected(reason=IMPORTED))
        case _O.TIMEOUT.value:
            events.append(OnboardingTimedOut(reason=IMPORTED))
        case _O.RETURNED.value:
            events.append(OnboardingReturned(reason=IMPORTED))
        case _:
            pass
    stream = streams.onboarding_agent(TaskRunId(row.task_run_id), number)
    if submitted:
        payloads.append(submission)
    return fact(microseconds(row.creation_date), stream, *events, payloads=tuple(payloads))
