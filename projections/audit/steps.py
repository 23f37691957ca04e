"""Each row's event: does it decode, do the columns repeat it, and was it a legal step?"""

from __future__ import annotations

from collections.abc import Sequence

from ...core.chain import Columns, Row
from ...core.errors import Conflict, IllegalStep
from ...core.lifecycles.world import World
from ...events.codec import KIND_OF, Undecodable, UnknownKind, decode
from ...events.envelope import Envelope
from .report import FindingKind, Findings


class StepCheck:
    """Folds the events of a log.

    A stream with a fault is left alone from there on: what follows from one fault is not reported as many.

    Attributes:
        world: what the events say.
    """

    def __init__(self, findings: Findings) -> None:
        self.world = World()
        self._findings = findings
        self._at = 0
        self._broken: set[str] = set()

    def check(self, rows: Sequence[Columns]) -> list[tuple[int, Envelope]]:
        """Judge the next rows; returns the positions and envelopes of those that decode."""
        events: list[tuple[int, Envelope]] = []
        for row in rows:
            seq, data, _, stream, version, kind, at, command, ordinal = row
            try:
                envelope = decode(data)
            except Undecodable as error:
                self._undecodable(seq, stream, error)
                continue
            events.append((seq, envelope))
            if (
                stream != envelope.stream
                or version != envelope.version
                or kind != KIND_OF[type(envelope.event)]
                or at != envelope.at
                or command != envelope.command
                or ordinal != envelope.ordinal
            ):
                self._wrong_columns(Row._make(row), envelope)
            self._step(seq, envelope)
        return events

    def _step(self, seq: int, envelope: Envelope) -> None:
        if envelope.at < self._at:
            self._time_fell(seq, envelope)
        self._at = envelope.at
        if envelope.stream in self._broken:
            return
        try:
            self.world.apply(envelope)
        except (Conflict, IllegalStep) as error:
            self._illegal(seq, envelope, error)

    def _undecodable(self, seq: int, stream: str, error: Undecodable) -> None:
        self._broken.add(stream)
        if isinstance(error, UnknownKind):
            self._findings.add(FindingKind.UNKNOWN_KIND, str(error), seq=seq, stream=stream)
        else:
            self._findings.add(FindingKind.UNDECODABLE, f"the event cannot be read: {error}", seq=seq, stream=stream)

    def _wrong_columns(self, row: Row, envelope: Envelope) -> None:
        for name in ("stream", "version", "kind", "at", "command", "ordinal"):
            stored = getattr(row, name)
            said = KIND_OF[type(envelope.event)] if name == "kind" else getattr(envelope, name)
            if stored != said:
                self._findings.add(
                    FindingKind.COLUMN,
                    f"column {name} is {stored!r}, the event says {said!r}",
                    seq=row.seq,
                    stream=envelope.stream,
                    expected=str(said),
                    found=str(stored),
                )

    def _time_fell(self, seq: int, envelope: Envelope) -> None:
        self._findings.add(
            FindingKind.TIME,
            f"its time {envelope.at} is before that of the event before it, {self._at}",
            seq=seq,
            stream=envelope.stream,
            expected=f"at least {self._at}",
            found=str(envelope.at),
        )

    def _illegal(self, seq: int, envelope: Envelope, error: Conflict | IllegalStep) -> None:
        self._broken.add(envelope.stream)
        if isinstance(error, Conflict):
            self._findings.add(
                FindingKind.VERSION,
                f"it is version {envelope.version} of its stream, after version {error.actual}",
                seq=seq,
                stream=envelope.stream,
                expected=str(error.actual + 1),
                found=str(envelope.version),
            )
        else:
            self._findings.add(
                FindingKind.ILLEGAL_STEP,
                f"{error.wish} is not a legal step from {error.status!r}",
                seq=seq,
                stream=envelope.stream,
                expected=f"a step from {error.status!r}",
                found=error.wish,
            )
