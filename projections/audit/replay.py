"""Audits a log from its first event to its last, and compares everything that follows from the events.

The audit depends on the log alone. One pass checks positions, chain, columns, versions and every step against the
lifecycles, and rebuilds the views in a separate database; then the stored views are compared with these, row by row.
It works page by page, so its memory use grows with the entities of a log and not with its events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from operator import itemgetter
from typing import NamedTuple, Protocol

from ...core.chain import ChainRow
from ...core.errors import LogError
from ...core.gc_tuning import gc_paused
from ...core.lifecycles.unit import UnitStatus
from ...core.payloads import REFERRING_KINDS
from ...core.state.status_fold import StatusFold
from ...events.envelope import RecordedEvent
from ...events.streams import category_of
from ..engine.projection import Projection
from .chain import ChainCheck
from .file import check_epoch, check_file, genesis_of
from .payloads import AuditedPayloads, PayloadCheck
from .report import FindingKind, Findings, ReplayReport
from .steps import RecordedCommands, StepCheck, check_commands
from .verify import VerifiedLog
from .views import AuditedViews, ViewCheck

_KIND = itemgetter(ChainRow._fields[1:].index("kind"))


class AuditedLog(AuditedPayloads, AuditedViews, RecordedCommands, VerifiedLog, Protocol):
    """A log as an audit reads it: as of one position, however long the audit takes."""


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
        structure: whether to check the file first: its structure and its schema.
    """
    began = clock()
    findings = Findings()
    if structure:
        check_file(log, projections, findings)
    chain = ChainCheck(genesis_of(log, findings), log.anchors(), findings)
    steps = StepCheck(findings)
    payloads = PayloadCheck(log, steps.statuses, findings)
    events = 0
    views = ViewCheck(log, projections, findings)
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
        check_epoch(log, chain, findings)
        with _unreadable_found(findings):
            check_commands(log, findings)
        with _unreadable_found(findings):
            payloads.finish()
        with _unreadable_found(findings):
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
