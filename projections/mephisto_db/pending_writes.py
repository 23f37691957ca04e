"""What a page of events does to single tables, gathered in memory and written at the page's end.

A page may be one event or five thousand. Each value that changes is kept as its last value in the page, and only
last values count; so the tables do not depend on how the log was cut into pages.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict

from msgspec.structs import astuple

from ...core.lifecycles.agent import AgentStatus
from ...events.envelope import RecordedEvent
from ...events.ids import AgentId, QualificationId
from ...events.streams import number_of
from .rows import AgentBonusRow, Row
from .tables import TABLE_OF, TABLES, Table

Cell = str | int | float | None
Cells = tuple[Cell, ...]


class ColumnGroup:
    """Neighbouring columns of a table that change together.

    Attributes:
        row: the table's rows.
        place: where the columns stand in a row.
        update: the statement that changes them, then takes the key.
    """

    def __init__(self, row: type[Row], *columns: str) -> None:
        """Group columns by name.

        Raises:
            ValueError: they are not neighbours, in this order.
        """
        table = TABLE_OF[row]
        start = table.columns.index(columns[0])
        self.row = row
        self.place = slice(start, start + len(columns))
        self.update = f"UPDATE {table.name} SET {', '.join(f'{c} = ?' for c in columns)} WHERE {table.key} = ?"
        if table.columns[self.place] != columns:
            raise ValueError(f"{', '.join(columns)} do not stand side by side in {table.name}")


class TableWrites:
    """New rows of a table and new values in old rows, by the stream of the entity that a row is about."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._new: dict[str, list[Cell]] = {}
        self._changed: defaultdict[ColumnGroup, dict[str, Cells]] = defaultdict(dict)

    def add(self, stream: str, row: Row) -> None:
        """A new row."""
        self._new[stream] = [*astuple(row)]

    def set(self, stream: str, columns: ColumnGroup, values: Cells) -> None:
        """New values for some columns of the row of a stream."""
        row = self._new.get(stream)
        if row is None:
            self._changed[columns][stream] = values
        else:
            row[columns.place] = values

    def write(self, db: sqlite3.Connection) -> None:
        """Carry everything into the table."""
        if self._new:
            db.executemany(self._table.insert, self._new.values())
        for columns, values in self._changed.items():
            db.executemany(columns.update, [(*cells, number_of(stream)) for stream, cells in values.items()])


class PendingWrites(dict[type[Row], TableWrites]):
    """The sheets of a page, by the rows of their tables; each is made when it is first asked for."""

    def __missing__(self, row: type[Row]) -> TableWrites:
        sheet = self[row] = TableWrites(TABLE_OF[row])
        return sheet

    def write(self, db: sqlite3.Connection) -> None:
        """Carry everything into the tables, each after those that it refers to."""
        for table in TABLES:
            if (sheet := self.get(table.row)) is not None:
                sheet.write(db)


class QualificationWrites:
    """Which qualifications workers have: the table `granted_qualifications`."""

    _DROP = "DELETE FROM granted_qualifications WHERE worker_id = ? AND qualification_id = ?"
    _HOLD = """
        INSERT INTO granted_qualifications VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT(worker_id, qualification_id)
        DO UPDATE SET value = excluded.value, update_date = excluded.update_date
    """

    def __init__(self) -> None:
        self._held: dict[tuple[int, QualificationId], Cells] = {}
        self._dropped: set[tuple[int, QualificationId]] = set()

    def hold(self, recorded: RecordedEvent, qualification: QualificationId, value: int, date: str) -> None:
        """The event's worker has a qualification with a value, since now or since before."""
        seq, worker = recorded.seq, number_of(recorded.envelope.stream)
        before = self._held.get((worker, qualification))
        first_seq, first_date = (before[0], before[5]) if before else (seq, date)
        self._held[worker, qualification] = (first_seq, worker, qualification, value, date, first_date)

    def drop(self, recorded: RecordedEvent, qualification: QualificationId) -> None:
        """The event's worker has a qualification no more."""
        worker = number_of(recorded.envelope.stream)
        self._held.pop((worker, qualification), None)
        self._dropped.add((worker, qualification))

    def write(self, db: sqlite3.Connection) -> None:
        """Carry everything into the table."""
        if self._dropped:
            db.executemany(self._DROP, self._dropped)
        if self._held:
            db.executemany(self._HOLD, self._held.values())


class Bonuses:
    """Bonuses for work: the table `agent_bonuses`."""

    #: As with verdicts, reasons that were written later stay.
    _FORGET = """
        UPDATE agent_bonuses SET reason = NULL
        WHERE agent_id IN (SELECT agent_id FROM agents WHERE worker_id = ?) AND agent_bonus_id < ?
    """

    def __init__(self) -> None:
        self._added: list[AgentBonusRow] = []
        self._forgotten: list[tuple[int, int]] = []

    def add(self, recorded: RecordedEvent, bonus_cents: int, reason: str | None, date: str) -> None:
        """A bonus for the work of the event's agent."""
        agent = AgentId(number_of(recorded.envelope.stream))
        self._added.append(AgentBonusRow(recorded.seq, agent, bonus_cents, reason, date))

    def forget(self, recorded: RecordedEvent) -> None:
        """Reasons for bonuses of the event's worker that were written so far are gone."""
        self._forgotten.append((number_of(recorded.envelope.stream), recorded.seq))

    def write(self, db: sqlite3.Connection) -> None:
        """Carry everything into the table; the agents must be in theirs."""
        if self._added:
            db.executemany(TABLE_OF[AgentBonusRow].insert, map(astuple, self._added))
        if self._forgotten:
            db.executemany(self._FORGET, self._forgotten)


class Reviews:
    """Verdicts on units: the table `unit_review`."""

    _ADD = """
        INSERT INTO unit_review(
            id, status, review_note, bonus, creation_date, blocked_worker, unit_id, worker_id, task_id
        )
        SELECT ?, ?, ?, ?, ?, 0, unit_id, worker_id, task_id FROM agents WHERE agent_id = ?
    """
    #: Notes that were written later stay: a reviewer may look at the work of a worker who is gone.
    _FORGET = "UPDATE unit_review SET review_note = NULL WHERE worker_id = ? AND id < ?"

    def __init__(self) -> None:
        self._added: list[Cells] = []
        self._forgotten: list[tuple[int, int]] = []

    def add(
        self, recorded: RecordedEvent, verdict: AgentStatus, note: str | None, bonus_cents: int | None, date: str
    ) -> None:
        """A verdict on the work of the event's agent."""
        self._added.append((recorded.seq, verdict.value, note, bonus_cents, date, number_of(recorded.envelope.stream)))

    def forget(self, recorded: RecordedEvent) -> None:
        """Notes on the work of the event's worker that were written so far are gone."""
        self._forgotten.append((number_of(recorded.envelope.stream), recorded.seq))

    def write(self, db: sqlite3.Connection) -> None:
        """Carry everything into the table; the agents must be in theirs."""
        if self._added:
            db.executemany(self._ADD, self._added)
        if self._forgotten:
            db.executemany(self._FORGET, self._forgotten)
