"""Collects the changes that a batch of events makes to each table, and writes them at the end of the batch.

A batch may hold one event or five thousand. Only the last value of each changed cell is kept and written, so the tables
do not depend on how the log is divided into batches.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict

from msgspec.structs import astuple

from ...core.lifecycles.agent import AgentStatus
from ...events.envelope import RecordedEvent
from ...events.ids import AgentId, QualificationId
from ...events.streams import number_of
from .rows import AgentBonusRow, AgentOpinionRow, Row
from .tables import TABLE_OF, TABLES, Table

Cell = str | int | float | None
Cells = tuple[Cell, ...]


class ColumnGroup:
    """Adjacent columns of a table that change together.

    Attributes:
        row: the type of the table's rows.
        place: the position of the columns in a row.
        update: the statement that changes them; its last parameter is the key.
    """

    def __init__(self, row: type[Row], *columns: str) -> None:
        """Group columns by name.

        Raises:
            ValueError: they are not adjacent, in this order.
        """
        table = TABLE_OF[row]
        start = table.columns.index(columns[0])
        self.row = row
        self.place = slice(start, start + len(columns))
        self.update = f"UPDATE {table.name} SET {', '.join(f'{c} = ?' for c in columns)} WHERE {table.key} = ?"
        if table.columns[self.place] != columns:
            raise ValueError(f"{', '.join(columns)} are not adjacent in {table.name}")


class TableWrites:
    """New rows of a table, and changes to existing rows, by the stream of the entity that a row describes."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._new: dict[str, list[Cell]] = {}
        self._changed: defaultdict[ColumnGroup, dict[str, Cells]] = defaultdict(dict)

    def add(self, stream: str, row: Row) -> None:
        """Add a row."""
        self._new[stream] = [*astuple(row)]

    def set(self, stream: str, columns: ColumnGroup, values: Cells) -> None:
        """Change some columns in the row of a stream."""
        row = self._new.get(stream)
        if row is None:
            self._changed[columns][stream] = values
        else:
            row[columns.place] = values

    def write(self, db: sqlite3.Connection) -> None:
        """Write all changes to the table."""
        if self._new:
            db.executemany(self._table.insert, self._new.values())
        for columns, values in self._changed.items():
            db.executemany(columns.update, [(*cells, number_of(stream)) for stream, cells in values.items()])


class PendingWrites(dict[type[Row], TableWrites]):
    """The writes of a batch by the row type of their table, created on first access."""

    def __missing__(self, row: type[Row]) -> TableWrites:
        writes = self[row] = TableWrites(TABLE_OF[row])
        return writes

    def write(self, db: sqlite3.Connection) -> None:
        """Write all changes, to each table after those that it refers to."""
        for table in TABLES:
            if (writes := self.get(table.row)) is not None:
                writes.write(db)


class QualificationWrites:
    """Changes to the qualifications of workers: the table `granted_qualifications`."""

    _REVOKE = "DELETE FROM granted_qualifications WHERE worker_id = ? AND qualification_id = ?"
    _GRANT = """
        INSERT INTO granted_qualifications VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT(worker_id, qualification_id)
        DO UPDATE SET value = excluded.value, update_date = excluded.update_date
    """

    def __init__(self) -> None:
        self._granted: dict[tuple[int, QualificationId], Cells] = {}
        self._revoked: set[tuple[int, QualificationId]] = set()

    def grant(self, recorded: RecordedEvent, qualification: QualificationId, value: int, date: str) -> None:
        """Grant the event's worker a qualification, or change its value."""
        seq, worker = recorded.seq, number_of(recorded.envelope.stream)
        before = self._granted.get((worker, qualification))
        first_seq, first_date = (before[0], before[5]) if before else (seq, date)
        self._granted[worker, qualification] = (first_seq, worker, qualification, value, date, first_date)

    def revoke(self, recorded: RecordedEvent, qualification: QualificationId) -> None:
        """Revoke a qualification of the event's worker."""
        worker = number_of(recorded.envelope.stream)
        self._granted.pop((worker, qualification), None)
        self._revoked.add((worker, qualification))

    def write(self, db: sqlite3.Connection) -> None:
        """Write all changes to the table."""
        if self._revoked:
            db.executemany(self._REVOKE, self._revoked)
        if self._granted:
            db.executemany(self._GRANT, self._granted.values())


