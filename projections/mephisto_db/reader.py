"""Reading the MephistoDB view under Mephisto's names."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, Unpack
from urllib.parse import quote

import msgspec

from ...core.abstractions.initialization_data import InitializationData, Update
from ...core.errors import UnknownEntityError, UnusableLogError
from ...core.lifecycles.table import kind_of
from ...events.agent import AgentSubmitted
from ...events.base import FileRef, PayloadRef
from ..engine.projection import ReadPayload
from . import criteria, rows
from .criteria import EntityId
from .data_model import (
    AgentView,
    AssignmentView,
    Entity,
    OnboardingAgentView,
    RequesterView,
    TaskRunView,
    TaskView,
    UnitView,
    WorkerView,
)
from .tables import TABLE_OF, TABLES, Table

R = TypeVar("R", bound=rows.Row)
#: Whatever a page may send.
JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

_files = msgspec.json.Decoder(tuple[FileRef, ...])
_PAYLOAD = "SELECT body FROM payloads WHERE sha256 = ?"


class MephistoDB:
    """The state of all runs, read from a log's file while an operator writes it or when nobody does.

    `get_...` gives the entity with an id, `find_...` all that fit, the oldest first. Ids are those of the rows; texts
    of digits do as well. What they give leads on: `unit.get_assigned_agent()`, `run.get_assignments()`. Nothing is ever
    written: what changes something is a command to an operator.
    """

    def __init__(self, database: str | Path | sqlite3.Connection, read_payload: ReadPayload | None = None) -> None:
        """Open a log's file for reading, or read through a connection, which stays open and the caller's.

        Args:
            database: the file or the connection.
            read_payload: reads what rows refer to; by default it is read from the same database.

        Raises:
            UnusableLogError: there is no such file, or the view is not in it.
        """
        self._own = not isinstance(database, sqlite3.Connection)
        self._db = database if isinstance(database, sqlite3.Connection) else _open(Path(database))
        self._read_payload = read_payload or self._stored_payload
        try:
            self._check(str(database) if self._own else "the database")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the file. Twice is harmless."""
        if self._own:
            self._db.close()

    def __enter__(self) -> MephistoDB:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # One by its id. All of these raise UnknownEntityError where there is none.

    def get_project(self, project_id: EntityId) -> rows.ProjectRow:
        """The project with an id."""
        return self.get(rows.ProjectRow, project_id)

    def get_task(self, task_id: EntityId) -> TaskView:
        """The task with an id."""
        return self.get(TaskView, task_id)

    def get_requester(self, requester_id: EntityId) -> RequesterView:
        """The requester with an id."""
        return self.get(RequesterView, requester_id)

    def get_task_run(self, task_run_id: EntityId) -> TaskRunView:
        """The run with an id."""
        return self.get(TaskRunView, task_run_id)

    def get_assignment(self, assignment_id: EntityId) -> AssignmentView:
        """The assignment with an id."""
        return self.get(AssignmentView, assignment_id)

    def get_unit(self, unit_id: EntityId) -> UnitView:
        """The unit with an id."""
        return self.get(UnitView, unit_id)

    def get_worker(self, worker_id: EntityId) -> WorkerView:
        """The worker with an id."""
        return self.get(WorkerView, worker_id)

    def get_agent(self, agent_id: EntityId) -> AgentView:
        """The agent with an id."""
        return self.get(AgentView, agent_id)

    def get_onboarding_agent(self, onboarding_agent_id: EntityId) -> OnboardingAgentView:
        """The onboarding agent with an id."""
        return self.get(OnboardingAgentView, onboarding_agent_id)

    def get_qualification(self, qualification_id: EntityId) -> rows.QualificationRow:
        """The qualification with an id."""
        return self.get(rows.QualificationRow, qualification_id)

    def get_granted_qualification(
        self, qualification_id: EntityId, worker_id: EntityId
    ) -> rows.GrantedQualificationRow:
        """The qualification as a worker has it."""
        found = self.find_granted_qualifications(qualification_id=qualification_id, worker_id=worker_id)
        if not found:
            raise UnknownEntityError(f"qualification-{qualification_id} of worker-{worker_id}")
        return found[0]

    # All that fit

    def find_projects(self, project_name: str | None = None) -> list[rows.ProjectRow]:
        """Projects, all or by name."""
        return self._find(rows.ProjectRow, {"project_name": project_name})

    def find_tasks(self, **by: Unpack[criteria.TaskCriteria]) -> list[TaskView]:
        """Tasks that fit."""
        return self._find(TaskView, by)

    def find_requesters(self, **by: Unpack[criteria.RequesterCriteria]) -> list[RequesterView]:
        """Requesters that fit."""
        return self._find(RequesterView, by)

    def find_task_runs(self, **by: Unpack[criteria.TaskRunCriteria]) -> list[TaskRunView]:
        """Runs that fit."""
        return self._find(TaskRunView, by)

    def find_assignments(self, **by: Unpack[criteria.AssignmentCriteria]) -> list[AssignmentView]:
        """Assignments that fit."""
        return self._find(AssignmentView, by)

    def find_units(self, **by: Unpack[criteria.UnitCriteria]) -> list[UnitView]:
        """Units that fit."""
        return self._find(UnitView, by)

    def find_workers(self, **by: Unpack[criteria.WorkerCriteria]) -> list[WorkerView]:
        """Workers that fit; one who was forgotten has no name to be found by."""
        return self._find(WorkerView, by)

    def find_agents(self, **by: Unpack[criteria.AgentCriteria]) -> list[AgentView]:
        """Agents that fit."""
        return self._find(AgentView, by)

    def find_onboarding_agents(self, **by: Unpack[criteria.OnboardingAgentCriteria]) -> list[OnboardingAgentView]:
        """Onboarding agents that fit."""
        return self._find(OnboardingAgentView, by)

    def find_qualifications(self, qualification_name: str | None = None) -> list[rows.QualificationRow]:
        """Qualifications, all or by name."""
        return self._find(rows.QualificationRow, {"qualification_name": qualification_name})

    def find_granted_qualifications(
        self, **by: Unpack[criteria.GrantedQualificationCriteria]
    ) -> list[rows.GrantedQualificationRow]:
        """Qualifications that workers have."""
        return self._find(rows.GrantedQualificationRow, by)

    #: Mephisto's older name of it.
    check_granted_qualifications = find_granted_qualifications

    def find_unit_reviews(self, **by: Unpack[criteria.UnitReviewCriteria]) -> list[rows.UnitReviewRow]:
        """Verdicts on units that fit."""
        return self._find(rows.UnitReviewRow, by)

    def find_agent_bonuses(self, **by: Unpack[criteria.AgentBonusCriteria]) -> list[rows.AgentBonusRow]:
        """Bonuses that fit, whether by a verdict or apart from it."""
        return self._find(rows.AgentBonusRow, by)

    def find_agent_payloads(self, **by: Unpack[criteria.AgentPayloadCriteria]) -> list[rows.AgentPayloadRow]:
        """What agents sent and were sent, in its order."""
        return self._find(rows.AgentPayloadRow, by)

    # What rows refer to

    def get_assignment_data(self, assignment_id: EntityId) -> InitializationData | None:
        """The input data of an assignment; None if it was erased.

        Raises:
            UnknownEntityError: there is no such assignment.
        """
        body = self._read_payload(self.get_assignment(assignment_id).data)
        return None if body is None else msgspec.json.decode(body, type=InitializationData)

    def get_inputs(self, unit: rows.UnitRow) -> Update | None:
        """What a unit's page is given; None if it was erased."""
        data = self.get_assignment_data(unit.assignment_id)
        return None if data is None else data.of_unit(unit.unit_index)

    def get_outputs(self, agent: rows.AgentRow) -> JsonValue:
        """What an agent handed in, with the names of uploaded `files`; None: nothing, or it was erased."""
        for sent in self.find_agent_payloads(agent_id=agent.agent_id, kind=kind_of(AgentSubmitted)):
            outputs = self.read_json(sent.ref)
            if sent.files is not None and isinstance(outputs, dict):
                return outputs | {"files": [file.filename for file in _files.decode(sent.files)]}
            return outputs
        return None

    def read_json(self, ref: PayloadRef) -> JsonValue:
        """The JSON value behind a reference; None if it was erased, which JSON's null is not told from."""
        body = self._read_payload(ref)
        value: JsonValue = None if body is None else msgspec.json.decode(body)
        return value

    def _stored_payload(self, ref: PayloadRef) -> bytes | None:
        found = self._db.execute(_PAYLOAD, (ref.sha256,)).fetchone()
        return found[0] if found else None

    def get(self, row: type[R], db_id: EntityId) -> R:
        """The row with an id, of any table.

        Raises:
            UnknownEntityError: there is none; the nearest id is given.
        """
        table = _table_of(row)
        found = self._select(row, f"WHERE {table.key} = ?", db_id)
        if not found:
            raise UnknownEntityError(f"{table.entity}-{db_id}", self._nearest(table, db_id))
        return found[0]

    def _find(self, row: type[R], by: Mapping[str, object]) -> list[R]:
        table = _table_of(row)
        if unknown := by.keys() - set(table.columns):
            raise TypeError(f"{table.name} cannot be found by {', '.join(sorted(unknown))}")
        wanted = {column: value for column, value in by.items() if value is not None}
        where = f"WHERE {' AND '.join(f'{column} = ?' for column in wanted)} " if wanted else ""
        return self._select(row, f"{where}ORDER BY {table.key}", *wanted.values())

    def _select(self, row: type[R], rest: str, *values: object) -> list[R]:
        table = _table_of(row)
        # A cursor of our own: the caller's connection may make rows in its own way.
        cursor = self._db.cursor()
        cursor.row_factory = None
        found = cursor.execute(f"SELECT {', '.join(table.columns)} FROM {table.name} {rest}", values)
        # Not strict: SQLite has no truth values.
        read = [msgspec.convert(dict(zip(table.columns, cells, strict=True)), row, strict=False) for cells in found]
        for one in read:
            if isinstance(one, Entity):
                one.read_from(self)
        return read

    def _nearest(self, table: Table, db_id: EntityId) -> str | None:
        """The entity whose id comes nearest, found by two looks into the key's index."""
        try:
            number = int(db_id)
        except ValueError:
            return None
        below, above = self._db.execute(
            f"SELECT (SELECT max({table.key}) FROM {table.name} WHERE {table.key} < ?1),"
            f" (SELECT min({table.key}) FROM {table.name} WHERE {table.key} > ?1)",
            (number,),
        ).fetchone()
        known = [one for one in (below, above) if one is not None]
        return f"{table.entity}-{min(known, key=lambda one: abs(one - number))}" if known else None

    def _check(self, what: str) -> None:
        try:
            present = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.DatabaseError as error:
            raise UnusableLogError(f"{what} cannot be read: {error}") from error
        missing = [table.name for table in TABLES if table.name not in present]
        if missing:
            raise UnusableLogError(f"{what} has no MephistoDB view: the table {missing[0]} is missing")


def _table_of(row: type[rows.Row]) -> Table:
    """The table that holds rows of a kind; the data model's kinds extend those of the tables."""
    return next(TABLE_OF[kind] for kind in row.__mro__ if kind in TABLE_OF)


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise UnusableLogError(f"there is no database at {path}; check the path")
    try:
        db = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, isolation_level=None)
        db.execute("PRAGMA trusted_schema=OFF")
    except sqlite3.Error as error:
        raise UnusableLogError(f"{path} cannot be opened for reading: {error}") from error
    return db
