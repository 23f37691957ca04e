"""The audit: a log read from its first event to its last, and everything that should follow from it compared.

It rests on the log alone. One pass checks positions, chain, columns, versions and every step against the lifecycles,
and builds the views anew in a database of its own; then the stored views are compared with these, row by row. It works
page by page, so its memory grows with the entities of a log and not with its events.
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
    """What an audit reads. All of it is one moment of the log, however long the audit takes."""

    @property
    def tables(self) -> sqlite3.Connection:
        """For reading the projections' tables."""

    def structure(self) -> Iterable[str]:
        """What SQLite's own check finds wrong with the file."""

    def payload(self, ref: PayloadRef) -> bytes | None:
        """The bytes behind a reference."""

    def views(self) -> list[StoredView]:
        """The projections that the file has."""


class Audited(NamedTuple):
    """The result of an audit."""

    report: ReplayReport
    #: Where the log leaves each entity; one with a finding stands where it stood before it.
    standings: StatusFold


def audit(
    log: AuditedLog, projections: Sequence[Projection], clock: Callable[[], float], *, structure: bool = True
) -> Audited:
    """Check all there is to check.

    Args:
        log: the log.
        projections: the views that this version knows; those that the file has are compared.
        clock: seconds from any start, for the report.
        structure: whether SQLite's own check of the whole file is asked for too.
    """
    began = clock()
    findings = Findings()
    for problem in log.structure() if structure else ():
        findings.add(FindingKind.STRUCTURE, f"SQLite finds the file damaged: {problem}")
    chain = ChainCheck(log.anchors(), findings)
    steps = StepCheck(findings)
    payloads = PayloadCheck(log, steps.standings, findings)
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
        streams=_streams_by_category(steps.standings),
        units=_units_by_status(steps.standings),
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
    return Audited(report, steps.standings)


@contextmanager
def _unreadable_found(findings: Findings) -> Iterator[None]:
    """Report where a file breaks off, and go on with what was read."""
    try:
        yield
    except LogError as error:
        findings.add(FindingKind.UNREADABLE, str(error))


def _streams_by_category(standings: StatusFold) -> dict[str, int]:
    return dict(sorted(Counter(map(category_of, standings.by_stream)).items()))


def _units_by_status(standings: StatusFold) -> dict[str, int]:
    statuses = Counter(status for stream, (_, status) in standings.by_stream.items() if category_of(stream) == "unit")
    return {status.value: statuses[status] for status in UnitStatus if status in statuses}
