"""Base classes of commands, and the request that carries a command to the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from ...events.envelope import Position
from ...events.ids import TaskRunId
from ...events.streams import DIRECTORY, partition_of_run
from ..ports import Expect, Payload


class Command(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    gc=False,
    tag_field="command",
):
    """A request for a change, as data.

    A command holds everything that its decision needs beside the state: ids for new entities, answers of user code,
    references to payloads. So it can be sent as JSON, and decided again later.
    """

    @property
    def partitions(self) -> tuple[str, ...]:
        """Partitions of the log that the command may write to, in the order in which they are locked."""
        raise NotImplementedError


class DirectoryCommand(Command, frozen=True, kw_only=True):
    """A command about workers, tasks, requesters or qualifications."""

    @property
    def partitions(self) -> tuple[str, ...]:
        """The directory alone."""
        return (DIRECTORY,)


class RunCommand(Command, frozen=True, kw_only=True):
    """A command about one task run."""

    task_run: TaskRunId

    @property
    def partitions(self) -> tuple[str, ...]:
        """The partition of the run alone."""
        return (partition_of_run(self.task_run),)


class RunAndDirectoryCommand(RunCommand, frozen=True, kw_only=True):
    """A command about one task run that may also change the directory, for instance a worker's qualifications."""

    @property
    def partitions(self) -> tuple[str, ...]:
        """The directory and the partition of the run."""
        return (DIRECTORY, partition_of_run(self.task_run))


AnyOf = TypeVar("AnyOf", bound=Command, covariant=True)


class CommandRequest(msgspec.Struct, Generic[AnyOf], frozen=True, omit_defaults=True):
    """A command with everything that the log records about who gave it.

    Encodes to JSON; `core.commands.catalogue.decode_request` reads it back.
    """

    #: Idempotency key: a command with this id is executed at most once, ever.
    id: str
    #: Author of the events, for instance `operator`, `worker/3`, `reviewer`.
    actor: str
    command: AnyOf
    #: Position of the event that led to this command.
    cause: Position | None = None
    #: Bytes that the command refers to.
    payloads: tuple[Payload, ...] = ()
    #: True if the id may have been used before, by this process or an earlier one. New ids need no look at the log.
    idempotent: bool = False
    #: Versions that streams must have; the command is refused if one has moved on.
    expected: Mapping[str, int | Expect] = {}

    @property
    def partitions(self) -> tuple[str, ...]:
        """Partitions of the log that the command may write to, in the order in which they are locked."""
        return self.command.partitions
