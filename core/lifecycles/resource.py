"""Lifecycle of something that a run holds outside: a server, an app, an object at a provider."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.resource import ResourceAcquired, ResourceEvent, ResourceFailed, ResourceIntended, ResourceReleased
from .table import Lifecycle, Status, existing, step


class ResourceStatus(Status):
    """Status of an outside resource: unless `released`, it may still exist."""

    INTENDED = "intended"
    ACQUIRED = "acquired"
    RELEASED = "released"


_S = ResourceStatus

RESOURCE = Lifecycle(
    "resource",
    ResourceStatus,
    (
        step(ResourceIntended, None, _S.INTENDED),
        step(ResourceAcquired, _S.INTENDED, _S.ACQUIRED),
        step(ResourceFailed, _S.INTENDED, _S.RELEASED),
        step(ResourceReleased, (_S.INTENDED, _S.ACQUIRED), _S.RELEASED),  # intended: nobody knows, so it is looked for
    ),
)


class ResourceState(msgspec.Struct, frozen=True):
    """State of an outside resource."""

    status: ResourceStatus
    resource_type: str
    details: dict[str, str | int]


def evolve(resource: ResourceState | None, event: ResourceEvent) -> ResourceState:
    """Return the resource after an event.

    Raises:
        IllegalStepError: the lifecycle has no such step.
    """
    status = RESOURCE.after(resource.status if resource else None, event)
    if isinstance(event, ResourceIntended):
        return ResourceState(status, event.resource_type, event.details)
    resource = existing(resource)
    match event:
        case ResourceAcquired():
            return replace(resource, status=status, details=resource.details | event.details)
        case ResourceFailed() | ResourceReleased():
            return replace(resource, status=status)
        case _:
            assert_never(event)
