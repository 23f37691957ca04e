"""Checks that each event decodes, that the columns repeat it, and that it is a legal step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from operator import itemgetter
from typing import Protocol

from ...core.chain import ChainPage, ChainRow
from ...core.errors import IllegalStepError, VersionConflictError
from ...core.state.status_fold import StatusFold
from ...events.catalogue import CATEGORY_OF
from ...events.codec import KIND_OF, UndecodableError, UnknownKindError, decode, decode_page, stored_kind
from ...events.envelope import Envelope
from ...events.streams import category_of, partition_of
from .report import FindingKind, Findings

_DATA = itemgetter(0)
#: Letters of a command that are shown.
_MAX_COMMAND = 200


class RecordedCommands(Protocol):
    """The commands in a log."""

    def repeated_commands(self) -> Iterable[tuple[str, int, int]]:
        """Yield commands that occur more than once, with the first position and each later one.

        Raises:
            LogError: they cannot be read.
        """


def check_commands(log: RecordedCommands, findings: Findings) -> None:
    """Check that every command occurs once. An index should ensure it, but may be damaged."""
    for command, first, seq in log.repeated_commands():
        findings.add(
            FindingKind.COMMAND,
            f"the command {command[:_MAX_COMMAND]!r} was executed before, at seq {first}",
            seq=seq,
            expected="a new command",
            found=f"the command of seq {first}",
        )


def _share_a_clock(stream: str, other: str) -> bool:
    """Return whether the times of two streams never fall from one to the other: they are in one partition."""
    try:
        return partition_of(stream) == partition_of(other)
    except ValueError:
        return True


class StepCheck:
    """Checks the events of a log.

    After its first fault a stream is no longer checked, so one fault is not reported many times.

    Attributes:
        statuses: the status of each entity so far.
    """

    def __init__(self, findings: Findings) -> None:
        self.statuses = StatusFold()
        self._findings = findings
        self._at = 0
        #: The stream of the last event that was checked.
        self._stream = ""
        #: The last row that was checked; None if it did not decode.
        self._previous: Envelope | None = None
        self._seq = 0
        self._broken: set[str] = set()

    def check(self, page: ChainPage) -> list[Envelope | None]:
        """Check the next rows and return their envelopes, with None for those that do not decode."""
        step, broken, latest, before = self.statuses.step, self._broken, self._at, self._stream
        envelopes = self._decoded(page)
        self._check_commands(page.seq, envelopes)
        for seq, envelope, columns in zip(count(page.seq), envelopes, page.rows):
            if envelope is None:
                continue
            _, _, _, stream, version, kind, at, command = columns
            event = type(envelope.event)
            if (
                stream != envelope.stream
                or version != envelope.version
                or kind != KIND_OF[event]
                or at != envelope.at
                or command != (None if envelope.ordinal else envelope.command)
            ):
                self._wrong_columns(page.row(seq), envelope)
                stream, version, at = envelope.stream, envelope.version, envelope.at
            # Writers of different partitions have clocks of their own.
            if at < latest and _share_a_clock(before, envelope.stream):
                self._time_fell(seq, envelope, latest)
            latest, before = at, envelope.stream
            if stream in broken:
                continue
            # Only the first event of a stream can be in the wrong category: later ones would be illegal steps.
            if version == 1 and category_of(stream) != CATEGORY_OF[event]:
                self._wrong_stream(seq, envelope)
                continue
            try:
                step(stream, version, event)
            except (VersionConflictError, IllegalStepError) as error:
                self._illegal(seq, envelope, error)
        self._at, self._stream = latest, before
        return envelopes

    def _check_commands(self, first: int, envelopes: Sequence[Envelope | None]) -> None:
        """Check that the events of a command are adjacent and in order. An index finds only the first of them."""
        previous = self._previous if first == self._seq + 1 else None
        for seq, envelope in enumerate(envelopes, first):
            if envelope is not None and envelope.ordinal and (previous is not None or seq == 1):
                before = (None, -1) if previous is None else (previous.command, previous.ordinal)
                if before != (envelope.command, envelope.ordinal - 1):
                    self._out_of_command(seq, envelope)
            previous = envelope
        self._previous, self._seq = previous, first + len(envelopes) - 1

    def _decoded(self, page: ChainPage) -> list[Envelope | None]:
        try:
            return [*decode_page(map(_DATA, page.rows))]
        except UndecodableError:
            return [self._decoded_row(row) for row in page.named()]

    def _decoded_row(self, row: ChainRow) -> Envelope | None:
        try:
            envelope = decode(row.data)
            if stored_kind(row.data) != row.kind == KIND_OF[type(envelope.event)]:
                self._wrong_columns(row, envelope)  # a retired event stored under the kind of its successor
            return envelope
        except UnknownKindError as error:
            self._findings.add(FindingKind.UNKNOWN_KIND, str(error), seq=row.seq, stream=row.stream)
        except UndecodableError as error:
            sentence = f"the event cannot be read: {error}"
            self._findings.add(FindingKind.UNDECODABLE, sentence, seq=row.seq, stream=row.stream)
        self._broken.add(row.stream)
        return None

    def _wrong_columns(self, row: ChainRow, envelope: Envelope) -> None:
        expected = {
            "stream": envelope.stream,
            "version": envelope.version,
            # Not the kind of the decoded event: a retired event decodes to its successor.
            "kind": stored_kind(row.data),
            "at": envelope.at,
            "command": None if envelope.ordinal else envelope.command,
        }
        for column, value in expected.items():
            stored = getattr(row, column)
            if stored != value:
                self._findings.add(
                    FindingKind.COLUMN,
                    f"column {column} is {stored!r}, but the event says {value!r}",
                    seq=row.seq,
                    stream=envelope.stream,
                    expected=str(value),
                    found=str(stored),
                )

    def _out_of_command(self, seq: int, envelope: Envelope) -> None:
        self._findings.add(
            FindingKind.COMMAND,
            f"it is event {envelope.ordinal} of its command, but does not follow event {envelope.ordinal - 1} of it",
            seq=seq,
            stream=envelope.stream,
        )

    def _time_fell(self, seq: int, envelope: Envelope, latest: int) -> None:
        self._findings.add(
            FindingKind.TIME,
            f"its time {envelope.at} is before that of the previous event, {latest}",
            seq=seq,
            stream=envelope.stream,
            expected=f"at least {latest}",
            found=str(envelope.at),
        )

    def _wrong_stream(self, seq: int, envelope: Envelope) -> None:
        self._broken.add(envelope.stream)
        category = CATEGORY_OF[type(envelope.event)]
        self._findings.add(
            FindingKind.WRONG_STREAM,
            f"{KIND_OF[type(envelope.event)]} belongs in streams of the category {category!r}",
            seq=seq,
            stream=envelope.stream,
            expected=category,
            found=category_of(envelope.stream),
        )

    def _illegal(self, seq: int, envelope: Envelope, error: VersionConflictError | IllegalStepError) -> None:
        self._broken.add(envelope.stream)
        if isinstance(error, VersionConflictError):
            self._findings.add(
                FindingKind.VERSION,
                f"it is version {envelope.version} of its stream, but follows version {error.actual}",
                seq=seq,
                stream=envelope.stream,
                expected=str(error.actual + 1),
                found=str(envelope.version),
            )
        else:
            self._findings.add(
                FindingKind.ILLEGAL_STEP,
                f"{error.event_kind} is not a legal step from {error.status!r}",
                seq=seq,
                stream=envelope.stream,
                expected=f"a step from {error.status!r}",
                found=error.event_kind,
            )
