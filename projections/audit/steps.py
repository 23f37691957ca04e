"""Each row's event: does it decode, do the columns repeat it, and was it a legal step?"""

from __future__ import annotations

from collections.abc import Sequence

from ...core.chain import Row
from ...core.errors import Conflict, IllegalStep
from ...core.lifecycles.world import World
from ...events.codec import KIND_OF, Undecodable, UnknownKind, decode, decode_all
from ...events.envelope import Envelope, Recorded
from .report import FindingKind, Findings

#: Where the columns begin that repeat what the data says.
_REPEATED = Row._fields.index("stream")


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

    def check(self, rows: Sequence[Row]) -> list[Recorded]:
        """Judge the next rows; returns the events of those that decode."""
        apply, broken = self.world.apply, self._broken
        events = self._decoded(rows)
        for row, (seq, envelope) in events:
            event = envelope.event
            repeated = (
                envelope.stream,
                envelope.version,
                KIND_OF[type(event)],
                envelope.at,
                envelope.command,
                envelope.ordinal,
            )
            if row[_REPEATED:] != repeated:
                self._wrong_columns(row, repeated)
            if envelope.at < self._at:
                self._time_fell(seq, envelope)
            self._at = envelope.at
            if envelope.stream in broken:
                continue
            try:
                apply(envelope)
            except (Conflict, IllegalStep) as error:
                self._illegal(seq, envelope, error)
        return [event for _, event in events]

    def _decoded(self, rows: Sequence[Row]) -> list[tuple[Row, Recorded]]:
        try:
            envelopes = decode_all([row.data for row in rows])
        except Undecodable:
            return self._decoded_one_by_one(rows)
        return [(row, Recorded(row.seq, envelope)) for row, envelope in zip(rows, envelopes, strict=True)]

    def _decoded_one_by_one(self, rows: Sequence[Row]) -> list[tuple[Row, Recorded]]:
        events: list[tuple[Row, Recorded]] = []
        for row in rows:
            try:
                events.append((row, Recorded(row.seq, decode(row.data))))
            except Undecodable as error:
                unknown = isinstance(error, UnknownKind)
                self._broken.add(row.stream)
                self._findings.add(
                    FindingKind.UNKNOWN_KIND if unknown else FindingKind.UNDECODABLE,
                    str(error) if unknown else f"the event cannot be read: {error}",
                    seq=row.seq,
                    stream=row.stream,
                )
        return events

    def _wrong_columns(self, row: Row, repeated: tuple[object, ...]) -> None:
        names = Row._fields[_REPEATED:]
        for name, stored, said in zip(names, row[_REPEATED:], repeated, strict=True):
            if stored != said:
                self._findings.add(
                    FindingKind.COLUMN,
                    f"column {name} is {stored!r}, the event says {said!r}",
                    seq=row.seq,
                    stream=str(repeated[0]),
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
