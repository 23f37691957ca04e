"""Plans the rows of a batch of requests before any of them is written.

All logs use it, so they decide alike: a request is answered from the log, rejected, or numbered and chained, and later
requests of the batch see its effects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...core.chain import Columns, link
from ...core.errors import CommandIdReusedError, VersionConflictError
from ...core.ports import AppendRejected, AppendRequest, AppendResult, Expect, Head, NewEvent, Outcome, Payload
from ...events.codec import KIND_OF, encode
from ...events.engagement import ConsentWithdrawn
from ...events.envelope import Envelope, RecordedEvent, recorded_of
from ...events.ids import WorkerId
from ...events.streams import number_of
from ...events.worker import WorkerErased


def executed_before(
    find: Callable[[str], tuple[RecordedEvent, ...]], commands: Sequence[str]
) -> dict[str, tuple[RecordedEvent, ...]]:
    """Return the events of those commands that a log contains, by id.

    Args:
        find: looks up the events of a command in the log.
        commands: ids of commands.
    """
    return {command: events for command in commands if (events := find(command))}


class BatchPlan:
    """The planned outcome of a batch.

    Most commands and many streams are new, and looking them up costs as much as writing them. A plan may therefore
    assume that they are new. If they are not, the unique indexes of the log reject the rows, and the batch is planned
    again without assumptions.

    Attributes:
        rows: the rows to insert.
        recorded: the same rows as events.
        payloads: the payloads of the accepted requests.
        versions: the version that each stream will have, for streams that were written or looked up.
        forgotten: the workers whose payloads are to be deleted.
        withdrawn: the commitments of other payloads that are to be deleted.
    """

    def __init__(
        self,
        head: Head,
        version_of: Callable[[str], int],
        find: Callable[[str], tuple[RecordedEvent, ...]],
        *,
        epoch: int,
        assume_new: Callable[[str], int | None] | None = None,
    ) -> None:
        """Begin an empty plan.

        Args:
            head: the head of the log.
            version_of: looks up the version of a stream in the log.
            find: looks up the events of a command in the log.
            epoch: the epoch of the writer.
            assume_new: returns the version of a stream if it is known without a lookup. If given, commands and
                streams that are not known are assumed to be new.
        """
        self._seq, self._chain, self._at = head
        self.rows: list[tuple[int, *Columns]] = []
        self.recorded: list[RecordedEvent] = []
        self.payloads: list[Payload] = []
        self.versions: dict[str, int] = {}
        self.forgotten: list[WorkerId] = []
        self.withdrawn: list[str] = []
        self._version_of = version_of
        self._find = find
        self._epoch = epoch
        self._assume_new = assume_new
        self._commands: dict[str, tuple[RecordedEvent, ...]] = {}

    @property
    def head(self) -> Head:
        """The head that the log will have after the batch."""
        return Head(self._seq, self._chain, self._at)

    def add(self, request: AppendRequest) -> Outcome:
        """Decide about a request. If it is accepted, its rows become part of the plan."""
        before = self._commands.get(request.command)
        if before is None and self._assume_new is None:
            before = self._find(request.command)
        conflict = None if before else self._first_conflict(request)
        if conflict is not None and self._assume_new is not None:
            # A repeated command conflicts with the versions that its first execution left.
            before = self._find(request.command)
        if before:
            same = tuple(NewEvent(was.envelope.stream, was.envelope.event) for was in before) == request.events
            return (
                AppendResult(before, repeated=True) if same else AppendRejected(CommandIdReusedError(request.command))
            )
        if conflict is not None:
            return AppendRejected(conflict)
        written = self._write(request)
        self._commands[request.command] = written
        self.payloads += request.payloads
        return AppendResult(written)

    def _first_conflict(self, request: AppendRequest) -> VersionConflictError | None:
        versions = self.versions
        # Building a set costs as much as the rest of this function, and most requests have one event.
        written = (request.events[0].stream,) if len(request.events) == 1 else {stream for stream, _ in request.events}
        for stream, expected in request.expected.items():
            if isinstance(expected, int):
                wanted = expected
            elif expected is Expect.NONE:
                wanted = 0
            else:
                continue
            actual = versions.get(stream)
            if actual is None:
                actual = self._version_before(stream, is_new=wanted == 0 and stream in written)
            if actual != wanted:
                return VersionConflictError(stream, "none" if expected is Expect.NONE else expected, actual)
        return None

    def _version_before(self, stream: str, *, is_new: bool) -> int:
        """Return the version of a stream that the plan has not written to.

        Args:
            stream: the stream.
            is_new: whether the request that writes to it expects that it does not exist yet.
        """
        version = None
        if self._assume_new is not None:
            version = self._assume_new(stream)
            if version is None and is_new:
                return 0  # not kept in `versions`: it is only known once the rows are in the log
        if version is None:
            version = self._version_of(stream)
        self.versions[stream] = version
        return version

    def _version_expected(self, request: AppendRequest, stream: str) -> int:
        """Return the version of a stream before the first write of a request without conflicts."""
        expected = request.expected.get(stream, Expect.ANY)
        if isinstance(expected, int):
            return expected
        return 0 if expected is Expect.NONE else self._version_before(stream, is_new=False)

    def _write(self, request: AppendRequest) -> tuple[RecordedEvent, ...]:
        if not request.events:
            return ()
        seq, chain, at = self._seq, self._chain, max(request.at, self._at)
        command, actor, cause, epoch = request.command, request.actor, request.cause, self._epoch
        rows, recorded, versions = self.rows, self.recorded, self.versions
        first = len(recorded)
        for ordinal, (stream, event) in enumerate(request.events):
            seq += 1
            before = versions.get(stream)
            if before is None:
                before = self._version_expected(request, stream)
            version = versions[stream] = before + 1
            envelope = Envelope(
                stream=stream,
                version=version,
                at=at,
                command=command,
                ordinal=ordinal,
                actor=actor,
                cause=cause,
                event=event,
            )
            data = encode(envelope)
            chain = link(chain, seq, epoch, data)
            rows.append(
                (seq, data, chain, epoch, stream, version, KIND_OF[type(event)], at, None if ordinal else command)
            )
            recorded.append(recorded_of((seq, envelope)))
            if type(event) is WorkerErased:
                self._forget(stream)
            elif type(event) is ConsentWithdrawn:
                self.withdrawn += event.payloads
        self._seq, self._chain, self._at = seq, chain, at
        return tuple(recorded[first:])

    def _forget(self, stream: str) -> None:
        self.forgotten.append(WorkerId(number_of(stream)))
