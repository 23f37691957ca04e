"""Finds what runs still hold outside, and releases it through the plugin that knows how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from ....events.envelope import RecordedEvent
from ....events.ids import TaskRunId
from ....events.resource import ResourceEvent
from ....events.streams import number_of, run_of
from ...abstractions.resources import HoldsResources, Resources
from ...errors import ConfigError
from ...ledger import Ledger
from ...lifecycles.resource import ResourceState, ResourceStatus, evolve
from ...ports import Ids
from ..registry import resource_holders


class HeldResource(msgspec.Struct, frozen=True, kw_only=True):
    """An outside resource that the log does not say was released."""

    task_run_id: TaskRunId
    number: int
    resource_type: str
    #: `intended`: the log does not say whether it was acquired.
    status: str
    details: dict[str, str | int]
    #: Time of its last event, in microseconds since the epoch.
    since: int


def held_resources(events: Iterable[RecordedEvent]) -> Iterator[HeldResource]:
    """Yield what is still held according to the histories of outside resources, the oldest first.

    Args:
        events: all events of the streams in question, in the order of the log.
    """
    states: dict[str, ResourceState] = {}
    since: dict[str, int] = {}
    for recorded in events:
        stream, event = recorded.envelope.stream, recorded.envelope.event
        if isinstance(event, ResourceEvent):
            states[stream] = evolve(states.get(stream), event)
            since[stream] = recorded.envelope.at
    for stream, state in states.items():
        if state.status is not ResourceStatus.RELEASED:
            yield HeldResource(
                task_run_id=run_of(stream),
                number=number_of(stream),
                resource_type=state.resource_type,
                status=state.status.value,
                details=state.details,
                since=since[stream],
            )


async def release_resource(ledger: Ledger, ids: Ids, held: HeldResource) -> None:
    """Release a resource that is held, and record that.

    Raises:
        ConfigError: the plugin that knows how is not installed.
        LaunchError: it could not be released.
    """
    await _holder(held.resource_type).release(held.details)
    await Resources(ledger, ids, held.task_run_id).released(held.number, "released on request")


def _holder(resource_type: str) -> type[HoldsResources]:
    for holder in resource_holders():
        if resource_type in holder.RESOURCE_TYPES:
            return holder
    raise ConfigError(
        f"nothing that is installed knows how to release a {resource_type!r}",
        hint="Install the plugin that the run was launched with",
    )
