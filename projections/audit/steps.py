"""Each row's event: does it decode, do the columns repeat it, and was it a legal step?"""

from __future__ import annotations

from itertools import count
from operator import itemgetter

from ...core.chain import ChainPage, ChainRow
from ...core.errors import IllegalStepError, VersionConflictError
from ...core.state.status_fold import StatusFold
from ...events.categories import CATEGORY_OF
from ...events.codec import KIND_OF, UndecodableError, UnknownKind, decode, decode_page, stored_kind
from ...events.envelope import Envelope
from ...events.streams import category_of
from .report import FindingKind, Findings

_DATA = itemgetter(0)


class StepCheck:
    """Judges the events of a log.

    A stream with a fault is left alone from there on: what follows from one fault is not reported as many.

    Attributes:
        standings: where the events leave each entity.
    """

    def __init__(self, findings: Findings) -> None:
        self.standings = StatusFold()
        self._findings = findings
        self._at = 0
        self._broken: set[str] = set()

    def check(self, page: ChainPage) -> list[Envelope | None]:
        """Judge the next rows; returns their envelopes, None in place of one that does not decode."""
        step, broken, latest = self.standings.step, self._broken, self._at
        envelopes = self._decoded(page)
        for seq, envelope, columns in zip(count(page.seq), envelopes, page.rows):
            if envelope is None:
                continue
            _, _, stream, version, kind, at, command = columns
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
            if at < latest:
                self._time_fell(seq, envelope, latest)
            latest = at
            if stream in broken:
                continue
            # Later events of a stream cannot be astray: to an entity of another kind they are illegal steps.
            if version == 1 and category_of(stream) != CATEGORY_OF[event]:
                self._astray(seq, envelope)
                continue
            try:
                step(stream, version, event)
            except (VersionConflictError, IllegalStepError) as error:
                self._illegal(seq, envelope, error)
        self._at = latest
        return envelopes

    def _decoded(self, page: ChainPage) -> list[Envelope | None]:
        try:
            return [*decode_page(map(_DATA, page.rows))]
        except UndecodableError:
            return [self._decoded_row(row) for row in page.named()]

    def _decoded_row(self, row: ChainRow) -> Envelope | None:
        try:
            envelope = decode(row.data)
            if stored_kind(row.data) != row.kind == KIND_OF[type(envelope.event)]:
                self._wrong_columns(row, envelope)  # a retired event under the name of its successor
            return envelope
        except UnknownKind as error:
            self._findings.add(FindingKind.UNKNOWN_KIND, str(error), seq=row.seq, stream=row.stream)
        except UndecodableError as error:
            sentence = f"the event cannot be read: {error}"
            self._findings.add(FindingKind.UNDECODABLE, sentence, seq=row.seq, stream=row.stream)
        self._broken.add(row.stream)
        return None

    def _wrong_columns(self, row: ChainRow, envelope: Envelope) -> None:
        said = {
            "stream": envelope.stream,
            "version": envelope.version,
            # Not the kind of the envelope's event: that of a retired one is its successor.
            "kind": stored_kind(row.data),
            "at": envelope.at,
            "command": None if envelope.ordinal else envelope.command,
        }
        for column, value in said.items():
            stored = getattr(row, column)
            if stored != value:
                self._findings.add(
                    FindingKind.COLUMN,
                    f"column {column} is {stored!r}, the event says {value!r}",
                    seq=row.seq,
                    stream=envelope.stream,
                    expected=str(value),
                    found=str(stored),
                )

    def _time_fell(self, seq: int, envelope: Envelope, latest: int) -> None:
        self._findings.add(
            FindingKind.TIME,
            f"its time {envelope.at} is before that of the event before it, {latest}",
            seq=seq,
            stream=envelope.stream,
            expected=f"at least {latest}",
            found=str(envelope.at),
        )

    def _astray(self, seq: int, envelope: Envelope) -> None:
        self._broken.add(envelope.stream)
        category = CATEGORY_OF[type(envelope.event)]
        self._findings.add(
            FindingKind.WRONG_STREAM,
            f"{KIND_OF[type(envelope.event)]} happens in streams of the category {category!r} only",
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
