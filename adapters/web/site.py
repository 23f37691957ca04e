"""The parts shared by all pages, and the values read from their addresses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ...core.errors import UnknownEntityError
from ...core.ports import WallClock
from ...events.ids import TaskRunId, WorkerId
from ...projections.mephisto_db.reader import MephistoDB
from ...projections.queries.worker_names import worker_names
from .access import Access, Sessions
from .changes import Changes
from .guard import Cookie
from .log_access import LogAccess
from .rendering import Templates

#: SQLite's largest integer, and so the largest id or position.
_MAX_INTEGER = 2**63 - 1


class Site(NamedTuple):
    """The parts that pages are made with."""

    log: LogAccess
    templates: Templates
    changes: Changes
    access: Access
    sessions: Sessions
    cookie: Cookie
    clock: WallClock
    #: False to show workers only by their ids.
    shows_names: bool = True

    def names_of(self, db: MephistoDB, workers: Iterable[int | None]) -> dict[WorkerId, str]:
        """Return the names that workers have at their providers; none if they are not to be shown."""
        return worker_names(db, workers) if self.shows_names else {}


def run_of(request: Request) -> TaskRunId:
    """Return the run that an address names."""
    return TaskRunId(_bounded("run", request.path_params["run"]))


def worker_of(request: Request) -> WorkerId:
    """Return the worker that an address names."""
    return WorkerId(_bounded("worker", request.path_params["worker"]))


def seq_of(request: Request) -> int | None:
    """Return the position that an address names; None stands for the end of the log.

    Raises:
        HTTPException: it is not a position.
    """
    text = request.query_params.get("seq")
    if not text:
        return None
    if not text.isdecimal():
        raise HTTPException(400, f"seq is {text!r}; it must be a position in the log, a whole number")
    return _bounded("seq", int(text))


def after_of(request: Request) -> int:
    """Return the number of the entity after which a page of a list starts.

    Raises:
        HTTPException: it is not a number.
    """
    text = request.query_params.get("after", "0")
    if not text.isdecimal():
        raise HTTPException(400, f"after is {text!r}; it must be the number of an entity")
    return _bounded("after", int(text))


def _bounded(name: str, number: int) -> int:
    if number > _MAX_INTEGER:
        raise UnknownEntityError(f"{name} {number}")
    return number
