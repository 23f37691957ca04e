"""The task's own page with the answer in it, in a frame without rights: no session, no network, no storage."""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from .....events.ids import TaskRunId, UnitId
from ....log.sqlite.as_of import LogAsOf
from ...guard import TASK_PAGE
from ...rendering import escaped_json
from ...site import Site, run_of
from ...task_page import MAX_HTML_BYTES, REVIEW_BUNDLE, PageKind, TaskPage, origins_in, run_folder, task_page

#: The document runs in an origin of its own, to which its files have to be offered.
_FILE_HEADERS = {
    "cache-control": "private, max-age=300",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
}


class _TaskFrame(NamedTuple):
    """The contents of a frame."""

    page: TaskPage
    #: Origins from which the frame may load media.
    origins: Collection[str]


class TaskPagePages:
    """Serves the pages that show work, and their files.

    A frame sends no cookies, so its address carries a token. It opens nothing but the files of the task, which every
    worker has been sent; the work itself is handed to the frame by the page around it.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(f"{TASK_PAGE}{{token}}/{{run:int}}/review-{{unit:int}}.html", self.frame),
            Route(f"{TASK_PAGE}{{token}}/{{run:int}}/{{path:path}}", self.file),
        ]

    async def frame(self, request: Request) -> Response:
        """Return the document of the frame for one unit."""
        run = self._checked_run(request)
        unit_id = UnitId(request.path_params["unit"])

        def answer(moment: LogAsOf) -> _TaskFrame | None:
            page = page_of_run(moment, run, self._site.log.database)
            return page and _TaskFrame(page, origins_in(moment.db.get_inputs(moment.db.get_unit(unit_id))))

        found = await self._site.log.query(answer)
        if found is None:
            raise HTTPException(404, "This task has no page that shows work")
        base = f"{TASK_PAGE}{request.path_params['token']}/{run}/"
        nonce = secrets.token_urlsafe(16)
        document = self._site.templates.fragment(
            "task_page.html", base=base, nonce=nonce, page=found.page, bundle=REVIEW_BUNDLE, facts=_facts(found, base)
        )
        host = f"{request.url.scheme}://{request.url.netloc}{base}"
        headers = {"content-security-policy": _policy(found, host, nonce), "x-frame-options": "SAMEORIGIN"}
        return HTMLResponse(document, headers=headers)

    async def file(self, request: Request) -> Response:
        """Return a file of the page."""
        run = self._checked_run(request)
        path: str = request.path_params["path"]
        page = await self._site.log.query(lambda moment: page_of_run(moment, run, self._site.log.database))
        file = None if page is None else page.file(path)
        if file is None:
            raise HTTPException(404, "The page of this task has no such file")
        media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        return FileResponse(file, media_type=media_type, headers=_FILE_HEADERS)

    def _checked_run(self, request: Request) -> TaskRunId:
        """Return the run that an address names, if its token opens it.

        Raises:
            HTTPException: it does not.
        """
        run = run_of(request)
        if not self._site.sessions.is_page_token(run, request.path_params["token"]):
            raise HTTPException(403, "This address has expired. Reload the page that showed it")
        return run


def page_of_run(moment: LogAsOf, run: TaskRunId, database: Path) -> TaskPage | None:
    """Return the page that shows the work of a run; None if it has none.

    Raises:
        UnknownEntityError: there is no such run.
    """
    row = moment.db.get_task_run(run)
    name = moment.db.get_task(row.task_id).task_name
    return task_page(row.task_type, name, row.init_params, run_folder(database, run))


def _facts(frame: _TaskFrame, base: str) -> str:
    """Return what the scripts of a page are told of the task, as JSON for an element of the document."""
    facts = {**frame.page.facts, "base": base, "media": None if frame.page.media is None else f"{base}media/"}
    if frame.page.kind is PageKind.HTML and frame.page.source is not None:
        with frame.page.source.open("rb") as file:
            facts["html"] = file.read(MAX_HTML_BYTES).decode(errors="replace")
    return escaped_json(msgspec.json.encode(facts).decode())


def _policy(frame: _TaskFrame, own: str, nonce: str) -> str:
    """Return the policy of a frame: the files of the task, media that its data names, and nothing else."""
    # Bundles that were built for development evaluate text. It is the requester's, and it cannot send anything.
    evaluates = " 'unsafe-eval'" if frame.page.kind is PageKind.BUNDLE else ""
    media = " ".join(["data:", own, *sorted(frame.origins)])
    return (
        f"sandbox allow-scripts; default-src 'none'; script-src 'nonce-{nonce}' {own}{evaluates}; "
        f"style-src 'unsafe-inline' {own}; font-src data: {own}; img-src {media}; media-src {media}; "
        "connect-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )
