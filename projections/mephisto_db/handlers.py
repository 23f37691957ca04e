"""Handlers that apply each event to the view: new rows, and changes to existing ones. Statuses are set elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from ...core.lifecycles.agent import AgentStatus
from ...events.agent import (
    AgentAccepted,
    AgentAppealDismissed,
    AgentAppealed,
    AgentApproved,
    AgentBonusGranted,
    AgentCompletedAlone,
    AgentLateAccepted,
    AgentMetadataReceived,
    AgentModelAsked,
    AgentModelReplied,
    AgentObserved,
    AgentOpinionGiven,
    AgentRejected,
    AgentSoftRejected,
    AgentStarted,
    AgentSubmitted,
    AgentSubmittedAgain,
    AgentSubmittedLate,
    AgentUpdateReceived,
    AgentVerdictWithdrawn,
)
from ...events.assignment import AssignmentCreated
from ...events.base import Event, FileRef, PayloadRef
from ...events.envelope import RecordedEvent
from ...events.onboarding import (
    OnboardingObserved,
    OnboardingStarted,
    OnboardingSubmitted,
    OnboardingUpdateReceived,
)
from ...events.records import (
    ProjectCreated,
    QualificationCreated,
    RequesterRegistered,
    TaskPutInProject,
    TaskRegistered,
)
from ...events.task_run import (
    TaskRunAdmissionPaused,
    TaskRunAdmissionResumed,
    TaskRunCompleted,
    TaskRunCreated,
    TaskRunDataAdded,
    TaskRunDataExhausted,
    TaskRunDeployed,
    TaskRunDraining,
    TaskRunFailed,
    TaskRunPaused,
    TaskRunRecovering,
    TaskRunReopened,
    TaskRunStopping,
)
from ...events.unit import UnitAssigned, UnitCreated, UnitLateAccepted, UnitReleased, UnitReopened
from ...events.worker import (
    QualificationChanged,
    QualificationGranted,
    QualificationRevoked,
    WorkerErased,
    WorkerRegistered,
)
from . import new_rows
from .batch import EventBatch
from .pending_writes import ColumnGroup
from .rows import (
    AgentRow,
    OnboardingAgentRow,
    ProjectRow,
    QualificationRow,
    RequesterRow,
    TaskRow,
    TaskRunRow,
    UnitRow,
    WorkerRow,
)

Handler = Callable[[EventBatch, RecordedEvent, Event], None]
H = TypeVar("H", bound=Callable[..., None])

_PROJECT = ColumnGroup(TaskRow, "project_id")
_IS_COMPLETED = ColumnGroup(TaskRunRow, "is_completed")
_END_DATE = ColumnGroup(TaskRunRow, "end_date")
_SERVER_URL = ColumnGroup(TaskRunRow, "server_url")
_ASSIGNMENT_COUNT = ColumnGroup(TaskRunRow, "assignment_count")
_ADMISSION_PAUSED_BY = ColumnGroup(TaskRunRow, "admission_paused_by")
_PAUSING = ColumnGroup(TaskRunRow, "pausing")
_HOLDER = ColumnGroup(UnitRow, "agent_id", "worker_id")
_TASK_START = ColumnGroup(AgentRow, "task_start")
_TASK_END = ColumnGroup(AgentRow, "task_end")
_SUBMISSION = ColumnGroup(OnboardingAgentRow, "submission_sha256", "submission_size")
_WORKER_NAME = ColumnGroup(WorkerRow, "worker_name")

#: The functions below, by the type of event that each handles.
HANDLERS: dict[type[Event], Handler] = {}


def _handles(*events: type[Event]) -> Callable[[H], H]:
    """Register a function as the handler of some types of event."""

    def register(handler: H) -> H:
        # Sound because these are the types of the function's last parameter.
        HANDLERS.update(dict.fromkeys(events, cast(Handler, handler)))
        return handler

    return register


@_handles(ProjectCreated)
def _project_created(batch: EventBatch, recorded: RecordedEvent, event: ProjectCreated) -> None:
    batch.add(recorded, ProjectRow(event.project, event.name, batch.date(recorded)))


@_handles(TaskRegistered)
def _task_registered(batch: EventBatch, recorded: RecordedEvent, event: TaskRegistered) -> None:
    batch.add(recorded, TaskRow(event.task, event.name, event.task_type, None, None, batch.date(recorded)))


@_handles(TaskPutInProject)
def _task_put_in_project(batch: EventBatch, recorded: RecordedEvent, event: TaskPutInProject) -> None:
    batch.set(recorded, _PROJECT, event.project)


@_handles(RequesterRegistered)
def _requester_registered(batch: EventBatch, recorded: RecordedEvent, event: RequesterRegistered) -> None:
    batch.add(recorded, RequesterRow(event.requester, event.name, event.provider_type, batch.date(recorded)))


@_handles(QualificationCreated)
def _qualification_created(batch: EventBatch, recorded: RecordedEvent, event: QualificationCreated) -> None:
    batch.add(recorded, QualificationRow(event.qualification, event.name, batch.date(recorded), None))


@_handles(WorkerRegistered)
def _worker_registered(batch: EventBatch, recorded: RecordedEvent, event: WorkerRegistered) -> None:
    batch.add(recorded, new_rows.worker_row(event, batch.text(event.name), batch.date(recorded)))


@_handles(WorkerErased)
def _worker_forgotten(batch: EventBatch, recorded: RecordedEvent, _: WorkerErased) -> None:
    batch.set(recorded, _WORKER_NAME, None)
    batch.reviews.forget(recorded)
    batch.bonuses.forget(recorded)
    batch.opinions.forget(recorded)


@_handles(QualificationGranted, QualificationChanged)
def _qualification_held(
    batch: EventBatch, recorded: RecordedEvent, event: QualificationGranted | QualificationChanged
) -> None:
    batch.qualifications.grant(recorded, event.qualification, event.value, batch.date(recorded))


@_handles(QualificationRevoked)
def _qualification_revoked(batch: EventBatch, recorded: RecordedEvent, event: QualificationRevoked) -> None:
    batch.qualifications.revoke(recorded, event.qualification)


@_handles(TaskRunCreated)
def _task_run_created(batch: EventBatch, recorded: RecordedEvent, event: TaskRunCreated) -> None:
    batch.begin_run(new_rows.run_facts(event))
    batch.add(recorded, new_rows.task_run_row(event, batch.date(recorded)))


@_handles(TaskRunDeployed)
def _task_run_deployed(batch: EventBatch, recorded: RecordedEvent, event: TaskRunDeployed) -> None:
    batch.set(recorded, _SERVER_URL, event.url)


@_handles(TaskRunDataExhausted)
def _task_run_data_exhausted(batch: EventBatch, recorded: RecordedEvent, event: TaskRunDataExhausted) -> None:
    batch.set(recorded, _ASSIGNMENT_COUNT, event.assignments)


@_handles(TaskRunDataAdded)
def _task_run_data_added(batch: EventBatch, recorded: RecordedEvent, _: TaskRunDataAdded) -> None:
    batch.set(recorded, _ASSIGNMENT_COUNT, None)


@_handles(TaskRunAdmissionPaused)
def _admission_paused(batch: EventBatch, recorded: RecordedEvent, event: TaskRunAdmissionPaused) -> None:
    batch.set(recorded, _ADMISSION_PAUSED_BY, event.function)


@_handles(TaskRunAdmissionResumed)
def _admission_resumed(batch: EventBatch, recorded: RecordedEvent, _: TaskRunAdmissionResumed) -> None:
    batch.set(recorded, _ADMISSION_PAUSED_BY, None)


@_handles(TaskRunDraining)
def _task_run_draining(batch: EventBatch, recorded: RecordedEvent, event: TaskRunDraining) -> None:
    batch.set(recorded, _PAUSING, event.reason)


@_handles(TaskRunPaused, TaskRunStopping)
def _task_run_not_draining(batch: EventBatch, recorded: RecordedEvent, _: TaskRunPaused | TaskRunStopping) -> None:
    batch.set(recorded, _PAUSING, None)


@_handles(TaskRunCompleted)
def _task_run_completed(batch: EventBatch, recorded: RecordedEvent, _: TaskRunCompleted) -> None:
    batch.set(recorded, _IS_COMPLETED, True)
    batch.set(recorded, _END_DATE, batch.date(recorded))


@_handles(TaskRunFailed)
def _task_run_failed(batch: EventBatch, recorded: RecordedEvent, _: TaskRunFailed) -> None:
    batch.set(recorded, _END_DATE, batch.date(recorded))


@_handles(TaskRunReopened, TaskRunRecovering)
def _task_run_continued(batch: EventBatch, recorded: RecordedEvent, _: TaskRunReopened | TaskRunRecovering) -> None:
    batch.set(recorded, _END_DATE, None)
    batch.set(recorded, _PAUSING, None)


@_handles(AssignmentCreated)
def _assignment_created(batch: EventBatch, recorded: RecordedEvent, event: AssignmentCreated) -> None:
    batch.add(recorded, new_rows.assignment_row(event, batch.run_of(recorded), batch.date(recorded)))


@_handles(UnitCreated)
def _unit_created(batch: EventBatch, recorded: RecordedEvent, event: UnitCreated) -> None:
    batch.add(recorded, new_rows.unit_row(event, batch.run_of(recorded), batch.date(recorded)))


@_handles(UnitAssigned, UnitLateAccepted)
def _unit_held(batch: EventBatch, recorded: RecordedEvent, event: UnitAssigned | UnitLateAccepted) -> None:
    batch.set(recorded, _HOLDER, event.agent, event.worker)


@_handles(UnitReleased, UnitReopened)
def _unit_without_holder(batch: EventBatch, recorded: RecordedEvent, _: UnitReleased | UnitReopened) -> None:
    batch.set(recorded, _HOLDER, None, None)


@_handles(AgentAccepted)
def _agent_accepted(batch: EventBatch, recorded: RecordedEvent, event: AgentAccepted) -> None:
    batch.add(recorded, new_rows.agent_row(event, batch.run_of(recorded), batch.date(recorded)))


@_handles(AgentStarted)
def _agent_started(batch: EventBatch, recorded: RecordedEvent, _: AgentStarted) -> None:
    batch.set(recorded, _TASK_START, recorded.envelope.at / 1_000_000)


@_handles(AgentSubmitted)
def _agent_submitted(batch: EventBatch, recorded: RecordedEvent, event: AgentSubmitted) -> None:
    batch.set(recorded, _TASK_END, recorded.envelope.at / 1_000_000)
    _add_payload(batch, recorded, event.submission, event.files, event.file_details)


@_handles(AgentCompletedAlone)
def _agent_completed_alone(batch: EventBatch, recorded: RecordedEvent, _: AgentCompletedAlone) -> None:
    batch.set(recorded, _TASK_END, recorded.envelope.at / 1_000_000)


@_handles(AgentSubmittedAgain, AgentSubmittedLate)
def _agent_submitted_afterwards(
    batch: EventBatch, recorded: RecordedEvent, event: AgentSubmittedAgain | AgentSubmittedLate
) -> None:
    _add_payload(batch, recorded, event.submission, event.files, event.file_details)


@_handles(AgentModelAsked)
def _agent_model_asked(batch: EventBatch, recorded: RecordedEvent, event: AgentModelAsked) -> None:
    batch.agent_payloads.append(new_rows.agent_payload_row(recorded, event.request))


@_handles(AgentModelReplied)
def _agent_model_replied(batch: EventBatch, recorded: RecordedEvent, event: AgentModelReplied) -> None:
    batch.agent_payloads.append(new_rows.agent_payload_row(recorded, event.reply))
    batch.model_replies.append(new_rows.model_reply_row(recorded, event, batch.date(recorded)))


@_handles(AgentUpdateReceived, AgentObserved)
def _agent_update(batch: EventBatch, recorded: RecordedEvent, event: AgentUpdateReceived | AgentObserved) -> None:
    batch.agent_payloads.append(new_rows.agent_payload_row(recorded, event.update))


@_handles(OnboardingUpdateReceived, OnboardingObserved)
def _onboarding_update(
    batch: EventBatch, recorded: RecordedEvent, event: OnboardingUpdateReceived | OnboardingObserved
) -> None:
    batch.onboarding_payloads.append(new_rows.onboarding_payload_row(recorded, event.update))


@_handles(AgentMetadataReceived)
def _agent_metadata_received(batch: EventBatch, recorded: RecordedEvent, event: AgentMetadataReceived) -> None:
    _add_payload(batch, recorded, event.metadata, event.files, event.file_details)


def _add_payload(
    batch: EventBatch,
    recorded: RecordedEvent,
    ref: PayloadRef,
    files: tuple[FileRef, ...] = (),
    details: PayloadRef | None = None,
) -> None:
    batch.agent_payloads.append(new_rows.agent_payload_row(recorded, ref, files, details))


@_handles(AgentAppealed)
def _agent_appealed(batch: EventBatch, recorded: RecordedEvent, event: AgentAppealed) -> None:
    _add_payload(batch, recorded, event.objection)


@_handles(AgentAppealDismissed)
def _agent_appeal_dismissed(batch: EventBatch, recorded: RecordedEvent, event: AgentAppealDismissed) -> None:
    _add_payload(batch, recorded, event.answer)


@_handles(AgentApproved)
def _agent_approved(batch: EventBatch, recorded: RecordedEvent, event: AgentApproved) -> None:
    note, date = batch.text(event.note), batch.date(recorded)
    batch.reviews.add(recorded, AgentStatus.APPROVED, note, event.bonus_cents or None, date)
    if event.bonus_cents:
        batch.bonuses.add(recorded, event.bonus_cents, note, date)


@_handles(AgentLateAccepted)
def _agent_late_accepted(batch: EventBatch, recorded: RecordedEvent, event: AgentLateAccepted) -> None:
    batch.reviews.add(recorded, AgentStatus.APPROVED, batch.text(event.note), None, batch.date(recorded))


@_handles(AgentBonusGranted)
def _agent_bonus_granted(batch: EventBatch, recorded: RecordedEvent, event: AgentBonusGranted) -> None:
    batch.bonuses.add(recorded, event.bonus_cents, batch.text(event.reason), batch.date(recorded))


@_handles(AgentSoftRejected)
def _agent_soft_rejected(batch: EventBatch, recorded: RecordedEvent, event: AgentSoftRejected) -> None:
    batch.reviews.add(recorded, AgentStatus.SOFT_REJECTED, batch.text(event.note), None, batch.date(recorded))


@_handles(AgentRejected)
def _agent_rejected(batch: EventBatch, recorded: RecordedEvent, event: AgentRejected) -> None:
    batch.reviews.add(recorded, AgentStatus.REJECTED, batch.text(event.note), None, batch.date(recorded))


@_handles(AgentVerdictWithdrawn)
def _agent_verdict_withdrawn(batch: EventBatch, recorded: RecordedEvent, _: AgentVerdictWithdrawn) -> None:
    batch.reviews.withdraw(recorded)
    batch.opinions.clear(recorded)


@_handles(AgentOpinionGiven)
def _agent_opinion_given(batch: EventBatch, recorded: RecordedEvent, event: AgentOpinionGiven) -> None:
    note = batch.text(event.note)
    batch.opinions.add(recorded, event.opinion.value, event.reviewer, note, batch.date(recorded))


@_handles(OnboardingStarted)
def _onboarding_started(batch: EventBatch, recorded: RecordedEvent, event: OnboardingStarted) -> None:
    batch.add(recorded, new_rows.onboarding_agent_row(event, batch.run_of(recorded), batch.date(recorded)))
    if event.inputs is not None:
        batch.onboarding_payloads.append(new_rows.onboarding_payload_row(recorded, event.inputs))


@_handles(OnboardingSubmitted)
def _onboarding_submitted(batch: EventBatch, recorded: RecordedEvent, event: OnboardingSubmitted) -> None:
    batch.set(recorded, _SUBMISSION, event.submission.sha256, event.submission.size)
