"""What each event means for the view beside the status it leads to: new rows, and what changes in old ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from ...core.lifecycles.agent import AgentStatus
from ...events.agent import (
    AgentAccepted,
    AgentApproved,
    AgentBonusGranted,
    AgentMetadataReceived,
    AgentObserved,
    AgentRejected,
    AgentSoftRejected,
    AgentStarted,
    AgentSubmitted,
    AgentSubmittedAgain,
    AgentUpdateReceived,
)
from ...events.assignment import AssignmentCreated
from ...events.base import Event, FileRef, PayloadRef
from ...events.directory import QualificationCreated, RequesterRegistered, TaskRegistered
from ...events.envelope import RecordedEvent
from ...events.onboarding import OnboardingStarted, OnboardingSubmitted
from ...events.task_run import TaskRunCompleted, TaskRunCreated, TaskRunDataExhausted, TaskRunDeployed
from ...events.unit import UnitAssigned, UnitCreated, UnitReleased, UnitReopened
from ...events.worker import (
    QualificationChanged,
    QualificationGranted,
    QualificationRevoked,
    WorkerForgotten,
    WorkerRegistered,
)
from . import new_rows
from .batch import EventBatch
from .pending_writes import ColumnGroup
from .rows import AgentRow, OnboardingAgentRow, QualificationRow, RequesterRow, TaskRow, TaskRunRow, UnitRow, WorkerRow

Handler = Callable[[EventBatch, RecordedEvent, Event], None]
M = TypeVar("M", bound=Callable[..., None])

_IS_COMPLETED = ColumnGroup(TaskRunRow, "is_completed")
_SERVER_URL = ColumnGroup(TaskRunRow, "server_url")
_ASSIGNMENT_COUNT = ColumnGroup(TaskRunRow, "assignment_count")
_HOLDER = ColumnGroup(UnitRow, "agent_id", "worker_id")
_TASK_START = ColumnGroup(AgentRow, "task_start")
_TASK_END = ColumnGroup(AgentRow, "task_end")
_SUBMISSION = ColumnGroup(OnboardingAgentRow, "submission_sha256", "submission_size")
_WORKER_NAME = ColumnGroup(WorkerRow, "worker_name")

#: The functions below, by the kind of event that each is for.
HANDLERS: dict[type[Event], Handler] = {}


def _of(*kinds: type[Event]) -> Callable[[M], M]:
    def register(means: M) -> M:
        # Sound because the kinds are those of the function's last parameter.
        HANDLERS.update(dict.fromkeys(kinds, cast(Handler, means)))
        return means

    return register


@_of(TaskRegistered)
def _task_registered(page: EventBatch, recorded: RecordedEvent, event: TaskRegistered) -> None:
    page.add(recorded, TaskRow(event.task, event.name, event.task_type, None, None, page.date(recorded)))


@_of(RequesterRegistered)
def _requester_registered(page: EventBatch, recorded: RecordedEvent, event: RequesterRegistered) -> None:
    page.add(recorded, RequesterRow(event.requester, event.name, event.provider_type, page.date(recorded)))


@_of(QualificationCreated)
def _qualification_created(page: EventBatch, recorded: RecordedEvent, event: QualificationCreated) -> None:
    page.add(recorded, QualificationRow(event.qualification, event.name, page.date(recorded), None))


@_of(WorkerRegistered)
def _worker_registered(page: EventBatch, recorded: RecordedEvent, event: WorkerRegistered) -> None:
    page.add(recorded, new_rows.worker_row(event, page.text(event.name), page.date(recorded)))


@_of(WorkerForgotten)
def _worker_forgotten(page: EventBatch, recorded: RecordedEvent, _: WorkerForgotten) -> None:
    page.set(recorded, _WORKER_NAME, None)
    page.reviews.forget(recorded)
    page.bonuses.forget(recorded)


@_of(QualificationGranted, QualificationChanged)
def _qualification_held(
    page: EventBatch, recorded: RecordedEvent, event: QualificationGranted | QualificationChanged
) -> None:
    page.holdings.hold(recorded, event.qualification, event.value, page.date(recorded))


@_of(QualificationRevoked)
def _qualification_revoked(page: EventBatch, recorded: RecordedEvent, event: QualificationRevoked) -> None:
    page.holdings.drop(recorded, event.qualification)


@_of(TaskRunCreated)
def _task_run_created(page: EventBatch, recorded: RecordedEvent, event: TaskRunCreated) -> None:
    page.begin_run(new_rows.run_facts(event))
    page.add(recorded, new_rows.task_run_row(event, page.date(recorded)))


@_of(TaskRunDeployed)
def _task_run_deployed(page: EventBatch, recorded: RecordedEvent, event: TaskRunDeployed) -> None:
    page.set(recorded, _SERVER_URL, event.url)


@_of(TaskRunDataExhausted)
def _task_run_data_exhausted(page: EventBatch, recorded: RecordedEvent, event: TaskRunDataExhausted) -> None:
    page.set(recorded, _ASSIGNMENT_COUNT, event.assignments)


@_of(TaskRunCompleted)
def _task_run_completed(page: EventBatch, recorded: RecordedEvent, _: TaskRunCompleted) -> None:
    page.set(recorded, _IS_COMPLETED, True)


@_of(AssignmentCreated)
def _assignment_created(page: EventBatch, recorded: RecordedEvent, event: AssignmentCreated) -> None:
    page.add(recorded, new_rows.assignment_row(event, page.run_of(recorded), page.date(recorded)))


@_of(UnitCreated)
def _unit_created(page: EventBatch, recorded: RecordedEvent, event: UnitCreated) -> None:
    page.add(recorded, new_rows.unit_row(event, page.run_of(recorded), page.date(recorded)))


@_of(UnitAssigned)
def _unit_assigned(page: EventBatch, recorded: RecordedEvent, event: UnitAssigned) -> None:
    page.set(recorded, _HOLDER, event.agent, event.worker)


@_of(UnitReleased, UnitReopened)
def _unit_without_holder(page: EventBatch, recorded: RecordedEvent, _: UnitReleased | UnitReopened) -> None:
    page.set(recorded, _HOLDER, None, None)


@_of(AgentAccepted)
def _agent_accepted(page: EventBatch, recorded: RecordedEvent, event: AgentAccepted) -> None:
    page.add(recorded, new_rows.agent_row(event, page.run_of(recorded), page.date(recorded)))


@_of(AgentStarted)
def _agent_started(page: EventBatch, recorded: RecordedEvent, _: AgentStarted) -> None:
    page.set(recorded, _TASK_START, recorded.envelope.at / 1_000_000)


@_of(AgentSubmitted)
def _agent_submitted(page: EventBatch, recorded: RecordedEvent, event: AgentSubmitted) -> None:
    page.set(recorded, _TASK_END, recorded.envelope.at / 1_000_000)
    _keep(page, recorded, event.submission, event.files)


@_of(AgentSubmittedAgain)
def _agent_submitted_again(page: EventBatch, recorded: RecordedEvent, event: AgentSubmittedAgain) -> None:
    _keep(page, recorded, event.submission, event.files)


@_of(AgentUpdateReceived, AgentObserved)
def _agent_update(page: EventBatch, recorded: RecordedEvent, event: AgentUpdateReceived | AgentObserved) -> None:
    _keep(page, recorded, event.update)


@_of(AgentMetadataReceived)
def _agent_metadata_received(page: EventBatch, recorded: RecordedEvent, event: AgentMetadataReceived) -> None:
    _keep(page, recorded, event.metadata)


def _keep(page: EventBatch, recorded: RecordedEvent, ref: PayloadRef, files: tuple[FileRef, ...] = ()) -> None:
    page.agent_payloads.append(new_rows.agent_payload_row(recorded, ref, files))


@_of(AgentApproved)
def _agent_approved(page: EventBatch, recorded: RecordedEvent, event: AgentApproved) -> None:
    note, date = page.text(event.note), page.date(recorded)
    page.reviews.add(recorded, AgentStatus.APPROVED, note, event.bonus_cents or None, date)
    if event.bonus_cents:
        page.bonuses.add(recorded, event.bonus_cents, note, date)


@_of(AgentBonusGranted)
def _agent_bonus_granted(page: EventBatch, recorded: RecordedEvent, event: AgentBonusGranted) -> None:
    page.bonuses.add(recorded, event.bonus_cents, page.text(event.reason), page.date(recorded))


@_of(AgentSoftRejected)
def _agent_soft_rejected(page: EventBatch, recorded: RecordedEvent, event: AgentSoftRejected) -> None:
    page.reviews.add(recorded, AgentStatus.SOFT_REJECTED, page.text(event.note), None, page.date(recorded))


@_of(AgentRejected)
def _agent_rejected(page: EventBatch, recorded: RecordedEvent, event: AgentRejected) -> None:
    page.reviews.add(recorded, AgentStatus.REJECTED, page.text(event.note), None, page.date(recorded))


@_of(OnboardingStarted)
def _onboarding_started(page: EventBatch, recorded: RecordedEvent, event: OnboardingStarted) -> None:
    page.add(recorded, new_rows.onboarding_agent_row(event, page.run_of(recorded), page.date(recorded)))


@_of(OnboardingSubmitted)
def _onboarding_submitted(page: EventBatch, recorded: RecordedEvent, event: OnboardingSubmitted) -> None:
    page.set(recorded, _SUBMISSION, event.submission.sha256, event.submission.size)
