"""The schema of the view, derived from its rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from . import rows

if TYPE_CHECKING:
    import sqlite_utils


class Table(NamedTuple):
    """One table of the view."""

    name: str
    row: type[rows.Row]
    #: Columns that hold the key of another table. Declared for readers and tools; the writer does not enforce them.
    references: Mapping[str, str] = {}
    #: Columns of each index.
    indexes: tuple[tuple[str, ...], ...] = ()
    #: Columns whose combined values are unique.
    unique: tuple[str, ...] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return self.row.__struct_fields__

    @property
    def key(self) -> str:
        """The primary key, which is the first column."""
        return self.columns[0]

    @property
    def entity(self) -> str:
        """The word for the entity that a row describes: `run` for `task_runs`, `onboarding` for `onboarding_agents`."""
        return self.key.removesuffix("_id").removeprefix("task_").removesuffix("_agent")

    @property
    def insert(self) -> str:
        """The statement that inserts a row."""
        return f"INSERT INTO {self.name} VALUES ({', '.join('?' * len(self.columns))})"


_TASK = {"task_id": "tasks"}
_RUN = {**_TASK, "task_run_id": "task_runs"}

#: Each table comes after the tables it refers to, as far as possible.
TABLES = (
    Table("projects", rows.ProjectRow, indexes=(("project_name",),)),
    Table(
        "tasks", rows.TaskRow, {"project_id": "projects", "parent_task_id": "tasks"}, (("task_name",), ("project_id",))
    ),
    Table("requesters", rows.RequesterRow, indexes=(("requester_name",),)),
    Table("qualifications", rows.QualificationRow, indexes=(("qualification_name",),)),
    Table("workers", rows.WorkerRow, indexes=(("worker_name",),)),
    Table("task_runs", rows.TaskRunRow, {**_TASK, "requester_id": "requesters"}, (("task_id",), ("requester_id",))),
    Table("assignments", rows.AssignmentRow, {**_RUN, "requester_id": "requesters"}, (("task_run_id",),)),
    Table(
        "units",
        rows.UnitRow,
        {**_RUN, "requester_id": "requesters", "assignment_id": "assignments", "worker_id": "workers"},
        (("task_run_id", "status"), ("assignment_id",), ("worker_id",)),
    ),
    Table(
        "agents",
        rows.AgentRow,
        {**_RUN, "assignment_id": "assignments", "unit_id": "units", "worker_id": "workers"},
        (("task_run_id", "status"), ("unit_id",), ("worker_id",)),
    ),
    Table(
        "onboarding_agents",
        rows.OnboardingAgentRow,
        {**_RUN, "worker_id": "workers"},
        (("task_run_id", "status"), ("worker_id",)),
    ),
    Table(
        "granted_qualifications",
        rows.GrantedQualificationRow,
        {"worker_id": "workers", "qualification_id": "qualifications"},
        (("qualification_id",),),
        unique=("worker_id", "qualification_id"),
    ),
    Table(
        "unit_review",
        rows.UnitReviewRow,
        {**_TASK, "unit_id": "units", "worker_id": "workers"},
        (("unit_id",), ("worker_id",)),
    ),
    Table("agent_bonuses", rows.AgentBonusRow, {"agent_id": "agents"}, (("agent_id",),)),
    Table("agent_opinions", rows.AgentOpinionRow, {"agent_id": "agents"}, (("agent_id",),)),
    Table("model_replies", rows.ModelReplyRow, {"agent_id": "agents"}, (("agent_id",),)),
    Table("agent_payloads", rows.AgentPayloadRow, {"agent_id": "agents"}, (("agent_id",),)),
    Table(
        "onboarding_payloads",
        rows.OnboardingPayloadRow,
        {"onboarding_agent_id": "onboarding_agents"},
        (("onboarding_agent_id",),),
    ),
)

TABLE_OF: dict[type[rows.Row], Table] = {table.row: table for table in TABLES}
_KEYS = {table.name: table.key for table in TABLES}


def create(db: sqlite_utils.Database) -> None:
    """Create all tables, empty, with the unique indexes that the projection relies on."""
    for table in TABLES:
        made = db.table(table.name).create(
            {column: _affinity(table, column) for column in table.columns},
            pk=table.key,
            foreign_keys=[(column, other, _KEYS[other]) for column, other in table.references.items()],
            not_null=[column for column in table.columns if not _nullable(table, column)],
            strict=True,
        )
        if table.unique:
            made.create_index(table.unique, unique=True)


def index(db: sqlite_utils.Database) -> None:
    """Create the remaining indexes."""
    for table in TABLES:
        for columns in table.indexes:
            db.table(table.name).create_index(columns)


@cache
def _types(row: type[rows.Row]) -> Mapping[str, msgspec.inspect.Type]:
    """Return the type of each column; finding out takes a while, and tables are created for each audit."""
    return {field.name: msgspec.inspect.type_info(field.type) for field in msgspec.structs.fields(row)}


def _nullable(table: Table, column: str) -> bool:
    return isinstance(_types(table.row)[column], msgspec.inspect.UnionType)


def _affinity(table: Table, column: str) -> type:
    """Return the Python type from which sqlite-utils derives the declared type of the column."""
    info = _types(table.row)[column]
    if isinstance(info, msgspec.inspect.UnionType):
        info = next(member for member in info.types if not isinstance(member, msgspec.inspect.NoneType))
    match info:
        case msgspec.inspect.StrType():
            return str
        case msgspec.inspect.FloatType():
            return float
        case msgspec.inspect.IntType() | msgspec.inspect.BoolType():
            return int
        case _:
            raise TypeError(f"{table.name}.{column}: no SQL type for {info}")
