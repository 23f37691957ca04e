"""Describes a project that is to be made at CloudResearch Connect.

Follows `Create a project` of the vendor's reference, as an unofficial client has it (see `answers`).
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import msgspec

from ....core.errors import ConfigError
from ..api.amounts import units_of

MAX_NAME_LENGTH = 500
MAX_SUMMARY_LENGTH = 5000
MIN_ESTIMATED_MINUTES = 2


class CompletionKind(Enum):
    """Ways in which people can complete a project."""

    REDIRECT_URL = "RedirectUrl"
    COMPLETION_CODE = "CompletionCode"


class CompletionSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The way people complete a project."""

    project_completion_type: CompletionKind
    #: The code; not used for a redirect.
    value: str | None = None


class ParticipantTargeting(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """People who may or may not take part."""

    included_participants: tuple[str, ...] = ()
    excluded_participants: tuple[str, ...] = ()


class ProjectTargeting(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Projects whose people may or may not take part."""

    included_projects: tuple[str, ...] = ()
    excluded_projects: tuple[str, ...] = ()


class PlatformTargeting(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Lists of people and projects. The site freezes them at launch."""

    participants: ParticipantTargeting | None = None
    projects: ProjectTargeting | None = None


class ProjectRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A project that is to be made; people see it once it is live."""

    name: str
    #: Dollars for one assignment; `project_request` makes them from cents.
    payment: Decimal
    #: Minutes.
    estimated_time_in_minutes: int
    #: Places.
    participants: int
    project_url: str | None = None
    internal_name: str | None = None
    summary: str | None = None
    #: HTML.
    instructions: str | None = None
    #: Minutes; more than the estimate.
    max_time_in_minutes: int | None = None
    device_requirements: tuple[str, ...] = ()
    completion_settings: CompletionSettings | None = None
    platform_targeting: PlatformTargeting | None = None


class ProjectChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The fields that can still be changed once a project is live or paused, and the lists of a draft."""

    name: str | None = None
    project_url: str | None = None
    summary: str | None = None
    instructions: str | None = None
    #: Places, an absolute number that can only grow.
    participants: int | None = None
    #: Only until the launch.
    platform_targeting: PlatformTargeting | None = None


def check_project(project: ProjectRequest) -> None:
    """Check a project against the site's written bounds.

    Raises:
        ConfigError: the site would refuse it.
    """
    minutes, most = project.estimated_time_in_minutes, project.max_time_in_minutes
    if not 0 < len(project.name) <= MAX_NAME_LENGTH or len(project.summary or "") > MAX_SUMMARY_LENGTH:
        raise ConfigError(
            "the project's name or summary is too long for Connect",
            hint=f"A name has up to {MAX_NAME_LENGTH} characters, a summary up to {MAX_SUMMARY_LENGTH}",
        )
    if minutes < MIN_ESTIMATED_MINUTES or (most is not None and most <= minutes):
        raise ConfigError(
            "Connect does not take the project's times",
            hint=f"The estimate is at least {MIN_ESTIMATED_MINUTES} minutes, and the longest time is above it",
        )
    if project.participants < 1:
        raise ConfigError("a project at Connect has at least one place")


def dollars(cents: int) -> Decimal:
    """Return cents as the dollars of a request.

    Raises:
        ValueError: they cannot be paid.
    """
    return units_of(cents)
