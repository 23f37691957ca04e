"""Checks the file of a log: its structure, its schema, its key and its epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from ...core.errors import LogError
from ..engine.projection import Projection
from .chain import ChainCheck
from .report import FindingKind, Findings


class AuditedFileFacts(Protocol):
    """The facts about the file of a log that its chain does not contain."""

    def genesis(self) -> bytes:
        """Return the value of the chain before the first event, which covers the key of the log.

        Raises:
            LogError: the key cannot be read.
        """

    def epoch(self) -> int:
        """Return the number of the last writer.

        Raises:
            LogError: it cannot be read.
        """

    def structure(self) -> Iterable[str]:
        """Yield the problems that SQLite's own check finds in the file."""

    def schema(self, known: Sequence[Projection]) -> Iterable[str]:
        """Yield the tables, indexes and triggers that are missing, changed or foreign."""


def check_file(log: AuditedFileFacts, projections: Sequence[Projection], findings: Findings) -> None:
    """Run SQLite's own check, and compare the schema with the expected one."""
    for problem in log.structure():
        findings.add(FindingKind.STRUCTURE, f"SQLite finds the file damaged: {problem}")
    for problem in log.schema(projections):
        findings.add(FindingKind.SCHEMA, problem)


def genesis_of(log: AuditedFileFacts, findings: Findings) -> bytes | None:
    """Return the value of the chain before the first event, or None if the key of the log cannot be read."""
    try:
        return log.genesis()
    except LogError as error:
        findings.add(FindingKind.KEY, str(error))
        return None


def check_epoch(log: AuditedFileFacts, chain: ChainCheck, findings: Findings) -> None:
    """Check, after the last event, that the number of the last writer is not lower than those in the chain."""
    try:
        epoch = log.epoch()
    except LogError as error:
        findings.add(FindingKind.EPOCH, str(error))
        return
    if epoch < chain.epoch:
        findings.add(
            FindingKind.EPOCH,
            f"the log says that its last writer was {epoch}, but writer {chain.epoch} appended to it",
            expected=f"at least {chain.epoch}",
            found=str(epoch),
        )
