"""The stored views: are they what the log gives?"""

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
    """A projection as a file has it."""

    name: str
    #: Fingerprint of the code that made it.
    code: str
    #: The last event carried into it.
    seq: int


class ViewCheck:
    """Builds the views anew while the log is read, and compares them with the stored ones.

    A log with a fault gives no views: then nothing is compared.

    Attributes:
        any: whether there is a view to build at all.
        compared: rows of each view that was compared.
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
        #: Events that are carried into the views together, which costs less.
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
                findings.notes.append(f"the view {view.name!r} is not known to this version and was not compared")

    def check(self, events: Sequence[RecordedEvent]) -> None:
        """Carry the next events into the views."""
        self._waiting += events
        if len(self._waiting) >= rebuild.BATCH_EVENTS:
            self._carry()

    def _carry(self) -> None:
        """Carry the waiting events into the views."""
        events, self._waiting = self._waiting, []
        if self._findings or not events:
            return
        self._seq = events[-1].seq
        for view, projection in self._views:
            page = events if self._seq <= view.seq else [event for event in events if event.seq <= view.seq]
            if page:
                rebuild.apply_batch(self._rebuilt, (projection,), page, self._payload)

    def finish(self) -> None:
        """After the last event: compare row by row."""
        self._carry()
        if self._findings:
            if self._views:
                self._findings.notes.append("the views were not compared, because the log itself is not legal")
            return
        for view, projection in self._views:
            self._check_position(view, projection)
            self.compared[view.name] = sum(self._compare(view.name, table) for table in projection.tables)

    def close(self) -> None:
        """Let go of what was built."""
        self._rebuilt.close()

    def _check_position(self, view: StoredView, projection: Projection) -> None:
        if view.seq > self._seq:
            self._findings.add(
                FindingKind.LOST_TAIL,
                f"the view {view.name!r} was made from {view.seq} events, the log has {self._seq}: its end was lost",
                seq=self._seq,
                expected=str(view.seq),
                found=str(self._seq),
            )
        elif view.seq < self._seq:
            self._findings.notes.append(
                f"the view {view.name!r} stands at seq {view.seq} and was compared as of then; "
                "the next operator brings it up"
            )
        if view.code != code_fingerprint(projection):
            self._findings.notes.append(
                f"the view {view.name!r} was made by another version; if it differs, "
                "`mephisto-es projections rebuild` makes it anew"
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
