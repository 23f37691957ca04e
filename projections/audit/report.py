"""What an audit of a log says."""

from __future__ import annotations

from enum import Enum

import msgspec


class FindingKind(Enum):
    """What is wrong, in a word."""

    #: SQLite's own check of the file.
    STRUCTURE = "structure"
    #: From somewhere on the file cannot be read.
    UNREADABLE = "unreadable"
    #: A position has no event.
    MISSING_EVENT = "missing_event"
    #: The event is not what was written there.
    CHAIN = "chain"
    #: A column does not repeat what the event says.
    COLUMN = "column"
    #: The event's bytes are no event.
    UNDECODABLE = "undecodable"
    #: A newer version wrote the event.
    UNKNOWN_KIND = "unknown_kind"
    #: The time falls.
    TIME = "time"
    #: The stream's versions do not follow each other.
    VERSION = "version"
    #: The event does not belong in a stream of such a name.
    WRONG_STREAM = "wrong_stream"
    #: The lifecycle has no such step.
    ILLEGAL_STEP = "illegal_step"
    #: The log ends before a position that it once had.
    LOST_TAIL = "lost_tail"
    #: The chain differs from what was anchored.
    ANCHOR = "anchor"
    #: A payload is not what its event committed to.
    PAYLOAD_CHANGED = "payload_changed"
    #: A payload is gone, and nobody was forgotten for it.
    PAYLOAD_MISSING = "payload_missing"
    #: A stored view is not what the log gives.
    VIEW = "view"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is not as it must be."""

    kind: FindingKind
    #: One sentence for people; the rest of the fields say the same to programs.
    sentence: str
    #: The position at fault, where there is one.
    seq: int | None = None
    stream: str | None = None
    expected: str | None = None
    found: str | None = None


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an audit."""

    #: Whether there is no finding.
    legal: bool
    events: int
    #: Streams by the category in their names.
    streams: dict[str, int]
    units: dict[str, int]
    seq: int
    #: The chain at `seq`, hex: compare it with one kept elsewhere.
    chain: str
    #: The last position of the log that is known from outside the file; None: no anchor file.
    anchored_seq: int | None
    #: Payloads found and right, and payloads that were erased with their worker.
    payloads: int
    erased_payloads: int
    #: Rows compared, by the name of the view.
    views: dict[str, int]
    findings: tuple[Finding, ...]
    #: Findings beyond those that are listed.
    findings_left_out: int
    #: What the reader should know and is no fault.
    notes: tuple[str, ...]
    seconds: float


#: Findings that are listed; further ones are only counted.
FINDINGS_LIMIT = 1000


class Findings:
    """Collects findings, a bounded number of them.

    Attributes:
        listed: the first ones.
        left_out: how many more there were.
        notes: what the reader should know and is no fault.
    """

    def __init__(self) -> None:
        self.listed: list[Finding] = []
        self.left_out = 0
        self.notes: list[str] = []

    def add(
        self,
        kind: FindingKind,
        sentence: str,
        *,
        seq: int | None = None,
        stream: str | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        """Report a fault; where it is at a position, the sentence is told it."""
        if len(self.listed) >= FINDINGS_LIMIT:
            self.left_out += 1
            return
        if seq is not None:
            sentence = f"seq {seq}{f' ({stream})' if stream else ''}: {sentence}"
        self.listed.append(
            Finding(kind=kind, sentence=sentence, seq=seq, stream=stream, expected=expected, found=found)
        )

    def __bool__(self) -> bool:
        return bool(self.listed)
