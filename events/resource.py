"""Events of something that a run holds outside: a server, an app, an object at a provider.

The intention is recorded before the outside call and the result after it, so that whatever a crash leaves behind can be
listed and removed.
"""

from __future__ import annotations

from .base import Event


class ResourceIntended(Event, frozen=True, kw_only=True, tag="resource_intended"):
    """The outside call is about to be made."""

    #: For instance `local_router`.
    resource_type: str
    #: Data by which it can be found and released later; no secrets.
    details: dict[str, str | int]


class ResourceAcquired(Event, frozen=True, kw_only=True, tag="resource_acquired"):
    """The outside call succeeded."""

    details: dict[str, str | int]


class ResourceFailed(Event, frozen=True, kw_only=True, tag="resource_failed"):
    """The outside call failed, and nothing is held."""

    reason: str


class ResourceReleased(Event, frozen=True, kw_only=True, tag="resource_released"):
    """Nothing is held any more."""

    reason: str


ResourceEvent = ResourceIntended | ResourceAcquired | ResourceFailed | ResourceReleased
