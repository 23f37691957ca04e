"""Serves the static files of the page."""

import os

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

#: Pages may keep a file, but ask each time whether it is still the same.
CACHE_CONTROL = "public, max-age=0"


class PageFiles(StaticFiles):
    """The files of a directory; unknown ones are 404."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory=directory, html=True)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer with a file, or 304 if the page has it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["cache-control"] = CACHE_CONTROL
        return response

    def revalidate(self, response: Response, headers: Headers) -> Response:
        """Return an answer of our own as it is, or 304 if the headers of the request say that the page has it."""
        response.headers["cache-control"] = CACHE_CONTROL
        return NotModifiedResponse(response.headers) if self.is_not_modified(response.headers, headers) else response
