"""What the rows of each table can be found by: Mephisto's keywords. One that is None, or left out, excludes nothing."""

from __future__ import annotations

from typing import TypedDict

#: The id of an entity. A text of digits does as well: Mephisto's scripts hold ids as texts.
EntityId = int | str


class TaskCriteria(TypedDict, total=False):
    """What tasks can be found by."""

    task_name: str | None
    project_id: EntityId | None


class RequesterCriteria(TypedDict, total=False):
    """What requesters can be found by."""

    requester_name: str | None
    provider_type: str | None


class TaskRunCriteria(TypedDict, total=False):
    """What runs can be found by."""

    task_id: EntityId | None
    requester_id: EntityId | None
    is_completed: bool | None
    status: str | None


class AssignmentCriteria(TypedDict, total=False):
    """What assignments can be found by."""

    task_run_id: EntityId | None
    task_id: EntityId | None
    requester_id: EntityId | None
    task_type: str | None
    provider_type: str | None
    sandbox: bool | None


class UnitCriteria(TypedDict, total=False):
    """What units can be found by."""

    task_id: EntityId | None
    task_run_id: EntityId | None
    requester_id: EntityId | None
    assignment_id: EntityId | None
    unit_index: int | None
    provider_type: str | None
    task_type: str | None
    agent_id: EntityId | None
    worker_id: EntityId | None
    sandbox: bool | None
    status: str | None


class WorkerCriteria(TypedDict, total=False):
    """What workers can be found by."""

    worker_name: str | None
    provider_type: str | None


class AgentCriteria(TypedDict, total=False):
    """What agents can be found by."""

    status: str | None
    unit_id: EntityId | None
    worker_id: EntityId | None
    task_id: EntityId | None
    task_run_id: EntityId | None
    assignment_id: EntityId | None
    task_type: str | None
    provider_type: str | None


class OnboardingAgentCriteria(TypedDict, total=False):
    """What onboarding agents can be found by."""

    status: str | None
    worker_id: EntityId | None
    task_id: EntityId | None
    task_run_id: EntityId | None
    task_type: str | None


class GrantedQualificationCriteria(TypedDict, total=False):
    """What granted qualifications can be found by."""

    worker_id: EntityId | None
    qualification_id: EntityId | None
    value: int | None


class UnitReviewCriteria(TypedDict, total=False):
    """What verdicts can be found by."""

    unit_id: EntityId | None
    worker_id: EntityId | None
    task_id: EntityId | None
    status: str | None


class AgentBonusCriteria(TypedDict, total=False):
    """What bonuses can be found by."""

    agent_id: EntityId | None


class AgentPayloadCriteria(TypedDict, total=False):
    """What an agent's payloads can be found by."""

    agent_id: EntityId | None
    kind: str | None
