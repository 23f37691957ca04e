"""The audits of a log file: all there is to check, or the chain alone."""

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
    """The report of `audited`."""
    return audited(path, projections).report


def audited(path: str | Path, projections: Sequence[Projection], *, structure: bool = True) -> Audited:
    """Check all there is to check about a log; nothing is written, and a writer may be at work meanwhile.

    Args:
        path: the file; if there is an anchor file beside it, the log must reach it.
        projections: the views that this version knows.
        structure: whether SQLite's own check of the whole file is asked for too.

    Raises:
        UnusableLogError: it is not a log that this version can open.
    """
    with closing(AuditedFile(Path(path))) as log:
        return audit(log, projections, time.perf_counter, structure=structure)


def verified(path: str | Path, kept: Path | None = None) -> ChainReport:
    """Follow the chain of a log and compare it with its anchors; nothing is written, nor decoded.

    Args:
        path: the file; if there is an anchor file beside it, the log must reach it.
        kept: a file with anchors that were kept elsewhere, which the log must reach too.

    Raises:
        UnusableLogError: it is not a log that this version can open, or there is no such file.
    """
    if kept is not None and not kept.is_file():
        raise UnusableLogError(f"there is no file of anchors at {kept}; check the path")
    with closing(AuditedFile(Path(path), kept)) as log:
        return verify(log, time.perf_counter)
