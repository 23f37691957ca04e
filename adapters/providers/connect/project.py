"""Describes the project of a run at Connect, from the run's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from omegaconf import DictConfig, OmegaConf

from ....core.abstractions.resources import Resources
from ....core.decisions.settlement import CrowdSite
from ....core.errors import ConfigError
from ....core.operations.configuration.task_settings import read_task_settings
from ..arrival_page import VisitEnd, VisitText
from ..link.arrival import ArrivalNames
from ..terms import TERMS
from .project_request import (
    CompletionKind,
    CompletionSettings,
    ParticipantTargeting,
    PlatformTargeting,
    ProjectRequest,
    ProjectTargeting,
    check_project,
    dollars,
)

#: The parameters that Connect adds to the address.
ARRIVAL_NAMES = ArrivalNames("participantId", work="assignmentId", study="projectId", ignores_case=True)
_CODE_LENGTH = 10
_MINUTES = "mephisto.provider.connect_estimated_time_in_minutes"


def completion_code(resources: Resources) -> str:
    """Return the completion code of a run, the same in every process of the run."""
    return f"C{resources.secret_for('connect completion code')[:_CODE_LENGTH].upper()}"


def visit_end(code: str) -> VisitEnd:
    """Return the end of a visit, as the page shows it."""
    return VisitEnd(sentence=VisitText.CONNECT_CODE, code=code)


def page_url(args: DictConfig, server_url: str) -> str:
    """Return the address that people open; Connect adds its parameters."""
    return str(args.provider.connect_project_url or f"{server_url.rstrip('/')}/")


def project_request(
    args: DictConfig,
    *,
    code: str,
    internal_name: str,
    url: str,
    places: int,
    excluded_people: Sequence[str] = (),
    excluded_projects: Sequence[str] = (),
) -> ProjectRequest:
    """Return a project.

    Args:
        args: the run's whole configuration.
        code: its completion code.
        internal_name: a name by which the project is found after a lost answer.
        url: the address of the page.
        places: its places.
        excluded_people: people who may not take part, beside those in the configuration.
        excluded_projects: earlier projects of the run, whose people may not take part again.

    Raises:
        ConfigError: Connect would refuse it.
    """
    task, provider = read_task_settings(args.task), args.provider
    minutes = provider.connect_estimated_time_in_minutes
    description = task.task_description or task.task_title
    targeting = project_targeting(args, excluded_people=excluded_people, excluded_projects=excluded_projects)
    request = ProjectRequest(
        name=task.task_title,
        payment=dollars(task.task_reward_cents),
        estimated_time_in_minutes=minutes,
        participants=places,
        project_url=url,
        internal_name=internal_name,
        summary=description,
        instructions=str(provider.connect_instructions or f"<p>{escape(description)}</p>"),
        max_time_in_minutes=max(-(-task.assignment_duration_in_seconds // 60), minutes + 1),
        completion_settings=CompletionSettings(project_completion_type=CompletionKind.COMPLETION_CODE, value=code),
        platform_targeting=targeting,
    )
    check_project(request)
    return request


def project_targeting(
    args: DictConfig, *, excluded_people: Sequence[str], excluded_projects: Sequence[str]
) -> PlatformTargeting:
    """Return the lists of a project, which Connect freezes at launch; arguments as those of `project_request`."""
    provider = args.provider
    return PlatformTargeting(
        participants=ParticipantTargeting(
            included_participants=_texts(provider.connect_included_participants),
            excluded_participants=(*_texts(provider.connect_excluded_participants), *excluded_people),
        ),
        projects=ProjectTargeting(excluded_projects=(*_texts(provider.connect_excluded_projects), *excluded_projects)),
    )


def check_settings(args: DictConfig) -> None:
    """Check everything about a project that can be checked without asking Connect.

    Raises:
        ConfigError: a setting is wrong, or the pay is too low.
    """
    task = read_task_settings(args.task)
    project_request(args, code="C", internal_name="check", url="https://page.invalid/", places=1)
    minimum = TERMS[CrowdSite.CONNECT].minimum_hourly_cents["USD"]
    minutes = args.provider.connect_estimated_time_in_minutes
    hourly = task.task_reward_cents * 60 // minutes
    if hourly < minimum:
        raise ConfigError(
            f"{task.task_reward_cents} cents for {minutes} minutes are {hourly} an hour; Connect demands {minimum}",
            key="mephisto.task.task_reward",
            hint=f"Raise task_reward, or lower {_MINUTES} if the work is shorter",
        )


def _texts(values: object) -> tuple[str, ...]:
    found = OmegaConf.to_container(values) if OmegaConf.is_config(values) else values
    return tuple(map(str, found)) if isinstance(found, list) else ()
