"""The application: all pages behind the guard, and what is answered when something cannot be."""

from __future__ import annotations

import logging
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ...core.errors import CommandRefusedError, ConfigError, MephistoError
from ...core.ports import WallClock
from .access import Access, Sessions
from .changes import Changes
from .downloads import Downloads
from .guard import STATIC, Cookie, Guard
from .log_access import LogAccess
from .login import LoginPages
from .people import PeoplePages
from .rendering import HERE, Pages
from .runs import RunPages
from .site import Site
from .standings import StandingPages
from .verdicts import VerdictPages

logger = logging.getLogger(__name__)


def make_app(
    database: Path, access: Access, sessions: Sessions, changes: Changes, clock: WallClock, port: int
) -> ASGIApp:
    """The application that shows one log.

    Args:
        database: the log's file.
        access: what is asked of visitors.
        sessions: makes their sessions.
        changes: tells of commits; whoever serves the application runs its `watch`.
        clock: the wall clock.
        port: the port that is listened on.
    """
    pages, cookie = Pages(database), Cookie(port)
    site = Site(LogAccess(database), pages, changes, access, sessions, cookie, clock)
    routes = [
        route
        for part in (
            RunPages(site),
            PeoplePages(site),
            VerdictPages(site),
            StandingPages(site),
            Downloads(site),
            LoginPages(site),
        )
        for route in part.routes()
    ]

    def refused(request: Request, error: Exception) -> Response:
        """One sentence about what was wrong."""
        return pages.refusal(*_answer(error), visitor=getattr(request.state, "visitor", None))

    app = Starlette(
        routes=[*routes, Mount(STATIC, StaticFiles(directory=HERE / "static"))],
        exception_handlers={HTTPException: refused, MephistoError: refused, Exception: refused},
    )
    return Guard(app, access, sessions, cookie, pages.refusal)


def _answer(error: Exception) -> tuple[int, str]:
    """The status and the sentence."""
    match error:
        case HTTPException(status_code=404, detail="Not Found"):
            return 404, "There is no such page"
        case HTTPException():
            return error.status_code, error.detail
        case CommandRefusedError():
            return 404, str(error)
        case ConfigError():
            return 501, str(error)
        case MephistoError():
            logger.error(str(error))
            return 503, str(error)
        case _:
            return 500, "The server made a mistake"
