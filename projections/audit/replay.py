"""Audits a log from its first event to its last, and compares everything that follows from the events.

The audit depends on the log alone. One pass checks positions, chain, columns, versions and every step against the
lifecycles, and rebuilds the views in a separate database; then the stored views are compared with these, row by row.
It works page by page, so its memory use grows with the entities of a log and not with its events.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from operator import itemgetter
from typing import NamedTuple, Protocol

from ...core.chain import ChainRow
from ...core.errors import LogError
from ...core.gc_tuning import gc_paused
from ...core.lifecycles.unit import UnitStatus
from ...core.payloads import REFERRING_KINDS
from ...core.state.status_fold import StatusFold
from ...events.base import PayloadRef
from ...events.envelope import RecordedEvent
from ...events.streams import category_of
from ..engine.projection import Projection
from .chain import ChainCheck
from .payloads import AuditedPayloads, PayloadCheck
from .report import FindingKind, Findings, ReplayReport
from .steps import StepCheck
from .verify import ChainedLog
from .views import StoredView, ViewCheck

_KIND = itemgetter(ChainRow._fields[1:].index("kind"))


class AuditedLog(AuditedPayloads, ChainedLog, Protocol):
    """A log as an audit reads it: as of one position, however long the audit takes."""

    @property
    def tables(self) -> sqlite3.Connection:
        """A connection for reading the tables of projections."""

    def structure(self) -> Iterable[str]:
        """Yield the problems that SQLite's own check finds in the file."""

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference, or None if they were erased."""

    def views(self) -> list[StoredView]:
        """Return the projections stored in the file."""


class Audited(NamedTuple):
    """The result of an audit."""

    report: ReplayReport
    #: The status of each entity at the end; an entity with a finding keeps its status from before it.
    statuses: StatusFold


def audit(
    log: AuditedLog, projections: Sequence[Projection], clock: Callable[[], float], *, structure: bool = True
) -> Audited:
    """Check everything about a log.

    Args:
        log: the log.
        projections: the projections that this version knows; those stored in the file are compared.
        clock: returns seconds since an arbitrary start, for the report.
        structure: whether to run SQLite's own check of the whole file first.
    """
    began = clock()
    findings = Findings()
    for problem in log.structure() if structure else ():
        findings.add(FindingKind.STRUCTURE, f"SQLite finds the file damaged: {problem}")
    chain = ChainCheck(log.anchors(), findings)
    steps = StepCheck(findings)
    payloads = PayloadCheck(log, steps.statuses, findings)
    events = 0
    views = ViewCheck(log.tables, log.views(), projections, log.payload, findings)
    with closing(views), gc_paused():
        with _unreadable_found(findings):
            for page in log.pages():
                chain.check(page)
                envelopes = steps.check(page)
                events += len(envelopes)
                if views.any or not REFERRING_KINDS.isdisjoint(map(_KIND, page.rows)):
                    recorded = [
                        RecordedEvent(seq, each) for seq, each in enumerate(envelopes, page.seq) if each is not None
                    ]
                    payloads.check(recorded)
                    views.check(recorded)
        chain.finish()
        with _unreadable_found(findings):
            payloads.finish()
        views.finish()
    report = ReplayReport(
        legal=not findings,
        events=events,
        streams=_streams_by_category(steps.statuses),
        units=_units_by_status(steps.statuses),
        seq=chain.seq,
        chain=chain.chain.hex(),
        anchored_seq=chain.anchored_seq,
        payloads=payloads.present,
        erased_payloads=payloads.erased,
        views=views.compared,
        findings=tuple(findings.listed),
        findings_left_out=findings.left_out,
        notes=tuple(findings.notes),
        seconds=round(clock() - began, 3),
    )
    return Audited(report, steps.statuses)


@contextmanager
def _unreadable_found(findings: Findings) -> Iterator[None]:
    """Report that the rest of a file cannot be read, and continue with what was read."""
    try:
        yield
    except LogError as error:
        findings.add(FindingKind.UNREADABLE, str(error))


def _streams_by_category(fold: StatusFold) -> dict[str, int]:
    return dict(sorted(Counter(map(category_of, fold.by_stream)).items()))


def _units_by_status(fold: StatusFold) -> dict[str, int]:
    counts = Counter(status for stream, (_, status) in fold.by_stream.items() if category_of(stream) == "unit")
    return {status.value: counts[status] for status in UnitStatus if status in counts}
