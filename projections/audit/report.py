"""The findings and the report of an audit."""

from __future__ import annotations

from enum import Enum

import msgspec


class FindingKind(Enum):
    """Kinds of faults."""

    #: SQLite's own check of the file.
    STRUCTURE = "structure"
    #: Part of the file cannot be read.
    UNREADABLE = "unreadable"
    #: A position has no event.
    MISSING_EVENT = "missing_event"
    #: The event is not what was written there.
    CHAIN = "chain"
    #: The key of the log is missing or damaged.
    KEY = "key"
    #: A table, index or trigger is missing, changed, or does not belong in a log.
    SCHEMA = "schema"
    #: A fenced writer appended the event, or the stored epoch is too low.
    EPOCH = "epoch"
    #: The events of a command are not together, or there are two commands of that name.
    COMMAND = "command"
    #: A column does not repeat what the event says.
    COLUMN = "column"
    #: The bytes of the event cannot be decoded.
    UNDECODABLE = "undecodable"
    #: A newer version wrote the event.
    UNKNOWN_KIND = "unknown_kind"
    #: The time is before that of the previous event.
    TIME = "time"
    #: The versions of the stream are not consecutive.
    VERSION = "version"
    #: The event does not belong in this category of streams.
    WRONG_STREAM = "wrong_stream"
    #: The lifecycle has no such step.
    ILLEGAL_STEP = "illegal_step"
    #: The log ends before a position it once had.
    LOST_TAIL = "lost_tail"
    #: The chain differs from an anchor, or an anchor cannot be read.
    ANCHOR = "anchor"
    #: A payload does not match its commitment.
    PAYLOAD_CHANGED = "payload_changed"
    #: A payload is missing, although no worker was erased.
    PAYLOAD_MISSING = "payload_missing"
    #: A stored view does not follow from the log.
    VIEW = "view"
    #: A snapshot of a view does not follow from the log.
    SNAPSHOT = "snapshot"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fault."""

    kind: FindingKind
    #: One sentence for people; the other fields are for programs.
    sentence: str
    #: The position at fault, if there is one.
    seq: int | None = None
    stream: str | None = None
    expected: str | None = None
    found: str | None = None


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an audit."""

    #: True if there are no findings.
    legal: bool
    events: int
    #: Streams by the category in their names.
    streams: dict[str, int]
    units: dict[str, int]
    seq: int
    #: The chain at `seq` in hex; compare it with a copy kept elsewhere.
    chain: str
    #: The last anchored position; None if there is no anchor file.
    anchored_seq: int | None
    #: Number of intact payloads, and of payloads that were erased with their worker.
    payloads: int
    erased_payloads: int
    #: Number of rows compared, by view.
    views: dict[str, int]
    findings: tuple[Finding, ...]
    #: Number of findings beyond those listed.
    findings_left_out: int
    #: Remarks that are not faults.
    notes: tuple[str, ...]
    seconds: float


#: Maximum number of findings listed; further ones are only counted.
MAX_FINDINGS = 1000


class Findings:
    """Collects a bounded number of findings.

    Attributes:
        listed: the first findings.
        left_out: the number of further ones.
        notes: remarks that are not faults.
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
        """Add a finding. If it has a position, the sentence begins with it."""
        if len(self.listed) >= MAX_FINDINGS:
            self.left_out += 1
            return
        if seq is not None:
            sentence = f"seq {seq}{f' ({stream})' if stream else ''}: {sentence}"
        self.listed.append(
            Finding(kind=kind, sentence=sentence, seq=seq, stream=stream, expected=expected, found=found)
        )

    def __bool__(self) -> bool:
        return bool(self.listed)
