"""The files that workers uploaded in a run: a list, and the files themselves."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ....events.ids import AgentId
from ....projections.queries.runs.progress import RunProgress, run_progress
from ....projections.queries.uploads import UploadRecord, find_upload, uploads_of_run
from ...exports.files import safe_name
from ...log.sqlite.as_of import LogAsOf
from ..site import Site, run_of

#: Types that a browser may show in its own window; all others are downloads of an unknown type.
SHOWN_TYPES = frozenset(
    {
        *("image/png", "image/jpeg", "image/gif", "image/webp"),
        *("audio/mpeg", "audio/wav", "audio/ogg", "audio/webm", "video/mp4", "video/webm", "text/plain"),
    }
)


class UploadPages:
    """Shows uploaded files."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/runs/{run:int}/files", self.files),
            Route("/runs/{run:int}/files/{agent:int}/{filename}", self.file),
        ]

    async def files(self, request: Request) -> Response:
        """List a run's uploaded files."""
        run = run_of(request)

        def answer(moment: LogAsOf) -> tuple[RunProgress, list[UploadRecord]]:
            return run_progress(moment.db, run), list(uploads_of_run(moment.db, run, self._site.log.database))

        progress, uploads = await self._site.log.query(answer)
        return self._site.templates.page("files.html", request, run=progress, uploads=uploads, seq=None)

    async def file(self, request: Request) -> Response:
        """Return an uploaded file; what a worker sent never runs as a page of this site."""
        run, agent, filename = run_of(request), request.path_params["agent"], request.path_params["filename"]

        def answer(moment: LogAsOf) -> UploadRecord:
            return find_upload(moment.db, run, AgentId(agent), filename, self._site.log.database)

        upload = await self._site.log.query(answer)
        if upload.path is None:
            raise HTTPException(404, "This file is not here; the run's server may still have it")
        shown = upload.mimetype in SHOWN_TYPES
        return FileResponse(
            Path(upload.path),
            media_type=upload.mimetype if shown else "application/octet-stream",
            filename=safe_name(upload.originalname or upload.filename),
            content_disposition_type="inline" if shown else "attachment",
            headers={"content-security-policy": "sandbox; default-src 'none'", "x-content-type-options": "nosniff"},
        )
