"""The rows of the view, one struct per table. Its fields are the columns, in order; the schema is derived from them.

Names and meanings are Mephisto's, so its notebooks and SQL work unchanged. Columns that Mephisto does not have
come last. Dates are UTC, such as `2024-10-18 09:30:00.000`. The only personal values are a worker's name and a
reviewer's note; both are None once they are erased.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import gmtime, strftime
from typing import TypeVar

import msgspec

from ...events.base import PayloadRef
from ...events.ids import (
    AgentId,
    AssignmentId,
    OnboardingAgentId,
    ProjectId,
    QualificationId,
    RequesterId,
    TaskId,
    TaskRunId,
    UnitId,
    WorkerId,
)


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row of a table."""

    @property
    def db_id(self) -> int:
        """The primary key, which is the first column."""
        key: int = getattr(self, self.__struct_fields__[0])
        return key


R = TypeVar("R", bound=Row)


def from_columns(row: type[R], columns: Mapping[str, object]) -> R:
    """Construct a row from values as SQLite returns them.

    Raises:
        msgspec.ValidationError: a value does not have the type of its column.
    """
    # Not strict: SQLite stores booleans as integers.
    return msgspec.convert(columns, row, strict=False)


class ProjectRow(Row, frozen=True, gc=False):
    """A group of tasks."""

    project_id: ProjectId
    project_name: str
    creation_date: str


class TaskRow(Row, frozen=True, gc=False):
    """A kind of work, identified by its name."""

    task_id: TaskId
    task_name: str
    task_type: str
    #: None if the task is in no project.
    project_id: ProjectId | None
    parent_task_id: TaskId | None
    creation_date: str


class RequesterRow(Row, frozen=True, gc=False):
    """An account at a crowd provider."""

    requester_id: RequesterId
    requester_name: str
    provider_type: str
    creation_date: str


class TaskRunRow(Row, frozen=True, gc=False):
    """One launch of a task with one configuration."""

    task_run_id: TaskRunId
    task_id: TaskId
    requester_id: RequesterId
    #: The configuration as JSON, with secrets redacted.
    init_params: str
    is_completed: bool
    provider_type: str
    task_type: str
    sandbox: bool
    creation_date: str
    #: None while it has not ended; verdicts and payments after its end do not move it.
    end_date: str | None
    status: str
    #: The URL at which workers reach the run; None until it is deployed.
    server_url: str | None
    #: The number of assignments in the data; None until the data is exhausted.
    assignment_count: int | None
    #: The function of the task whose failures keep newcomers from getting work; None if newcomers are admitted.
    admission_paused_by: str | None
    #: Why the run is to be paused once nobody is at work; None if it is not.
    pausing: str | None
    #: Number of events of the run and of everything that belongs to it.
    event_count: int
    last_event_date: str


class AssignmentRow(Row, frozen=True, gc=False):
    """One piece of input data."""

    assignment_id: AssignmentId
    task_id: TaskId
    task_run_id: TaskRunId
    requester_id: RequesterId
    task_type: str
    provider_type: str
    sandbox: bool
    creation_date: str
    #: Index in the run's data, from 0.
    number: int
    data_sha256: str
    data_size: int

    @property
    def data(self) -> PayloadRef:
        """The reference to the input data."""
        return PayloadRef(self.data_sha256, self.data_size)


class UnitRow(Row, frozen=True, gc=False):
    """The smallest piece of work."""

    unit_id: UnitId
    assignment_id: AssignmentId
    unit_index: int
    #: In whole currency, for Mephisto's queries; `pay_cents` is exact.
    pay_amount: float
    provider_type: str
    status: str
    agent_id: AgentId | None
    worker_id: WorkerId | None
    task_type: str
    task_id: TaskId
    task_run_id: TaskRunId
    sandbox: bool
    requester_id: RequesterId
    creation_date: str
    pay_cents: int


class WorkerRow(Row, frozen=True, gc=False):
    """A person who works."""

    worker_id: WorkerId
    #: The name at the provider; None once it is erased.
    worker_name: str | None
    provider_type: str
    creation_date: str
    status: str


class AgentRow(Row, frozen=True, gc=False):
    """A worker's work on one unit."""

    agent_id: AgentId
    worker_id: WorkerId
    unit_id: UnitId
    task_id: TaskId
    task_run_id: TaskRunId
    assignment_id: AssignmentId
    task_type: str
    provider_type: str
    status: str
    creation_date: str
    #: Start of the work in seconds since the epoch; None if it has not started.
    task_start: float | None
    #: Submission of the work in seconds since the epoch; None if it was not submitted.
    task_end: float | None


