"""Records what a run acquires outside, before and after, so that a crash leaves nothing unknown behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import trio

from ...events import streams
from ...events.ids import TaskRunId
from ...events.resource import ResourceAcquired, ResourceEvent, ResourceFailed, ResourceIntended, ResourceReleased
from ..command_issuer import CommandIssuer
from ..commands.task_run import RecordResource
from ..errors import LaunchError
from ..ledger import Ledger
from ..lifecycles.resource import ResourceStatus
from ..payloads import name_of_worker, pseudonym
from ..ports import Ids
from ..redaction import redacted_text

Details = Mapping[str, str | int]


class RecordedResource(NamedTuple):
    """A resource that the run may hold, according to the log."""

    number: int
    #: False if the log does not tell whether the outside call succeeded.
    is_acquired: bool
    details: Details


class HoldsResources:
    """Base of plugins that acquire resources outside, and can release those that a dead process left behind.

    Attributes:
        RESOURCE_TYPES: the recorded types of its resources.
    """

    RESOURCE_TYPES: ClassVar[tuple[str, ...]] = ()

    @classmethod
    async def release(cls, details: Details) -> None:
        """Release a resource that an earlier process left; returns once nothing is held any more.

        The resource may never have been acquired, or be gone already. May be called more than once.

        Args:
            details: the recorded details of the resource.

        Raises:
            LaunchError: the resource is still there, or its state is unknown; the message has a remedy.
        """
        raise LaunchError("release", f"{cls.__name__} cannot release {dict(details)}: it has no release method")


class Resources:
    """Records the history of a run's outside resources.

    Cancellation takes effect after the event is recorded, at the caller's next checkpoint. Otherwise the caller would
    not know the number of a resource that the log has as held.
    """

    def __init__(self, ledger: Ledger, ids: Ids, task_run: TaskRunId) -> None:
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids)
        self._ids = ids
        self._run = task_run

    @property
    def task_run(self) -> TaskRunId:
        """The run."""
        return self._run

    def held(self, resource_type: str, *, or_released: bool = False) -> list[RecordedResource]:
        """Return the resources of a type that the run has not released, the oldest first.

        Args:
            resource_type: as given to `intend`.
            or_released: include those that the run held once.
        """
        return [
            RecordedResource(
                streams.number_of(stream), resource.status is not ResourceStatus.INTENDED, dict(resource.details)
            )
            for stream, resource in self._ledger.state.resources.items()
            if streams.run_of(stream) == self._run
            and resource.resource_type == resource_type
            and (or_released or resource.status is not ResourceStatus.RELEASED)
        ]

    def workers_at_limit(self, provider_type: str) -> list[str]:
        """Return the provider's names of workers who get no more units of the run's task, because of its maximum.

        A site that shows them the run's work would send them in vain.

        Args:
            provider_type: the provider that they come from.

        Raises:
            LogError: the log cannot be read.
        """
        state = self._ledger.state
        run = state.task_runs[streams.task_run(self._run)]
        if not run.maximum_units_per_worker:
            return []
        runs = {*state.runs_of_task[run.task]} if run.maximum_is_per_task else {self._run}
        engaged = {one.worker: None for stream, one in state.engagements.items() if streams.run_of(stream) in runs}
        return [
            name
            for worker in engaged
            if state.workers[streams.worker(worker)].provider_type == provider_type
            and state.counted_units(self._run, worker) >= run.maximum_units_per_worker
            and (name := name_of_worker(self._ledger.log, worker)) is not None
        ]

    def secret_for(self, purpose: str) -> str:
        """Return an unguessable text of hexadecimal digits, the same in every process of the run.

        It follows from the log's secret key and is not recorded anywhere.
        """
        return pseudonym(self._ledger.log.pseudonym_key, purpose, f"run-{self._run}")

    def new_secret(self) -> str:
        """Return a new unguessable text for access by the run alone. It is not recorded anywhere."""
        return self._ids.token()

    async def intend(self, resource_type: str, details: Details) -> int:
        """Record that an outside call is about to be made.

        Args:
            resource_type: for example `local_router`.
            details: data needed to find or release the resource later; no secrets.

        Returns:
            The number of the resource.
        """
        number = self._ids.next_id("resource")
        await self._record(number, ResourceIntended(resource_type=resource_type, details=dict(details)))
        return number

    async def acquired(self, number: int, details: Details) -> None:
        """Record that the outside call succeeded, with the details that are now known."""
        await self._record(number, ResourceAcquired(details=dict(details)))

    async def failed(self, number: int, reason: str) -> None:
        """Record that the outside call failed and nothing is held."""
        await self._record(number, ResourceFailed(reason=redacted_text(reason)))

    async def released(self, number: int, reason: str) -> None:
        """Record that nothing is held any more."""
        await self._record(number, ResourceReleased(reason=reason))

    async def _record(self, number: int, event: ResourceEvent) -> None:
        with trio.CancelScope(shield=True):  # as long as one commit
            await self._append(number, event)

    async def _append(self, number: int, event: ResourceEvent) -> None:
        await self._issuer.issue(RecordResource(task_run=self._run, number=number, event=event))
