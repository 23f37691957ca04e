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
from ...events.envelope import Recorded
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
from . import new_rows as births
from .batch import Page
from .pending_writes import Group
from .rows import AgentRow, OnboardingAgentRow, QualificationRow, RequesterRow, TaskRow, TaskRunRow, UnitRow, WorkerRow

Meaning = Callable[[Page, Recorded, Event], None]
M = TypeVar("M", bound=Callable[..., None])

_IS_COMPLETED = Group(TaskRunRow, "is_completed")
_SERVER_URL = Group(TaskRunRow, "server_url")
_ASSIGNMENT_COUNT = Group(TaskRunRow, "assignment_count")
_HOLDER = Group(UnitRow, "agent_id", "worker_id")
_TASK_START = Group(AgentRow, "task_start")
_TASK_END = Group(AgentRow, "task_end")
_SUBMISSION = Group(OnboardingAgentRow, "submission_sha256", "submission_size")
_WORKER_NAME = Group(WorkerRow, "worker_name")

#: The functions below, by the kind of event that each is for.
MEANING: dict[type[Event], Meaning] = {}


def _of(*kinds: type[Event]) -> Callable[[M], M]:
    def register(means: M) -> M:
        # Sound because the kinds are those of the function's last parameter.
        MEANING.update(dict.fromkeys(kinds, cast(Meaning, means)))
        return means

    return register


@_of(TaskRegistered)
def _task_registered(page: Page, recorded: Recorded, event: TaskRegistered) -> None:
    page.add(recorded, TaskRow(event.task, event.name, event.task_type, None, None, page.date(recorded)))


@_of(RequesterRegistered)
def _requester_registered(page: Page, recorded: Recorded, event: RequesterRegistered) -> None:
    page.add(recorded, RequesterRow(event.requester, event.name, event.provider_type, page.date(recorded)))


@_of(QualificationCreated)
def _qualification_created(page: Page, recorded: Recorded, event: QualificationCreated) -> None:
    page.add(recorded, QualificationRow(event.qualification, event.name, page.date(recorded), None))


@_of(WorkerRegistered)
def _worker_registered(page: Page, recorded: Recorded, event: WorkerRegistered) -> None:
    page.add(recorded, births.worker_row(event, page.text(event.name), page.date(recorded)))


@_of(WorkerForgotten)
def _worker_forgotten(page: Page, recorded: Recorded, _: WorkerForgotten) -> None:
    page.set(recorded, _WORKER_NAME, None)
    page.reviews.forget(recorded)
    page.bonuses.forget(recorded)


@_of(QualificationGranted, QualificationChanged)
def _qualification_held(page: Page, recorded: Recorded, event: QualificationGranted | QualificationChanged) -> None:
    page.holdings.hold(recorded, event.qualification, event.value, page.date(recorded))


@_of(QualificationRevoked)
def _qualification_revoked(page: Page, recorded: Recorded, event: QualificationRevoked) -> None:
    page.holdings.drop(recorded, event.qualification)


@_of(TaskRunCreated)
def _task_run_created(page: Page, recorded: Recorded, event: TaskRunCreated) -> None:
    page.begin_run(births.run_facts(event))
    page.add(recorded, births.task_run_row(event, page.date(recorded)))


@_of(TaskRunDeployed)
def _task_run_deployed(page: Page, recorded: Recorded, event: TaskRunDeployed) -> None:
    page.set(recorded, _SERVER_URL, event.url)


@_of(TaskRunDataExhausted)
def _task_run_data_exhausted(page: Page, recorded: Recorded, event: TaskRunDataExhausted) -> None:
    page.set(recorded, _ASSIGNMENT_COUNT, event.assignments)


@_of(TaskRunCompleted)
def _task_run_completed(page: Page, recorded: Recorded, _: TaskRunCompleted) -> None:
    page.set(recorded, _IS_COMPLETED, True)