class OnboardingAgentRow(Row, frozen=True, gc=False):
    """A worker in the onboarding step of a run."""

    onboarding_agent_id: OnboardingAgentId
    worker_id: WorkerId
    task_id: TaskId
    task_run_id: TaskRunId
    task_type: str
    status: str
    creation_date: str
    submission_sha256: str | None
    submission_size: int | None

    @property
    def submission(self) -> PayloadRef | None:
        """The reference to the onboarding submission; None if there is none."""
        if self.submission_sha256 is None or self.submission_size is None:
            return None
        return PayloadRef(self.submission_sha256, self.submission_size)


class QualificationRow(Row, frozen=True, gc=False):
    """A qualification, identified by its name."""

    qualification_id: QualificationId
    qualification_name: str
    creation_date: str
    description: str | None


class GrantedQualificationRow(Row, frozen=True, gc=False):
    """A qualification of a worker."""

    #: Position of the event that granted it.
    granted_qualification_id: int
    worker_id: WorkerId
    qualification_id: QualificationId
    value: int
    update_date: str
    creation_date: str


class UnitReviewRow(Row, frozen=True, gc=False):
    """A reviewer's verdict on a unit."""

    #: Position of the event that holds the verdict.
    id: int
    unit_id: UnitId
    worker_id: WorkerId
    task_id: TaskId
    status: str
    review_note: str | None
    #: In cents; None if there is no bonus.
    bonus: int | None
    blocked_worker: bool
    updated_qualification_id: QualificationId | None
    updated_qualification_value: int | None
    revoked_qualification_id: QualificationId | None
    creation_date: str


class AgentBonusRow(Row, frozen=True, gc=False):
    """A bonus, part of a verdict or granted separately. Mephisto has only those of verdicts, in `unit_review`."""

    #: Position of the event that grants it.
    agent_bonus_id: int
    agent_id: AgentId
    bonus_cents: int
    #: The reason, or the note of the verdict; None if there is none or it was erased.
    reason: str | None
    creation_date: str


class AgentOpinionRow(Row, frozen=True, gc=False):
    """A reviewer's opinion on work without a verdict; two of them differ. Not in Mephisto."""

    #: Position of the event.
    agent_opinion_id: int
    agent_id: AgentId
    #: `approve`, `soft_reject` or `reject`.
    opinion: str
    reviewer: str
    #: None if there is none or it was erased.
    note: str | None
    creation_date: str


class ModelReplyRow(Row, frozen=True, gc=False):
    """A reply of a language model to the task's code. Not in Mephisto."""

    #: Position of the event.
    model_reply_id: int
    agent_id: AgentId
    #: 1, 2, 3 ... among the questions on behalf of the agent.
    number: int
    model: str
    input_tokens: int | None
    output_tokens: int | None
    #: Millionths of the currency's main unit.
    cost_micros: int
    #: Cents that it counts for in the run's budget.
    cost_cents: int
    latency_ms: int
    creation_date: str


class AgentPayloadRow(Row, frozen=True, gc=False):
    """A reference to something an agent sent or received. Not in Mephisto."""

    #: Position of the event that refers to it.
    agent_payload_id: int
    agent_id: AgentId
    #: Kind of that event, such as `agent_submitted`.
    kind: str
    sha256: str
    size: int
    #: Uploaded files as a JSON list of objects with `filename`, `size` and `sha256`; None if there are none.
    files: str | None
    #: Microseconds since the epoch.
    at: int
    #: What the worker's browser said about the files; None if there are none.
    file_details_sha256: str | None
    file_details_size: int | None

    @property
    def ref(self) -> PayloadRef:
        """The reference to the bytes."""
        return PayloadRef(self.sha256, self.size)

    @property
    def file_details(self) -> PayloadRef | None:
        """The reference to the details of the files; None if there are none."""
        if self.file_details_sha256 is None or self.file_details_size is None:
            return None
        return PayloadRef(self.file_details_sha256, self.file_details_size)


class OnboardingPayloadRow(Row, frozen=True, gc=False):
    """A reference to what the page of an onboarding was given, or to a live update. Not in Mephisto."""

    #: Position of the event that refers to it.
    onboarding_payload_id: int
    onboarding_agent_id: OnboardingAgentId
    #: Kind of that event, such as `onboarding_observed`.
    kind: str
    sha256: str
    size: int
    #: Microseconds since the epoch.
    at: int

    @property
    def ref(self) -> PayloadRef:
        """The reference to the bytes."""
        return PayloadRef(self.sha256, self.size)


@lru_cache(maxsize=1024)
def date_of(at: int) -> str:
    """Format a time in microseconds since the epoch as the tables do: UTC, to the millisecond."""
    return f"{_second(at // 1_000_000)}.{at // 1000 % 1000:03d}"


def end_of(date: str) -> int:
    """Return the last microsecond, since the epoch, of the millisecond that a date names."""
    since = datetime.fromisoformat(date).replace(tzinfo=UTC) - datetime.fromtimestamp(0, UTC)
    return since // timedelta(microseconds=1) + 999


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return strftime("%Y-%m-%d %H:%M:%S", gmtime(second))
