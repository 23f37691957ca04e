"""Verifies the chain of a log, the quick part of an audit: every event is what was written, and none is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from ...core.chain import ChainPage
from ...core.errors import LogError
from ...core.ports import Head
from ..engine.projection import Projection
from .chain import ChainCheck
from .file import AuditedFileFacts, check_epoch, check_file, genesis_of
from .report import Finding, FindingKind, Findings


class ChainedLog(Protocol):
    """The rows and anchors of a log."""

    def pages(self) -> Iterator[ChainPage]:
        """Yield all rows in order, as far as a damaged file can be read.

        Raises:
            LogError: the rest of the file cannot be read.
        """

    def anchors(self) -> Iterator[Head]:
        """Yield the heads that were recorded outside the file, oldest first.

        Raises:
            UnusableLogError: a line cannot be read.
        """


class VerifiedLog(ChainedLog, AuditedFileFacts, Protocol):
    """A log as `verify` reads it."""


class ChainReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of verifying the chain."""

    #: True if there are no findings.
    whole: bool
    events: int
    seq: int
    #: The chain at `seq` in hex, and the time there in microseconds: together with `seq`, worth keeping elsewhere.
    chain: str
    at: int
    #: The last anchored position; None if there is no anchor.
    anchored_seq: int | None
    findings: tuple[Finding, ...]
    #: Number of findings beyond those listed.
    findings_left_out: int
    #: Remarks that are not faults.
    notes: tuple[str, ...]
    seconds: float

    @property
    def head(self) -> Head:
        """The head of the chain."""
        return Head(self.seq, bytes.fromhex(self.chain), self.at)


def verify(log: VerifiedLog, clock: Callable[[], float], projections: Sequence[Projection] = ()) -> ChainReport:
    """Check the file, verify the chain from the first event to the last, and compare it with the anchors.

    No event is decoded.

    Args:
        log: the log.
        clock: returns seconds since an arbitrary start, for the report.
        projections: the projections that this version knows, whose tables and indexes belong in the file.
    """
    began = clock()
    findings = Findings()
    check_file(log, projections, findings)
    chain = ChainCheck(genesis_of(log, findings), log.anchors(), findings)
    events = at = 0
    try:
        for page in log.pages():
            chain.check(page)
            events += len(page.rows)
            at = page.row(page.last).at
    except LogError as error:
        findings.add(FindingKind.UNREADABLE, str(error))
    chain.finish()
    check_epoch(log, chain, findings)
    return ChainReport(
        whole=not findings,
        events=events,
        seq=chain.seq,
        chain=chain.chain.hex(),
        # A damaged row may hold anything.
        at=at if isinstance(at, int) else 0,
        anchored_seq=chain.anchored_seq,
        findings=tuple(findings.listed),
        findings_left_out=findings.left_out,
        notes=tuple(findings.notes),
        seconds=round(clock() - began, 3),
    )
