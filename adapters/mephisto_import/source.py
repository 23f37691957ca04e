"""Reads a Mephisto database and the data folder beside it, without changing them."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import quote

import msgspec

from ...core.errors import UnusableLogError


class SourceProject(msgspec.Struct, frozen=True):
    """A row of projects."""

    project_id: int
    project_name: str
    creation_date: str


class SourceTask(msgspec.Struct, frozen=True):
    """A row of tasks."""

    task_id: int
    task_name: str
    task_type: str
    project_id: int | None
    parent_task_id: int | None
    creation_date: str


class SourceRequester(msgspec.Struct, frozen=True):
    """A row of requesters."""

    requester_id: int
    requester_name: str
    provider_type: str
    creation_date: str


class SourceQualification(msgspec.Struct, frozen=True):
    """A row of qualifications."""

    qualification_id: int
    qualification_name: str
    creation_date: str


class SourceWorker(msgspec.Struct, frozen=True):
    """A row of workers."""

    worker_id: int
    worker_name: str
    provider_type: str
    creation_date: str


class GrantRow(msgspec.Struct, frozen=True):
    """A row of granted_qualifications."""

    worker_id: int
    qualification_id: int
    value: int
    creation_date: str


class RunRow(msgspec.Struct, frozen=True):
    """A row of task_runs."""

    task_run_id: int
    task_id: int
    requester_id: int
    init_params: str
    is_completed: bool
    provider_type: str
    task_type: str
    creation_date: str


class SourceAssignment(msgspec.Struct, frozen=True):
    """A row of assignments."""

    assignment_id: int
    task_run_id: int
    creation_date: str


class SourceUnit(msgspec.Struct, frozen=True):
    """A row of units."""

    unit_id: int
    assignment_id: int
    task_run_id: int
    unit_index: int
    pay_amount: float
    status: str
    agent_id: int | None
    creation_date: str


class SourceAgent(msgspec.Struct, frozen=True):
    """A row of agents."""

    agent_id: int
    worker_id: int
    unit_id: int
    task_run_id: int
    assignment_id: int
    status: str
    creation_date: str


class OnboardingRow(msgspec.Struct, frozen=True):
    """A row of onboarding_agents."""

    onboarding_agent_id: int
    worker_id: int
    task_run_id: int
    status: str
    creation_date: str


class ReviewRow(msgspec.Struct, frozen=True):
    """A row of reviews; the bonus is in the currency's main unit."""

    unit_id: int | None
    status: str | None
    review_note: str | None
    bonus: float | None
    updated_qualification_id: int | None
    revoked_qualification_id: int | None
    creation_date: str


R = TypeVar("R", bound=msgspec.Struct)

_TABLES: dict[type[msgspec.Struct], str] = {
    SourceTask: "tasks",
    SourceRequester: "requesters",
    SourceQualification: "qualifications",
    SourceWorker: "workers",
    GrantRow: "granted_qualifications",
    RunRow: "task_runs",
    SourceAssignment: "assignments",
    SourceUnit: "units",
    SourceAgent: "agents",
    OnboardingRow: "onboarding_agents",
}


#: Where Mephisto puts its database, below its data folder and below its own folder.
_USUAL_PLACES = ("database.db", "data/database.db")


