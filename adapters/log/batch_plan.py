"""What a batch of requests will write, worked out before any of it is written.

Both logs use it, so they decide alike: a request is answered from the log, refused, or numbered and chained, and the
requests after it see what it will have done.
"""

from __future__ import annotations

from collections.abc import Callable

from ...core.chain import Columns, link
from ...core.errors import CommandIdReusedError, VersionConflictError
from ...core.ports import AppendRejected, AppendRequest, AppendResult, Expect, Head, NewEvent, Outcome, Payload
from ...events.codec import KIND_OF, encode
from ...events.envelope import Envelope, RecordedEvent, recorded_of
from ...events.ids import WorkerId
from ...events.streams import number_of
from ...events.worker import WorkerForgotten


class BatchPlan:
    """The outcome of a batch so far.

    Most commands and many streams are new, and to look for what is not there costs as much as to write it. So a draft
    may take their word for it: if it is not so, the unique indexes of the log refuse the rows, and the batch is drafted
    again without trust.

    Attributes:
        rows: what is to be inserted.
        recorded: the same as events.
        payloads: the payloads of the accepted requests.
        versions: the version that each stream will have, of those written or looked up.
        forgotten: the workers whose payloads are to be deleted.
    """

    def __init__(
        self,
        head: Head,
        version_of: Callable[[str], int],
        find: Callable[[str], tuple[RecordedEvent, ...]],
        *,
        assume_new: Callable[[str], int | None] | None = None,
    ) -> None:
        """Begin with nothing.

        Args:
            head: the log's head.
            version_of: the version of a stream in the log.
            find: the events of a command in the log.
            trusting: draft with trust; gives the version of a stream where nobody has to look for it.
        """
        self._seq, self._chain, self._at = head
        self.rows: list[tuple[int, *Columns]] = []
        self.recorded: list[RecordedEvent] = []
        self.payloads: list[Payload] = []
        self.versions: dict[str, int] = {}
        self.forgotten: list[WorkerId] = []
        self._version_of = version_of
        self._find = find
        self._trusting = assume_new
        self._commands: dict[str, tuple[RecordedEvent, ...]] = {}

    @property
    def head(self) -> Head:
        """The head that the log will have."""
        return Head(self._seq, self._chain, self._at)

    def add(self, request: AppendRequest) -> Outcome:
        """Decide about a request; if it is accepted, the draft then holds what it writes."""
        before = self._commands.get(request.command)
        if before is None and self._trusting is None:
            before = self._find(request.command)
        conflict = None if before else self._first_conflict(request)
        if conflict is not None and self._trusting is not None:
            # A repeat meets the versions that its first time has left.
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
        # A set costs as much as the rest of this, and most requests have one event.
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
                actual = self._version_before(stream, unborn=wanted == 0 and stream in written)
            if actual != wanted:
                return VersionConflictError(stream, "none" if expected is Expect.NONE else expected, actual)
        return None

    def _version_before(self, stream: str, *, unborn: bool) -> int:
        """The version of a stream that nothing was drafted for.

        Args:
            stream: the stream.
            unborn: whoever is about to write to it says that there is none yet.
        """
        version = None
        if self._trusting is not None:
            version = self._trusting(stream)
            if version is None and unborn:
                return 0  # and not kept in `versions`: it is true only once the rows are in the log
        if version is None:
            version = self._version_of(stream)
        self.versions[stream] = version
        return version

    def _version_expected(self, request: AppendRequest, stream: str) -> int:
        """The version of a stream that a request without conflicts is the first to write to."""
        expected = request.expected.get(stream, Expect.ANY)
        if isinstance(expected, int):
            return expected
        return 0 if expected is Expect.NONE else self._version_before(stream, unborn=False)

    def _write(self, request: AppendRequest) -> tuple[RecordedEvent, ...]:
        if not request.events:
            return ()
        seq, chain, at = self._seq, self._chain, max(request.at, self._at)
        command, actor, cause = request.command, request.actor, request.cause
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
            chain = link(chain, seq, data)
            rows.append((seq, data, chain, stream, version, KIND_OF[type(event)], at, None if ordinal else command))
            recorded.append(recorded_of((seq, envelope)))
            if type(event) is WorkerForgotten:
                self._forget(stream)
        self._seq, self._chain, self._at = seq, chain, at
        return tuple(recorded[first:])

    def _forget(self, stream: str) -> None:
        self.forgotten.append(WorkerId(number_of(stream)))
