"""Lists what outlives runs, and the settings that a run was launched with: tasks, qualifications, settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....projections.mephisto_db.rows import TaskRunRow
from ....projections.queries.runs.progress import RunProgress, run_progress
from ...log.sqlite.as_of import LogAsOf
from ..site import Site, run_of

#: Holders of a qualification that are listed, those with the highest values first.
SHOWN_HOLDERS = 20
_TASKS = """
    SELECT task_id, task_name, task_type, tasks.creation_date, count(task_run_id), max(task_run_id)
    FROM tasks LEFT JOIN task_runs USING (task_id, task_type) GROUP BY task_id ORDER BY task_id DESC
"""
_QUALIFICATIONS = """
    SELECT qualification_id, qualification_name, qualifications.creation_date, count(worker_id)
    FROM qualifications LEFT JOIN granted_qualifications USING (qualification_id)
    GROUP BY qualification_id ORDER BY qualification_name
"""
_HOLDERS = """
    SELECT worker_id, value FROM granted_qualifications WHERE qualification_id = ?
    ORDER BY value DESC, worker_id LIMIT ?
"""


class TaskLine(NamedTuple):
    """A task and its runs."""

    task_id: int
    name: str
    task_type: str
    since: str
    runs: int
    latest_run: int | None


class QualificationLine(NamedTuple):
    """A qualification and who has it."""

    name: str
    since: str
    holder_count: int
    #: Workers with their values, some of them.
    holders: tuple[tuple[int, int], ...]


class DirectoryPages:
    """Lists tasks, qualifications, and the settings of a run."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/tasks", self.tasks),
            Route("/qualifications", self.qualifications),
            Route("/runs/{run:int}/settings", self.settings),
        ]

    async def tasks(self, request: Request) -> Response:
        """List all tasks."""
        tasks = await self._site.log.query(lambda moment: [TaskLine(*row) for row in moment.db.execute(_TASKS)])
        return self._site.templates.page("tasks.html", request, tasks=tasks)

    async def qualifications(self, request: Request) -> Response:
        """List all qualifications."""
        found = await self._site.log.query(lambda moment: list(_qualifications(moment)))
        return self._site.templates.page("qualifications.html", request, qualifications=found)

    async def settings(self, request: Request) -> Response:
        """List the settings with which a run was launched."""
        run = run_of(request)

        def answer(moment: LogAsOf) -> tuple[RunProgress, TaskRunRow]:
            return run_progress(moment.db, run), moment.db.get(TaskRunRow, run)

        progress, row = await self._site.log.query(answer)
        settings = list(_settings("", msgspec.json.decode(row.init_params)))
        return self._site.templates.page("settings.html", request, run=progress, settings=settings)


def _qualifications(moment: LogAsOf) -> Iterator[QualificationLine]:
    for number, name, since, count in moment.db.execute(_QUALIFICATIONS).fetchall():
        holders = moment.db.execute(_HOLDERS, (number, SHOWN_HOLDERS)).fetchall()
        yield QualificationLine(name, since, count, tuple(holders))


def _settings(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield each setting by its whole name, as on the command line."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _settings(f"{prefix}.{name}" if prefix else str(name), inner)
    elif prefix:
        yield prefix, value