@_of(AssignmentCreated)
def _assignment_created(page: Page, recorded: Recorded, event: AssignmentCreated) -> None:
    page.add(recorded, births.assignment_row(event, page.run_of(recorded), page.date(recorded)))


@_of(UnitCreated)
def _unit_created(page: Page, recorded: Recorded, event: UnitCreated) -> None:
    page.add(recorded, births.unit_row(event, page.run_of(recorded), page.date(recorded)))


@_of(UnitAssigned)
def _unit_assigned(page: Page, recorded: Recorded, event: UnitAssigned) -> None:
    page.set(recorded, _HOLDER, event.agent, event.worker)


@_of(UnitReleased, UnitReopened)
def _unit_without_holder(page: Page, recorded: Recorded, _: UnitReleased | UnitReopened) -> None:
    page.set(recorded, _HOLDER, None, None)


@_of(AgentAccepted)
def _agent_accepted(page: Page, recorded: Recorded, event: AgentAccepted) -> None:
    page.add(recorded, births.agent_row(event, page.run_of(recorded), page.date(recorded)))


@_of(AgentStarted)
def _agent_started(page: Page, recorded: Recorded, _: AgentStarted) -> None:
    page.set(recorded, _TASK_START, recorded.envelope.at / 1_000_000)


@_of(AgentSubmitted)
def _agent_submitted(page: Page, recorded: Recorded, event: AgentSubmitted) -> None:
    page.set(recorded, _TASK_END, recorded.envelope.at / 1_000_000)
    _keep(page, recorded, event.submission, event.files)


@_of(AgentSubmittedAgain)
def _agent_submitted_again(page: Page, recorded: Recorded, event: AgentSubmittedAgain) -> None:
    _keep(page, recorded, event.submission, event.files)


@_of(AgentUpdateReceived, AgentObserved)
def _agent_update(page: Page, recorded: Recorded, event: AgentUpdateReceived | AgentObserved) -> None:
    _keep(page, recorded, event.update)


@_of(AgentMetadataReceived)
def _agent_metadata_received(page: Page, recorded: Recorded, event: AgentMetadataReceived) -> None:
    _keep(page, recorded, event.metadata)


def _keep(page: Page, recorded: Recorded, ref: PayloadRef, files: tuple[FileRef, ...] = ()) -> None:
    page.agent_payloads.append(births.agent_payload_row(recorded, ref, files))


@_of(AgentApproved)
def _agent_approved(page: Page, recorded: Recorded, event: AgentApproved) -> None:
    note, date = page.text(event.note), page.date(recorded)
    page.reviews.add(recorded, AgentStatus.APPROVED, note, event.bonus_cents or None, date)
    if event.bonus_cents:
        page.bonuses.add(recorded, event.bonus_cents, note, date)


@_of(AgentBonusGranted)
def _agent_bonus_granted(page: Page, recorded: Recorded, event: AgentBonusGranted) -> None:
    page.bonuses.add(recorded, event.bonus_cents, page.text(event.reason), page.date(recorded))


@_of(AgentSoftRejected)
def _agent_soft_rejected(page: Page, recorded: Recorded, event: AgentSoftRejected) -> None:
    page.reviews.add(recorded, AgentStatus.SOFT_REJECTED, page.text(event.note), None, page.date(recorded))


@_of(AgentRejected)
def _agent_rejected(page: Page, recorded: Recorded, event: AgentRejected) -> None:
    page.reviews.add(recorded, AgentStatus.REJECTED, page.text(event.note), None, page.date(recorded))


@_of(OnboardingStarted)
def _onboarding_started(page: Page, recorded: Recorded, event: OnboardingStarted) -> None:
    page.add(recorded, births.onboarding_agent_row(event, page.run_of(recorded), page.date(recorded)))


@_of(OnboardingSubmitted)
def _onboarding_submitted(page: Page, recorded: Recorded, event: OnboardingSubmitted) -> None:
    page.set(recorded, _SUBMISSION, event.submission.sha256, event.submission.size)
