"""What a run acquires outside, recorded before and after, so that a crash leaves nothing unknown behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import trio

from ...events.ids import TaskRunId
from ...events.server import ResourceAcquired, ResourceFailed, ResourceIntended, ResourceReleased, ServerEvent
from ..command_issuer import CommandIssuer
from ..commands.task_run import RecordResource
from ..errors import LaunchError
from ..ledger import Ledger
from ..ports import Ids
from ..redaction import redacted_text

Details = Mapping[str, str | int]


class HoldsResources:
    """What acquires things outside, and can release what a process that died has left.

    Attributes:
        RESOURCE_TYPES: the types of what it acquires, as they are recorded.
    """

    RESOURCE_TYPES: ClassVar[tuple[str, ...]] = ()

    @classmethod
    async def release(cls, details: Details) -> None:
        """Release something that an earlier process has left; returns when nothing is held any more.

        It may never have been acquired, or be gone already: twice is harmless.

        Args:
            details: what was recorded of it.

        Raises:
            LaunchError: it is still there, or nobody can tell; the sentence says what to do.
        """
        raise LaunchError("release", f"{cls.__name__} does not say how to release what it has left: {dict(details)}")


class Resources:
    """Records the history of a run's outside resources.

    A cancelled caller learns of it after the event is recorded, at its next checkpoint: otherwise it would not know
    the number of something that the log calls held.
    """

    def __init__(self, ledger: Ledger, ids: Ids, task_run: TaskRunId) -> None:
        self._issuer = CommandIssuer(ledger, ids)
        self._ids = ids
        self._run = task_run

    def new_secret(self) -> str:
        """A new unguessable text, for what must be opened by the run alone. It is recorded nowhere."""
        return self._ids.token()

    async def intend(self, resource_type: str, details: Details) -> int:
        """Record that an outside call is about to be made.

        Args:
            resource_type: for instance `local_router`.
            details: what is needed to find or release it later; no secrets.

        Returns:
            The number by which the resource is known from now on.
        """
        number = self._ids.next_id("server")
        await self._record(number, ResourceIntended(resource_type=resource_type, details=dict(details)))
        return number

    async def acquired(self, number: int, details: Details) -> None:
        """Record that the outside call succeeded, and what is known of the resource since."""
        await self._record(number, ResourceAcquired(details=dict(details)))

    async def failed(self, number: int, reason: str) -> None:
        """Record that the outside call failed and nothing is held."""
        await self._record(number, ResourceFailed(reason=redacted_text(reason)))

    async def released(self, number: int, reason: str) -> None:
        """Record that nothing is held any more."""
        await self._record(number, ResourceReleased(reason=reason))

    async def _record(self, number: int, event: ServerEvent) -> None:
        with trio.CancelScope(shield=True):  # as long as one commit
            await self._append(number, event)

    async def _append(self, number: int, event: ServerEvent) -> None:
        await self._issuer.issue(RecordResource(task_run=self._run, number=number, event=event))
