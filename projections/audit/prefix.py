"""Finds the part of a damaged log that can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ...core.errors import LogError
from ..engine.projection import Projection
from .chain import ChainCheck
from .file import check_file
from .report import Finding, FindingKind, Findings
from .steps import RecordedCommands, StepCheck, check_commands
from .verify import VerifiedLog


class SalvagedLog(VerifiedLog, RecordedCommands, Protocol):
    """A log as it is salvaged."""


class Prefix(NamedTuple):
    """The longest prefix of a log in which every event is what was written and is a legal step."""

    #: Position of its last event.
    seq: int
    #: Faults of the log after it; empty if there are none.
    faults: tuple[Finding, ...]


def longest_valid_prefix(log: SalvagedLog, projections: Sequence[Projection]) -> Prefix:
    """Check a log, and read it up to the first fault of an event.

    Args:
        log: the log.
        projections: the projections of this version, whose tables belong in the file.

    Raises:
        LogError: the key of the log cannot be read.
    """
    findings = Findings()
    check_file(log, projections, findings)
    chain, steps = ChainCheck(log.genesis(), log.anchors(), findings), StepCheck(findings)
    try:
        for page in log.pages():
            chain.check(page)
            steps.check(page)
            if any(fault.seq is not None for fault in findings.listed):
                break
        else:
            chain.finish()
        check_commands(log, findings)
    except LogError as error:
        findings.add(FindingKind.UNREADABLE, str(error))
    ends = [_last_before(fault, chain) for fault in findings.listed if fault.seq is not None]
    return Prefix(min([*ends, chain.seq]), tuple(findings.listed))


def _last_before(fault: Finding, chain: ChainCheck) -> int:
    """Return the last position that a fault leaves undoubted."""
    seq = fault.seq or 0
    if fault.kind is FindingKind.LOST_TAIL:
        return seq
    if fault.kind is FindingKind.ANCHOR:
        # The log was rewritten from somewhere after the last anchor that still agrees.
        return min(seq - 1, chain.agreed_seq)
    return seq - 1
