"""Plans the rows of a batch over several partitions, each with its own positions and chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ....core.chain import link
from ....core.errors import LogError
from ....core.ports import AppendRequest, Head
from ....events.codec import KIND_OF, encode
from ....events.engagement import ConsentWithdrawn
from ....events.envelope import Envelope, RecordedEvent
from ....events.streams import partition_of
from ....events.worker import WorkerErased
from ..batch_plan import BatchPlan


class PartitionRow(NamedTuple):
    """An event as the table `es.event` holds it."""

    partition: str
    seq: int
    stream: str
    version: int
    kind: str
    at: int
    command: str
    ordinal: int
    epoch: int
    data: bytes
    chain: bytes


class PartitionPlan(BatchPlan):
    """The planned outcome of a batch over several partitions.

    Each command with events gets a later time than everything its writer has seen in any partition. So the order of
    times puts causes before effects, and keeps the events of a command together.

    Attributes:
        heads: the head that each partition will have.
        written: the rows to insert.
    """

    def __init__(
        self,
        heads: Mapping[str, Head],
        fences: Mapping[str, int],
        seen_at: int,
        version_of: Callable[[str], int],
        find: Callable[[str], tuple[RecordedEvent, ...]],
        assume_new: Callable[[str], int | None] | None,
    ) -> None:
        """Begin an empty plan.

        Args:
            heads: the heads of the partitions that may be written to.
            fences: their fences.
            seen_at: the latest time of an event that this writer has seen anywhere.
            version_of: looks up the version of a stream in the log.
            find: returns the events of a command that the log contains.
            assume_new: as for `BatchPlan`.
        """
        super().__init__(Head(0, b"", seen_at), version_of, find, epoch=0, assume_new=assume_new)
        self.heads = dict(heads)
        self.written: list[PartitionRow] = []
        self._fences = fences

    def _write(self, request: AppendRequest) -> tuple[RecordedEvent, ...]:
        if not request.events:
            return ()
        at = self._at = max(request.at, self._at + 1)
        first = len(self.recorded)
        for ordinal, (stream, event) in enumerate(request.events):
            partition = partition_of(stream)
            head = self.heads.get(partition)
            if head is None:
                raise LogError(f"command {request.command} writes to {partition}, which it has not named")
            before = self.versions.get(stream)
            if before is None:
                before = self._version_expected(request, stream)
            version = self.versions[stream] = before + 1
            envelope = Envelope(
                stream=stream,
                version=version,
                at=at,
                command=request.command,
                ordinal=ordinal,
                actor=request.actor,
                cause=request.cause,
                event=event,
            )
            data, seq, epoch = encode(envelope), head.seq + 1, self._fences[partition]
            chain = link(head.chain, seq, epoch, data)
            self.heads[partition] = Head(seq, chain, at)
            self.written.append(
                PartitionRow(
                    partition,
                    seq,
                    stream,
                    version,
                    KIND_OF[type(event)],
                    at,
                    request.command,
                    ordinal,
                    epoch,
                    data,
                    chain,
                )
            )
            self.recorded.append(RecordedEvent(seq, envelope))
            if type(event) is WorkerErased:
                self._forget(stream)
            elif type(event) is ConsentWithdrawn:
                self.withdrawn += event.payloads
        return tuple(self.recorded[first:])
