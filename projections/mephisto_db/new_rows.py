"""Builds the first row of an entity from the event that created it."""

from __future__ import annotations

import msgspec

from ...core.lifecycles.agent import AgentStatus
from ...core.lifecycles.onboarding import OnboardingStatus
from ...core.lifecycles.task_run import TaskRunStatus
from ...core.lifecycles.unit import UnitStatus
from ...core.lifecycles.worker import WorkerStatus
from ...events.agent import AgentAccepted, AgentModelReplied
from ...events.assignment import AssignmentCreated
from ...events.base import FileRef, PayloadRef
from ...events.codec import KIND_OF
from ...events.envelope import RecordedEvent
from ...events.ids import AgentId, OnboardingAgentId
from ...events.onboarding import OnboardingStarted
from ...events.streams import number_of
from ...events.task_run import TaskRunCreated
from ...events.unit import UnitCreated
from ...events.worker import WorkerRegistered
from .batch import RunFacts
from .rows import (
    AgentPayloadRow,
    AgentRow,
    AssignmentRow,
    ModelReplyRow,
    OnboardingAgentRow,
    OnboardingPayloadRow,
    TaskRunRow,
    UnitRow,
    WorkerRow,
)

#: Providers without real workers or real money.
SANDBOX_PROVIDERS = frozenset({"mock", "mturk_sandbox"})


def run_facts(event: TaskRunCreated) -> RunFacts:
    """Extract the facts that every row of a run repeats."""
    return RunFacts(
        task_run_id=event.task_run,
        task_id=event.task,
        requester_id=event.requester,
        provider_type=event.provider_type,
        task_type=event.blueprint_type,
        sandbox=event.provider_type in SANDBOX_PROVIDERS,
    )


def task_run_row(event: TaskRunCreated, date: str) -> TaskRunRow:
    """Build the row of a run. Its events are counted when the batch is written."""
    run = run_facts(event)
    return TaskRunRow(
        task_run_id=run.task_run_id,
        task_id=run.task_id,
        requester_id=run.requester_id,
        init_params=event.config,
        is_completed=False,
        provider_type=run.provider_type,
        task_type=run.task_type,
        sandbox=run.sandbox,
        creation_date=date,
        end_date=None,
        status=TaskRunStatus.CREATED.value,
        server_url=None,
        assignment_count=None,
        admission_paused_by=None,
        pausing=None,
        event_count=0,
        last_event_date=date,
    )


def assignment_row(event: AssignmentCreated, run: RunFacts, date: str) -> AssignmentRow:
    """Build the row of an assignment."""
    return AssignmentRow(
        assignment_id=event.assignment,
        task_id=run.task_id,
        task_run_id=run.task_run_id,
        requester_id=run.requester_id,
        task_type=run.task_type,
        provider_type=run.provider_type,
        sandbox=run.sandbox,
        creation_date=date,
        number=event.number,
        data_sha256=event.data.sha256,
        data_size=event.data.size,
    )


def unit_row(event: UnitCreated, run: RunFacts, date: str) -> UnitRow:
    """Build the row of a unit that is not assigned yet."""
    return UnitRow(
        unit_id=event.unit,
        assignment_id=event.assignment,
        unit_index=event.index,
        pay_amount=event.pay_cents / 100,
        provider_type=run.provider_type,
        status=UnitStatus.CREATED.value,
        agent_id=None,
        worker_id=None,
        task_type=run.task_type,
        task_id=run.task_id,
        task_run_id=run.task_run_id,
        sandbox=run.sandbox,
        requester_id=run.requester_id,
        creation_date=date,
        pay_cents=event.pay_cents,
    )


def worker_row(event: WorkerRegistered, name: str | None, date: str) -> WorkerRow:
    """Build the row of a worker. The name is None if it was erased."""
    return WorkerRow(
        worker_id=event.worker,
        worker_name=name,
        provider_type=event.provider_type,
        creation_date=date,
        status=WorkerStatus.REGISTERED.value,
    )


def agent_row(event: AgentAccepted, run: RunFacts, date: str) -> AgentRow:
    """Build the row of an agent that has not started."""
    return AgentRow(
        agent_id=event.agent,
        worker_id=event.worker,
        unit_id=event.unit,
        task_id=run.task_id,
        task_run_id=run.task_run_id,
        assignment_id=event.assignment,
        task_type=run.task_type,
        provider_type=run.provider_type,
        status=AgentStatus.ACCEPTED.value,
        creation_date=date,
        task_start=None,
        task_end=None,
    )


def onboarding_agent_row(event: OnboardingStarted, run: RunFacts, date: str) -> OnboardingAgentRow:
    """Build the row of an onboarding agent that has not submitted."""
    return OnboardingAgentRow(
        onboarding_agent_id=event.agent,
        worker_id=event.worker,
        task_id=run.task_id,
        task_run_id=run.task_run_id,
        task_type=run.task_type,
        status=OnboardingStatus.ONBOARDING.value,
        creation_date=date,
        submission_sha256=None,
        submission_size=None,
    )


def model_reply_row(recorded: RecordedEvent, event: AgentModelReplied, date: str) -> ModelReplyRow:
    """Build the row of a reply of a language model."""
    return ModelReplyRow(
        model_reply_id=recorded.seq,
        agent_id=AgentId(number_of(recorded.envelope.stream)),
        number=event.number,
        model=event.model,
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        cost_micros=event.cost_micros,
        cost_cents=event.cost_cents,
        latency_ms=event.latency_ms,
        creation_date=date,
    )


def agent_payload_row(
    recorded: RecordedEvent, ref: PayloadRef, files: tuple[FileRef, ...] = (), details: PayloadRef | None = None
) -> AgentPayloadRow:
    """Build the row of a payload that an agent sent or received."""
    seq, envelope = recorded
    return AgentPayloadRow(
        agent_payload_id=seq,
        agent_id=AgentId(number_of(envelope.stream)),
        kind=KIND_OF[type(envelope.event)],
        sha256=ref.sha256,
        size=ref.size,
        files=msgspec.json.encode(files).decode() if files else None,
        at=envelope.at,
        file_details_sha256=details.sha256 if details else None,
        file_details_size=details.size if details else None,
    )


def onboarding_payload_row(recorded: RecordedEvent, ref: PayloadRef) -> OnboardingPayloadRow:
    """Build the row of a live update of an onboarding."""
    seq, envelope = recorded
    return OnboardingPayloadRow(
        onboarding_payload_id=seq,
        onboarding_agent_id=OnboardingAgentId(number_of(envelope.stream)),
        kind=KIND_OF[type(envelope.event)],
        sha256=ref.sha256,
        size=ref.size,
        at=envelope.at,
    )
