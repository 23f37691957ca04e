"""Checks that the stored views follow from the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...events.envelope import RecordedEvent
from ..engine import rebuild
from ..engine.fingerprint import code_fingerprint
from ..engine.projection import Projection, ReadPayload
from .report import FindingKind, Findings


class StoredView(NamedTuple):
    """A projection as stored in a file."""

    name: str
    #: Fingerprint of the code that built it.
    code: str
    #: Position of the last event applied to it.
    seq: int


class ViewCheck:
    """Rebuilds the views while the log is read, and compares them with the stored ones.

    Nothing is compared if the log itself has a fault.

    Attributes:
        any: whether there are views to rebuild.
        compared: number of rows compared, by view.
    """

    def __init__(
        self,
        stored: sqlite3.Connection,
        views: Iterable[StoredView],
        known: Iterable[Projection],
        payload: ReadPayload,
        findings: Findings,
    ) -> None:
        self.compared: dict[str, int] = {}
        self._stored = stored
        self._payload = payload
        self._findings = findings
        self._rebuilt = rebuild.temporary_database()
        self._views: list[tuple[StoredView, Projection]] = []
        #: Events that will be applied to the views together, which is cheaper.
        self._waiting: list[RecordedEvent] = []
        self._seq = 0
        self.any = False
        by_name = {projection.name: projection for projection in known}
        for view in views:
            if view.name in by_name:
                self.any = True
                self._views.append((view, by_name[view.name]))
                rebuild.create_tables(self._rebuilt, by_name[view.name])
            else:
                findings.notes.append(f"the view {view.name!r} is unknown to this version and was not compared")

    def check(self, events: Sequence[RecordedEvent]) -> None:
        """Apply the next events to the views."""
        self._waiting += events
        if len(self._waiting) >= rebuild.BATCH_EVENTS:
            self._apply_waiting()

    def _apply_waiting(self) -> None:
        """Apply the waiting events to the views."""
        events, self._waiting = self._waiting, []
        if self._findings or not events:
            return
        self._seq = events[-1].seq
        for view, projection in self._views:
            batch = events if self._seq <= view.seq else [event for event in events if event.seq <= view.seq]
            if batch:
                rebuild.apply_batch(self._rebuilt, (projection,), batch, self._payload)

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
            for difference in rebuild.differences(self._stored, self._rebuilt, table):
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
