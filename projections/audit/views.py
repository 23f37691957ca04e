"""Checks that the stored views follow from the log."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import islice
from operator import attrgetter
from typing import NamedTuple, Protocol

from ...core.errors import LogError, UnknownEntityError
from ...events.base import PayloadRef
from ...events.envelope import RecordedEvent
from ..engine import rebuild
from ..engine.fingerprint import code_fingerprint
from ..engine.projection import Projection
from .report import MAX_FINDINGS, FindingKind, Findings

_SEQ = attrgetter("seq")


class StoredView(NamedTuple):
    """A projection as stored in a file."""

    name: str
    #: Fingerprint of the code that built it.
    code: str
    #: Position of the last event applied to it.
    seq: int


class AuditedViews(Protocol):
    """The stored views of an audited log."""

    @property
    def tables(self) -> sqlite3.Connection:
        """A connection for reading the tables of projections."""

    def views(self) -> list[StoredView]:
        """Return the projections stored in the file."""

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference, or None if they were erased."""

    def snapshot_positions(self, projection: Projection) -> list[int]:
        """Return the positions of the snapshots of a view, oldest first.

        Raises:
            LogError: they cannot be read.
        """

    def snapshot(self, projection: Projection, seq: int) -> sqlite3.Connection | None:
        """Return the tables of a view's snapshot at a position, or None if they are damaged.

        Raises:
            LogError: it cannot be read.
        """


class ViewCheck:
    """Rebuilds the views while the log is read, and compares them with the stored ones and with their snapshots.

    Nothing is compared if the log itself has a fault.

    Attributes:
        any: whether there are views to rebuild.
        compared: number of rows compared, by view.
    """

    def __init__(self, log: AuditedViews, known: Iterable[Projection], findings: Findings) -> None:
        """Begin before the first event.

        Args:
            log: the log with the stored views.
            known: the projections of this version.
            findings: collects the faults.
        """
        self.compared: dict[str, int] = {}
        self._log = log
        self._findings = findings
        self._rebuilt = rebuild.temporary_database()
        self._views: list[tuple[StoredView, Projection]] = []
        #: Events that will be applied to the views together, which is cheaper.
        self._waiting: list[RecordedEvent] = []
        self._seq = 0
        self.any = False
        by_name = {projection.name: projection for projection in known}
        for view in log.views():
            if view.name in by_name:
                self.any = True
                self._views.append((view, by_name[view.name]))
                rebuild.create_tables(self._rebuilt, by_name[view.name])
            else:
                findings.notes.append(f"the view {view.name[:60]!r} is unknown to this version and was not compared")
        #: Positions at which some view has a snapshot, the last one first.
        self._snapshots = self._snapshot_positions()

    def _snapshot_positions(self) -> list[int]:
        positions: set[int] = set()
        for _, projection in self._views:
            try:
                positions |= set(self._log.snapshot_positions(projection))
            except LogError as error:
                self._findings.add(FindingKind.SNAPSHOT, str(error))
        return sorted(positions, reverse=True)

    def check(self, events: Sequence[RecordedEvent]) -> None:
        """Apply the next events to the views."""
        self._waiting += events
        if len(self._waiting) >= rebuild.BATCH_EVENTS:
            self._apply_waiting()

    def _apply_waiting(self) -> None:
        """Apply the waiting events to the views, and stop at each snapshot to compare it."""
        events, self._waiting = self._waiting, []
        while events and not self._findings:
            last = self._snapshots[-1] if self._snapshots else events[-1].seq
            count = bisect_right(events, last, key=_SEQ)
            self._apply(events[:count])
            events = events[count:]
            if self._snapshots and (events or self._seq == last):
                self._snapshots.pop()
                if self._seq == last:
                    self._compare_snapshots()

    def _apply(self, events: list[RecordedEvent]) -> None:
        if not events:
            return
        self._seq = events[-1].seq
        for view, projection in self._views:
            batch = events if self._seq <= view.seq else [event for event in events if event.seq <= view.seq]
            if batch:
                self._apply_to(projection, batch)

    def _apply_to(self, projection: Projection, events: Sequence[RecordedEvent]) -> None:
        try:
            rebuild.apply_batch(self._rebuilt, (projection,), events, self._log.payload)
        except (UnknownEntityError, sqlite3.Error) as error:
            self._findings.add(
                FindingKind.VIEW,
                f"the view {projection.name!r} cannot be built from the events up to here: {error}",
                seq=events[-1].seq,
            )

    def _compare_snapshots(self) -> None:
        """Compare the snapshots at the current position with what was rebuilt."""
        for _, projection in self._views:
            if self._seq not in self._log.snapshot_positions(projection):
                continue
            snapshot = self._log.snapshot(projection, self._seq)
            problem = "it is damaged" if snapshot is None else self._difference(snapshot, projection)
            if problem is not None:
                self._findings.add(
                    FindingKind.SNAPSHOT,
                    f"the snapshot of the view {projection.name!r} does not follow from the log: {problem}",
                    seq=self._seq,
                )

    def _difference(self, snapshot: sqlite3.Connection, projection: Projection) -> str | None:
        """Return the first difference between a snapshot and the rebuilt view, or None if there is none."""
        with closing(snapshot):
            try:
                for table in projection.tables:
                    for difference in rebuild.differences(snapshot, self._rebuilt, table):
                        return str(difference)
            except sqlite3.Error as error:
                return str(error)
        return None

    def finish(self) -> None:
        """Compare the views row by row, after the last event."""
        self._apply_waiting()
        if self._findings:
            if self._views:
                self._findings.notes.append("the views were not compared, because the log itself is not legal")
            return
        for view, projection in self._views:
            self._check_position(view, projection)
            self.compared[view.name] = sum(self._compare(view.name, table) for table in projection.tables)

    def close(self) -> None:
        """Discard the rebuilt views."""
        self._rebuilt.close()

    def _check_position(self, view: StoredView, projection: Projection) -> None:
        if view.seq > self._seq:
            self._findings.add(
                FindingKind.LOST_TAIL,
                f"the view {view.name!r} was built from {view.seq} events, but the log has {self._seq}: "
                "its tail was lost",
                seq=self._seq,
                expected=str(view.seq),
                found=str(self._seq),
            )
        elif view.seq < self._seq:
            self._findings.notes.append(
                f"the view {view.name!r} is at seq {view.seq} and was compared as of that position; "
                "the next operator will update it"
            )
        if view.code != code_fingerprint(projection):
            self._findings.notes.append(
                f"the view {view.name!r} was built by other code; if it differs, "
                "rebuild it with `mephisto-es projections rebuild`"
            )

    def _compare(self, view: str, table: str) -> int:
        try:
            for difference in islice(rebuild.differences(self._log.tables, self._rebuilt, table), MAX_FINDINGS + 1):
                self._findings.add(
                    FindingKind.VIEW,
                    str(difference),
                    expected=None if difference.rebuilt is None else str(difference.rebuilt),
                    found=None if difference.stored is None else str(difference.stored),
                )
        except sqlite3.Error as error:
            self._findings.add(FindingKind.VIEW, f"table {table} of the view {view!r} cannot be read: {error}")
            return 0
        rows: int = self._rebuilt.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
        return rows
