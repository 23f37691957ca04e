"""Audits a log file: everything, or the chain alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ....core.errors import UnusableLogError
from ....projections.audit.replay import Audited, audit
from ....projections.audit.report import ReplayReport
from ....projections.audit.verify import ChainReport, verify
from ....projections.engine.projection import Projection
from .audited_file import AuditedFile


def replay(path: str | Path, projections: Sequence[Projection]) -> ReplayReport:
    """Audit a log and return the report; see `audited`."""
    return audited(path, projections).report


def audited(path: str | Path, projections: Sequence[Projection], *, structure: bool = True) -> Audited:
    """Check everything about a log. Nothing is written, and a writer may work meanwhile.

    Args:
        path: the file; if there is an anchor file beside it, the log must contain all its anchors.
        projections: the projections that this version knows.
        structure: whether to check the file first: its structure and its schema.

    Raises:
        UnusableLogError: it is not a log that this version can open.
    """
    with closing(AuditedFile(Path(path))) as log:
        return audit(log, projections, time.perf_counter, structure=structure)


def verified(path: str | Path, kept: Path | None = None, projections: Sequence[Projection] = ()) -> ChainReport:
    """Check the file of a log, verify its chain, and compare it with its anchors. Nothing is written or decoded.

    Args:
        path: the file; if there is an anchor file beside it, the log must contain all its anchors.
        kept: a file of anchors that was kept elsewhere, which the log must contain too.
        projections: the projections that this version knows, whose tables belong in the file.

    Raises:
        UnusableLogError: it is not a log that this version can open, or there is no such file.
    """
    if kept is not None and not kept.is_file():
        raise UnusableLogError(f"there is no anchor file at {kept}; check the path")
    with closing(AuditedFile(Path(path), kept)) as log:
        return verify(log, time.perf_counter, projections)