class Source:
    """A Mephisto database.

    Attributes:
        path: the path of the file.
        unreadable: files beside it that cannot be read, found so far.
    """

    def __init__(self, path: Path) -> None:
        """Open it read-only.

        Raises:
            UnusableLogError: it is not a Mephisto database.
        """
        self.path = path
        self.unreadable: list[str] = []
        if path.is_dir():
            found = next((name for name in _USUAL_PLACES if (path / name).is_file()), None)
            remedy = (
                f"name the {_USUAL_PLACES[0]} of its data folder"
                if found is None
                else f"name the database in it, {path / found}"
            )
            raise UnusableLogError(f"{path} is a folder, not the database of Mephisto; {remedy}")
        if not path.is_file():
            raise UnusableLogError(f"there is no database at {path}; check the path")
        self._db = _open_other(path)
        try:
            names = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise UnusableLogError(f"{path} is not a Mephisto database: {error}") from error
        missing = sorted(set(_TABLES.values()) - names)
        if missing or "events" in names:
            self._db.close()
            reason = f"it has no table {missing[0]}" if missing else "it is already a log of mephisto-es"
            raise UnusableLogError(f"{path} is not a Mephisto database: {reason}")
        #: The table of verdicts; None in databases of versions before 1.2.
        self._reviews = next((name for name in ("worker_review", "unit_review") if name in names), None)
        self._has_projects = "projects" in names

    def rows(self, row: type[R]) -> list[R]:
        """Return all rows of a table, oldest first.

        Raises:
            UnusableLogError: a value is not of the type of its column.
        """
        return self._select(row, _TABLES[row], {})

    def reviews(self) -> list[ReviewRow]:
        """Return all reviews, oldest first; none if the version had no table of them."""
        if self._reviews is None:
            return []
        columns = {column for _, column, *_ in self._db.execute(f"PRAGMA table_info({self._reviews})")}
        named = {field: field if field in columns else "NULL" for field in ReviewRow.__struct_fields__}
        named["creation_date"] = "creation_date" if "creation_date" in columns else "created_at"
        return self._select(ReviewRow, self._reviews, named)

    def last_reviews(self) -> dict[int, ReviewRow]:
        """Return the last review of each unit."""
        return {review.unit_id: review for review in self.reviews() if review.unit_id is not None}

    def json(self, run: int, *path: str | int) -> object | None:
        """Return the content of a JSON file of a run, given its path below the run's folder; None if there is none."""
        folder = self.folder(run, *path[:-1])
        file = None if folder is None else folder / str(path[-1])
        if file is None or not file.is_file():
            return None
        try:
            return cast(object, msgspec.json.decode(file.read_bytes()))
        except msgspec.DecodeError:
            # Written when the process was killed.
            self.unreadable.append(str(file.relative_to(self.path.parent)))
            return None

    def folder(self, run: int, *path: str | int) -> Path | None:
        """Return a folder below that of a run; None if there is none."""
        below = "/".join(map(str, (run, *path)))
        return next(iter(sorted(self.path.parent.glob(f"data/runs/*/{below}"))), None)

    def blocked_workers(self) -> set[int]:
        """Return the workers that the datastore of a provider has as blocked: a verdict that blocks says it there."""
        blocked: set[int] = set()
        for file in sorted(self.path.parent.glob("*/*.db")):
            with suppress(sqlite3.DatabaseError), closing(_open_other(file)) as datastore:
                rows = datastore.execute("SELECT worker_id FROM workers WHERE is_blocked").fetchall()
                blocked |= {int(worker) for (worker,) in rows if str(worker).isdecimal()}
        return blocked

    def projects(self) -> list[SourceProject]:
        """Return all projects, oldest first."""
        return self._select(SourceProject, "projects", {}) if self._has_projects else []

    def execute(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query; their types depend on its columns."""
        return self._db.execute(query, arguments).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _select(self, row: type[R], table: str, named: dict[str, str]) -> list[R]:
        fields = row.__struct_fields__
        columns = ", ".join(named.get(field, field) for field in fields)
        found = self._db.execute(f"SELECT {columns} FROM {table} ORDER BY rowid").fetchall()
        try:
            # Not strict: SQLite has no booleans, and Mephisto's amounts may be text.
            return [msgspec.convert(dict(zip(fields, cells, strict=True)), row, strict=False) for cells in found]
        except msgspec.ValidationError as error:
            raise UnusableLogError(f"the table {table} of {self.path} cannot be read: {error}") from error


def _open_other(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)


def microseconds(date: str) -> int:
    """Return a date of Mephisto, which is in UTC, as microseconds since the epoch."""
    return round(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp() * 1_000_000)