class Bonuses:
    """Bonuses for work: the table `agent_bonuses`."""

    #: Reasons written after the erasure are kept, as with verdicts.
    _FORGET = """
        UPDATE agent_bonuses SET reason = NULL
        WHERE agent_id IN (SELECT agent_id FROM agents WHERE worker_id = ?) AND agent_bonus_id < ?
    """

    def __init__(self) -> None:
        self._added: list[AgentBonusRow] = []
        self._forgotten: list[tuple[int, int]] = []

    def add(self, recorded: RecordedEvent, bonus_cents: int, reason: str | None, date: str) -> None:
        """Add a bonus for the work of the event's agent."""
        agent = AgentId(number_of(recorded.envelope.stream))
        self._added.append(AgentBonusRow(recorded.seq, agent, bonus_cents, reason, date))

    def forget(self, recorded: RecordedEvent) -> None:
        """Erase the reasons written so far for bonuses of the event's worker."""
        self._forgotten.append((number_of(recorded.envelope.stream), recorded.seq))

    def write(self, db: sqlite3.Connection) -> None:
        """Write all changes to the table, after the agents have been written to theirs."""
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
    #: Notes written after the erasure are kept: a reviewer may still review the work of an erased worker.
    _FORGET = "UPDATE unit_review SET review_note = NULL WHERE worker_id = ? AND id < ?"

    #: The bonus of a verdict has the number of the verdict.
    _WITHDRAW_BONUS = """
        DELETE FROM agent_bonuses WHERE agent_id = :agent AND agent_bonus_id < :seq AND agent_bonus_id IN (
            SELECT id FROM unit_review JOIN agents USING (unit_id, worker_id) WHERE agent_id = :agent
        )
    """
    _WITHDRAW = """
        DELETE FROM unit_review WHERE id < :seq
            AND (unit_id, worker_id) = (SELECT unit_id, worker_id FROM agents WHERE agent_id = :agent)
    """

    def __init__(self) -> None:
        self._added: list[Cells] = []
        self._forgotten: list[tuple[int, int]] = []
        self._withdrawn: list[dict[str, int]] = []

    def add(
        self, recorded: RecordedEvent, verdict: AgentStatus, note: str | None, bonus_cents: int | None, date: str
    ) -> None:
        """Add a verdict on the work of the event's agent."""
        self._added.append((recorded.seq, verdict.value, note, bonus_cents, date, number_of(recorded.envelope.stream)))

    def withdraw(self, recorded: RecordedEvent) -> None:
        """Delete the verdicts so far on the work of the event's agent, with their bonuses."""
        self._withdrawn.append({"agent": number_of(recorded.envelope.stream), "seq": recorded.seq})

    def forget(self, recorded: RecordedEvent) -> None:
        """Erase the notes written so far on the work of the event's worker."""
        self._forgotten.append((number_of(recorded.envelope.stream), recorded.seq))

    def write(self, db: sqlite3.Connection) -> None:
        """Write all changes to the table, after the agents and the bonuses have been written to theirs."""
        if self._added:
            db.executemany(self._ADD, self._added)
        if self._withdrawn:
            db.executemany(self._WITHDRAW_BONUS, self._withdrawn)
            db.executemany(self._WITHDRAW, self._withdrawn)
        if self._forgotten:
            db.executemany(self._FORGET, self._forgotten)


class Opinions:
    """Opinions of reviewers on work without a verdict: the table `agent_opinions`."""

    _CLEAR = "DELETE FROM agent_opinions WHERE agent_id = ? AND agent_opinion_id < ?"
    _FORGET = """
        UPDATE agent_opinions SET note = NULL
        WHERE agent_id IN (SELECT agent_id FROM agents WHERE worker_id = ?) AND agent_opinion_id < ?
    """

    def __init__(self) -> None:
        self._added: list[AgentOpinionRow] = []
        self._cleared: list[tuple[int, int]] = []
        self._forgotten: list[tuple[int, int]] = []

    def add(self, recorded: RecordedEvent, opinion: str, reviewer: str, note: str | None, date: str) -> None:
        """Add an opinion on the work of the event's agent."""
        agent = AgentId(number_of(recorded.envelope.stream))
        self._added.append(AgentOpinionRow(recorded.seq, agent, opinion, reviewer, note, date))

    def clear(self, recorded: RecordedEvent) -> None:
        """Delete the opinions so far on the work of the event's agent."""
        self._cleared.append((number_of(recorded.envelope.stream), recorded.seq))

    def forget(self, recorded: RecordedEvent) -> None:
        """Erase the notes written so far on the work of the event's worker."""
        self._forgotten.append((number_of(recorded.envelope.stream), recorded.seq))

    def write(self, db: sqlite3.Connection) -> None:
        """Write all changes to the table, after the agents have been written to theirs."""
        if self._added:
            db.executemany(TABLE_OF[AgentOpinionRow].insert, map(astuple, self._added))
        if self._cleared:
            db.executemany(self._CLEAR, self._cleared)
        if self._forgotten:
            db.executemany(self._FORGET, self._forgotten)
