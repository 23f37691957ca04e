"""Keyword arguments of the reader's `find_...` methods, named as in Mephisto. None matches all, like an omitted one."""

from __future__ import annotations

from typing import TypedDict

#: The id of an entity; a string of digits is accepted too, because Mephisto's scripts keep ids as strings.
EntityId = int | str


class TaskCriteria(TypedDict, total=False):
    """Criteria for finding tasks."""

    task_name: str | None
    project_id: EntityId | None


class RequesterCriteria(TypedDict, total=False):
    """Criteria for finding requesters."""

    requester_name: str | None
    provider_type: str | None


class TaskRunCriteria(TypedDict, total=False):
    """Criteria for finding runs."""

    task_id: EntityId | None
    requester_id: EntityId | None
    is_completed: bool | None
    status: str | None


class AssignmentCriteria(TypedDict, total=False):
    """Criteria for finding assignments."""

    task_run_id: EntityId | None
    task_id: EntityId | None
    requester_id: EntityId | None
    task_type: str | None
    provider_type: str | None
    sandbox: bool | None


class UnitCriteria(TypedDict, total=False):
    """Criteria for finding units."""

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
    """Criteria for finding workers."""

    worker_name: str | None
    provider_type: str | None


class AgentCriteria(TypedDict, total=False):
    """Criteria for finding agents."""

    status: str | None
    unit_id: EntityId | None
    worker_id: EntityId | None
    task_id: EntityId | None
    task_run_id: EntityId | None
    assignment_id: EntityId | None
    task_type: str | None
    provider_type: str | None


class OnboardingAgentCriteria(TypedDict, total=False):
    """Criteria for finding onboarding agents."""

    status: str | None
    worker_id: EntityId | None
    task_id: EntityId | None
    task_run_id: EntityId | None
    task_type: str | None


class GrantedQualificationCriteria(TypedDict, total=False):
    """Criteria for finding granted qualifications."""

    worker_id: EntityId | None
    qualification_id: EntityId | None
    value: int | None


class UnitReviewCriteria(TypedDict, total=False):
    """Criteria for finding verdicts."""

    unit_id: EntityId | None
    worker_id: EntityId | None
    task_id: EntityId | None
    status: str | None


class AgentBonusCriteria(TypedDict, total=False):
    """Criteria for finding bonuses."""

    agent_id: EntityId | None


class AgentPayloadCriteria(TypedDict, total=False):
    """Criteria for finding an agent's payloads."""

    agent_id: EntityId | None
    kind: str | None
