"""The ASGI application: all pages behind the guard, and the error pages."""

from __future__ import annotations

import logging

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
from .guard import STATIC, Cookie, Guard
from .log_access import LogAccess
from .pages.directory import DirectoryPages
from .pages.downloads import Downloads
from .pages.entities import EntityPages
from .pages.login import LoginPages
from .pages.money import MoneyPages
from .pages.own_page import OwnPages
from .pages.quality import QualityPages
from .pages.reviewing.adjudicate import AdjudicatePages
from .pages.reviewing.appeals import AppealPages
from .pages.reviewing.bulk_review import BulkReviewPages
from .pages.reviewing.desk import DeskPages
from .pages.reviewing.review import ReviewPages
from .pages.reviewing.task_page import TaskPagePages
from .pages.runs import RunPages
from .pages.uploads import UploadPages
from .pages.worker import WorkerPages
from .pages.worker_history import WorkerHistoryPages
from .rendering import HERE, Templates
from .site import Site

logger = logging.getLogger(__name__)


def make_app(
    log: LogAccess,
    access: Access,
    sessions: Sessions,
    changes: Changes,
    clock: WallClock,
    port: int,
    *,
    shows_names: bool = True,
) -> ASGIApp:
    """Return the application that shows one log.

    Args:
        log: access to the log's file.
        access: the requirement for visitors.
        sessions: opens and verifies their sessions.
        changes: reports commits; the caller runs its `watch`.
        clock: the wall clock.
        port: the port of the server.
        shows_names: False to show workers only by their ids.
    """
    templates, cookie = Templates(log.database), Cookie(port)
    site = Site(log, templates, changes, access, sessions, cookie, clock, shows_names)
    routes = [
        route
        for part in (
            RunPages(site),
            EntityPages(site),
            ReviewPages(site),
            AppealPages(site),
            DeskPages(site),
            AdjudicatePages(site),
            BulkReviewPages(site),
            TaskPagePages(site),
            QualityPages(site),
            MoneyPages(site),
            DirectoryPages(site),
            WorkerHistoryPages(site),
            WorkerPages(site),
            Downloads(site),
            UploadPages(site),
            LoginPages(site),
            OwnPages(site),
        )
        for route in part.routes()
    ]

    def error_page(request: Request, error: Exception) -> Response:
        """Return a page with one sentence about an error."""
        return templates.error(*_describe(error), visitor=getattr(request.state, "visitor", None))

    app = Starlette(
        routes=[*routes, Mount(STATIC, StaticFiles(directory=HERE / "static"))],
        exception_handlers={HTTPException: error_page, MephistoError: error_page, Exception: error_page},
    )
    return Guard(app, access, sessions, cookie, templates.error)


def _describe(error: Exception) -> tuple[int, str]:
    """Return the status and the sentence for an error."""
    match error:
        case HTTPException(status_code=404, detail="Not Found"):
            return 404, "Page not found"
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
            return 500, "Internal server error"
