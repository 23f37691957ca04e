"""The page itself: static files, and the task's configuration."""

import os
from email.utils import formatdate
from hashlib import sha256

import msgspec
from msgspec import Raw
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

#: Pages may keep a file, but ask whether it is still the same.
CACHE_CONTROL = "public, max-age=0"

#: Versions of the client library that are served; the first is told to those that name none of them.
SUPPORTED_VERSIONS = ("2.0.3", "2.0.4")


class PageFiles(StaticFiles):
    """The files of the page; unknown ones are 404."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory=directory, html=True)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer with a file, or 304; in either case to be asked for again."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["cache-control"] = CACHE_CONTROL
        return response


class TaskConfig:
    """`task_config.json` with the client's version filled in, kept in memory while the file does not change."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, "task_config.json")
        self._stamp: tuple[int, int] | None = None
        self._responses: dict[str, Response] = {}

    def response(self, version: str | None, files: PageFiles, headers: Headers) -> Response:
        """Answer a request of a client of `version`.

        Raises:
            OSError: the file is not there.
            msgspec.DecodeError: it is not a JSON object.
        """
        stat = os.stat(self._path)
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._responses = self._build(stat.st_mtime)
            self._stamp = stamp
        told = version if version in SUPPORTED_VERSIONS else SUPPORTED_VERSIONS[0]
        response = self._responses[told]
        if files.is_not_modified(response.headers, headers):
            return NotModifiedResponse(response.headers)
        return response

    def _build(self, changed_at: float) -> dict[str, Response]:
        with open(self._path, "rb") as file:
            config = msgspec.json.decode(file.read(), type=dict[str, Raw])
        return {version: self._one(config, version, changed_at) for version in SUPPORTED_VERSIONS}

    @staticmethod
    def _one(config: dict[str, Raw], version: str, changed_at: float) -> Response:
        body = msgspec.json.encode(config | {"mephisto_task_version": version})
        headers = {
            "cache-control": CACHE_CONTROL,
            "etag": f'"{sha256(body).hexdigest()[:32]}"',
            "last-modified": formatdate(changed_at, usegmt=True),
        }
        return Response(body, media_type="application/json; charset=utf-8", headers=headers)
