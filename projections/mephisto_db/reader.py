"""Reads the MephistoDB view under Mephisto's names."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Unpack
from urllib.parse import quote

import msgspec

from ...core.abstractions.work_data import InitializationData, Update
from ...core.errors import CommandRefusedError, UnknownEntityError, UnusableLogError
from ...core.operations.control.requests import AnyRequest, Reply
from ...core.payloads import RUNS_FOLDER
from ...events.base import PayloadRef
from ..engine.projection import ReadPayload
from . import criteria, rows
from .criteria import EntityId
from .data_model import (
    AgentView,
    AssignmentView,
    Entity,
    OnboardingAgentView,
    ProjectView,
    RequesterView,
    TaskRunView,
    TaskView,
    UnitView,
    WorkerView,
)
from .queries import JsonValue
from .rows import R
from .selection import reading, selection_of, table_of
from .tables import TABLES, Table
from .work_reader import read_late_outputs, read_outputs

#: A value that SQLite stores.
SqlValue = int | float | str | bytes | None

_PAYLOAD = "SELECT body FROM payloads WHERE sha256 = ?"
_PAYLOADS = "SELECT sha256, body FROM payloads WHERE sha256 IN (SELECT value FROM json_each(?))"


class MephistoDB:
    """The state of all runs, read from a log file, whether or not an operator is writing to it.

    `get_...` returns the entity with an id, `find_...` all matching entities, oldest first. Ids may be numbers or
    strings of digits. The results lead on: `unit.get_assigned_agent()`, `run.get_assignments()`. Nothing is ever
    written; to change something, send a command to an operator.

    All reads of the view go through this class.
    """

    def __init__(self, database: str | Path | sqlite3.Connection, read_payload: ReadPayload | None = None) -> None:
        """Open a log file for reading, or read through a connection, which the caller closes.

        Args:
            database: the file or the connection.
            read_payload: reads the payloads that rows refer to; by default they are read from the same database.

        Raises:
            UnusableLogError: there is no such file, or it does not contain the view.
        """
        self._own = not isinstance(database, sqlite3.Connection)
        self._db = database if isinstance(database, sqlite3.Connection) else _open(Path(database))
        #: The path of the file, for messages; of a connection in general words.
        self.location = str(database) if self._own else "the database"
        #: True if the payloads are in the same database as the view.
        self.has_payloads = read_payload is None
        self._read_payload = read_payload or self._stored_payload
        try:
            self._check(self.location)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._own:
            self._db.close()

    def __enter__(self) -> MephistoDB:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def execute(self, sql: str, parameters: Sequence[SqlValue] | Mapping[str, SqlValue] = (), /) -> sqlite3.Cursor:
        """Run a query on the tables of the view.

        Args:
            sql: a SELECT statement.
            parameters: the values of its placeholders.

        Returns:
            A cursor whose rows are tuples.
        """
        # A new cursor, because the caller's connection may have a row factory.
        cursor = self._db.cursor()
        cursor.row_factory = None
        return cursor.execute(sql, parameters)

    def bound(self, thousand_steps: int) -> None:
        """Give up, with an error of SQLite, after so many thousand further steps of queries."""
        left = iter(range(thousand_steps))
        self._db.set_progress_handler(lambda: next(left, None) is None, 1000)

    def decide(self, request: AnyRequest) -> Reply:
        """Refuse: this database only reads.

        Raises:
            CommandRefusedError: always.
        """
        raise CommandRefusedError(
            f"{type(request).__name__} was not sent: this database only reads. "
            "Open the log with mephisto_es.connect(path) to decide about work and workers"
        )

    # One entity by its id. Each of these raises UnknownEntityError if there is none.

    def get_project(self, project_id: EntityId) -> ProjectView:
        """Return the project with an id."""
        return self.get(ProjectView, project_id)

    def get_task(self, task_id: EntityId) -> TaskView:
        """Return the task with an id."""
        return self.get(TaskView, task_id)

    def get_requester(self, requester_id: EntityId) -> RequesterView:
        """Return the requester with an id."""
        return self.get(RequesterView, requester_id)

    def get_task_run(self, task_run_id: EntityId) -> TaskRunView:
        """Return the run with an id."""
        return self.get(TaskRunView, task_run_id)

    def get_assignment(self, assignment_id: EntityId) -> AssignmentView:
        """Return the assignment with an id."""
        return self.get(AssignmentView, assignment_id)

    def get_unit(self, unit_id: EntityId) -> UnitView:
        """Return the unit with an id."""
        return self.get(UnitView, unit_id)

    def get_worker(self, worker_id: EntityId) -> WorkerView:
        """Return the worker with an id."""
        return self.get(WorkerView, worker_id)

    def get_agent(self, agent_id: EntityId) -> AgentView:
        """Return the agent with an id."""
        return self.get(AgentView, agent_id)

    def get_onboarding_agent(self, onboarding_agent_id: EntityId) -> OnboardingAgentView:
        """Return the onboarding agent with an id."""
        return self.get(OnboardingAgentView, onboarding_agent_id)

    def get_qualification(self, qualification_id: EntityId) -> rows.QualificationRow:
        """Return the qualification with an id."""
        return self.get(rows.QualificationRow, qualification_id)

    def get_granted_qualification(
        self, qualification_id: EntityId, worker_id: EntityId
    ) -> rows.GrantedQualificationRow:
        """Return a qualification as it was granted to a worker."""
        found = self.find_granted_qualifications(qualification_id=qualification_id, worker_id=worker_id)
        if not found:
            raise UnknownEntityError(f"qualification-{qualification_id} of worker-{worker_id}")
        return found[0]

    # All matching entities

    def find_projects(self, project_name: str | None = None) -> list[ProjectView]:
        """Return the projects: all, or those with a name."""
        return self.find(ProjectView, project_name=project_name)

    def find_tasks(self, **by: Unpack[criteria.TaskCriteria]) -> list[TaskView]:
        """Return the matching tasks."""
        return self.find(TaskView, **by)

    def find_requesters(self, **by: Unpack[criteria.RequesterCriteria]) -> list[RequesterView]:
        """Return the matching requesters."""
        return self.find(RequesterView, **by)

    def find_task_runs(self, **by: Unpack[criteria.TaskRunCriteria]) -> list[TaskRunView]:
        """Return the matching runs."""
        return self.find(TaskRunView, **by)

    def find_assignments(self, **by: Unpack[criteria.AssignmentCriteria]) -> list[AssignmentView]:
        """Return the matching assignments."""
        return self.find(AssignmentView, **by)

    def find_units(self, **by: Unpack[criteria.UnitCriteria]) -> list[UnitView]:
        """Return the matching units."""
        return self.find(UnitView, **by)

    def find_workers(self, **by: Unpack[criteria.WorkerCriteria]) -> list[WorkerView]:
        """Return the matching workers; an erased worker no longer has a name to match."""
        return self.find(WorkerView, **by)

    def find_agents(self, **by: Unpack[criteria.AgentCriteria]) -> list[AgentView]:
        """Return the matching agents."""
        return self.find(AgentView, **by)

    def find_onboarding_agents(self, **by: Unpack[criteria.OnboardingAgentCriteria]) -> list[OnboardingAgentView]:
        """Return the matching onboarding agents."""
        return self.find(OnboardingAgentView, **by)

    def find_qualifications(self, qualification_name: str | None = None) -> list[rows.QualificationRow]:
        """Return the qualifications: all, or those with a name."""
        return self.find(rows.QualificationRow, qualification_name=qualification_name)

    def find_granted_qualifications(
        self, **by: Unpack[criteria.GrantedQualificationCriteria]
    ) -> list[rows.GrantedQualificationRow]:
        """Return the matching qualifications of workers."""
        return self.find(rows.GrantedQualificationRow, **by)

    #: Mephisto's older name for it.
    check_granted_qualifications = find_granted_qualifications

    def find_unit_reviews(self, **by: Unpack[criteria.UnitReviewCriteria]) -> list[rows.UnitReviewRow]:
        """Return the matching verdicts on units."""
        return self.find(rows.UnitReviewRow, **by)

    def find_agent_bonuses(self, **by: Unpack[criteria.AgentBonusCriteria]) -> list[rows.AgentBonusRow]:
        """Return the matching bonuses, whether part of a verdict or granted separately."""
        return self.find(rows.AgentBonusRow, **by)

    def find_agent_payloads(self, **by: Unpack[criteria.AgentPayloadCriteria]) -> list[rows.AgentPayloadRow]:
        """Return the matching payloads that agents sent or received, in log order."""
        return self.find(rows.AgentPayloadRow, **by)

    # Payloads that rows refer to

    def get_assignment_data(self, assignment_id: EntityId) -> InitializationData | None:
        """Return the input data of an assignment, or None if it was erased.

        Raises:
            UnknownEntityError: there is no such assignment.
        """
        body = self._read_payload(self.get_assignment(assignment_id).data)
        with reading(f"the data of assignment-{assignment_id}"):
            return None if body is None else msgspec.json.decode(body, type=InitializationData)

    def get_inputs(self, unit: rows.UnitRow) -> Update | None:
        """Return the input data of a unit, or None if it was erased."""
        data = self.get_assignment_data(unit.assignment_id)
        return None if data is None else data.of_unit(unit.unit_index)

    def get_outputs(self, agent: rows.AgentRow) -> JsonValue:
        """Return an agent's outputs. Late work counts once it is accepted.

        Returns:
            The submission, with the names of uploaded `files`; for work with live updates an object with `messages` or
            `requests` and the `final_submission`; None if there is nothing, or it was erased.
        """
        return read_outputs(self, agent)

    def get_late_outputs(self, agent: rows.AgentRow) -> JsonValue:
        """Return what an agent submitted after its work had ended, accepted or not; None if nothing, or erased."""
        return read_late_outputs(self, agent)

    def get_unit_inputs(self, unit_id: EntityId) -> Update | None:
        """Return the input data of the unit with an id, or None if it was erased.

        Raises:
            UnknownEntityError: there is no such unit.
        """
        return self.get_inputs(self.get_unit(unit_id))

    def run_dir(self, task_run_id: EntityId) -> Path:
        """Return the folder of a run, beside the log: uploaded files are there.

        Raises:
            UnusableLogError: the log is not a file.
        """
        files = [file for _, name, file in self.execute("PRAGMA database_list") if name == "main" and file]
        if not files:
            raise UnusableLogError("a log in memory has no folder for files; open the log from its file")
        return Path(files[0]).parent / RUNS_FOLDER / str(int(task_run_id))

    def read_json(self, ref: PayloadRef) -> JsonValue:
        """Return the JSON value behind a reference; None if it was erased, or if it is JSON's null."""
        body = self._read_payload(ref)
        with reading(f"the payload {ref.sha256}"):
            value: JsonValue = None if body is None else msgspec.json.decode(body)
        return value

    def read_text(self, ref: PayloadRef) -> str | None:
        """Return the text behind a reference, or None if it was erased."""
        body = self._read_payload(ref)
        return None if body is None else body.decode(errors="replace")

    def read_bodies(self, refs: Collection[PayloadRef]) -> dict[str, bytes | None]:
        """Return the bytes behind references by their `sha256`, read together; those that were erased are None."""
        if not self.has_payloads:
            return {ref.sha256: self._read_payload(ref) for ref in refs}
        bodies: dict[str, bytes | None] = dict.fromkeys(ref.sha256 for ref in refs)
        with reading("the payloads"):
            bodies.update(self.execute(_PAYLOADS, (msgspec.json.encode(list(bodies)).decode(),)))
        return bodies

    def _stored_payload(self, ref: PayloadRef) -> bytes | None:
        with reading("the payloads"):
            found = self.execute(_PAYLOAD, (ref.sha256,)).fetchone()
        return found[0] if found else None

    # Rows of any table

    def get(self, row: type[R], db_id: EntityId) -> R:
        """Return the row with an id, of any table.

        Raises:
            UnknownEntityError: there is none; the message names the nearest id.
        """
        table = table_of(row)
        found = self._select(row, f"WHERE {table.key} = ?", [db_id])
        if not found:
            raise UnknownEntityError(f"{table.entity}-{db_id}", self._nearest(table, db_id))
        return found[0]

    def find(self, row: type[R], **by: EntityId | None) -> list[R]:
        """Return the matching rows of any table, oldest first. A value of None matches every row.

        Raises:
            TypeError: the table has no such column.
        """
        table = table_of(row)
        if unknown := by.keys() - set(table.columns):
            raise TypeError(f"{table.name} cannot be found by {', '.join(sorted(unknown))}")
        wanted = {column: value for column, value in by.items() if value is not None}
        where = f"WHERE {' AND '.join(f'{column} = ?' for column in wanted)} " if wanted else ""
        return self._select(row, f"{where}ORDER BY {table.key}", list(wanted.values()))

    def find_among(self, row: type[R], column: str, values: Collection[int]) -> list[R]:
        """Return the rows of any table whose value in a column is one of those given, oldest first.

        Raises:
            TypeError: the table has no such column.
        """
        table = table_of(row)
        if column not in table.columns:
            raise TypeError(f"{table.name} cannot be found by {column}")
        among = f"WHERE {column} IN (SELECT value FROM json_each(?)) ORDER BY {table.key}"
        return self._select(row, among, [msgspec.json.encode(list(values)).decode()]) if values else []

    def _select(self, row: type[R], rest: str, values: Sequence[SqlValue]) -> list[R]:
        selection = selection_of(row)
        with reading(selection.part):
            found = self.execute(f"{selection.sql} {rest}", values)
            read = [dict(zip(selection.columns, cells)) for cells in found]  # noqa: B905 - as many by construction
            if issubclass(row, Entity):
                return [row.from_columns(self, columns) for columns in read]
            return [rows.from_columns(row, columns) for columns in read]

    def _nearest(self, table: Table, db_id: EntityId) -> str | None:
        """Find the entity with the nearest id, by two lookups in the index of the key."""
        try:
            number = int(db_id)
        except ValueError:
            return None
        with reading(selection_of(table.row).part):
            below, above = self.execute(
                f"SELECT (SELECT max({table.key}) FROM {table.name} WHERE {table.key} < :number),"
                f" (SELECT min({table.key}) FROM {table.name} WHERE {table.key} > :number)",
                {"number": number},
            ).fetchone()
        known = [one for one in (below, above) if one is not None]
        return f"{table.entity}-{min(known, key=lambda one: abs(one - number))}" if known else None

    def _check(self, database: str) -> None:
        try:
            present = {name for (name,) in self.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.DatabaseError as error:
            raise UnusableLogError(f"{database} cannot be read: {error}") from error
        missing = [table.name for table in TABLES if table.name not in present]
        if missing:
            raise UnusableLogError(f"{database} has no MephistoDB view: the table {missing[0]} is missing")


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise UnusableLogError(f"there is no database at {path}; check the path")
    try:
        db = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, isolation_level=None)
        db.execute("PRAGMA trusted_schema=OFF")
    except sqlite3.Error as error:
        raise UnusableLogError(f"{path} cannot be opened for reading: {error}") from error
    return db
