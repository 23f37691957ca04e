"""The quick half of an audit: is every event what was written, and is none missing?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from ...core.chain import ChainPage
from ...core.errors import LogError
from ...core.ports import Head
from .chain import ChainCheck
from .report import Finding, FindingKind, Findings


class ChainedLog(Protocol):
    """What is read of a log."""

    def pages(self) -> Iterator[ChainPage]:
        """All rows, in order; what can still be read of a damaged file comes first.

        Raises:
            LogError: the file cannot be read any further.
        """

    def anchors(self) -> Iterator[Head]:
        """Heads that were written down outside the file, oldest first.

        Raises:
            UnusableLogError: a line cannot be read.
        """


class ChainReport(msgspec.Struct, frozen=True, kw_only=True):
    """What following the chain says."""

    #: Whether there is no finding.
    whole: bool
    events: int
    seq: int
    #: The chain at `seq`, hex, and the time there in microseconds: with `seq`, what is worth keeping elsewhere.
    chain: str
    at: int
    #: The last position of the log that is known from outside the file; None: no anchor.
    anchored_seq: int | None
    findings: tuple[Finding, ...]
    #: Findings beyond those that are listed.
    findings_left_out: int
    #: What the reader should know and is no fault.
    notes: tuple[str, ...]
    seconds: float

    @property
    def head(self) -> Head:
        """The end of the chain."""
        return Head(self.seq, bytes.fromhex(self.chain), self.at)


def verify(log: ChainedLog, clock: Callable[[], float]) -> ChainReport:
    """Follow the chain from the first event to the last, and compare it with its anchors. No event is decoded.

    Args:
        log: the log.
        clock: seconds from any start, for the report.
    """
    began = clock()
    findings = Findings()
    chain = ChainCheck(log.anchors(), findings)
    events = at = 0
    try:
        for page in log.pages():
            chain.check(page)
            events += len(page.rows)
            at = page.row(page.last).at
    except LogError as error:
        findings.add(FindingKind.UNREADABLE, str(error))
    chain.finish()
    return ChainReport(
        whole=not findings,
        events=events,
        seq=chain.seq,
        chain=chain.chain.hex(),
        at=at,
        anchored_seq=chain.anchored_seq,
        findings=tuple(findings.listed),
        findings_left_out=findings.left_out,
        notes=tuple(findings.notes),
        seconds=round(clock() - began, 3),
    )
