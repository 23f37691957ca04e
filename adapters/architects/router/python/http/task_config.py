"""Serves the files of the page, and its configuration with the version of the client library that it asked for.

The configuration is read again when it has changed. Whether it has is checked on every visit, and synchronously: that
takes microseconds, and another thread would cost more than the rest of the answer.
"""

import os
from email.utils import formatdate
from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec import Raw
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

#: Pages may keep a file, but ask each time whether it is still the same.
CACHE_CONTROL = "public, max-age=0"

#: Versions of the client library that are supported; the first is told to pages that name none of them.
SUPPORTED_VERSIONS = ("2.0.3", "2.0.4")


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


class ConfigAnswer(NamedTuple):
    """The configuration as one version of the client gets it."""

    body: bytes
    etag: str
    last_modified: str
    #: Whether the version that the page asked for is supported.
    is_supported: bool


class _Texts(msgspec.Struct):
    texts: dict[str, str] = {}


class TaskConfigFile:
    """`task_config.json`, kept in memory while the file does not change.

    Args:
        directory: where it is.
    """

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, "task_config.json")
        self._stamp: tuple[int, int] | None = None
        self._answers: dict[str, ConfigAnswer] = {}
        self._texts_stamp: tuple[int, int] | None = None
        self._texts: dict[str, str] = {}

    def text(self, key: str, default: str) -> str:
        """Return a text of the catalogue in the run's language; the default if the page has its own."""
        try:
            stat = os.stat(self._path)
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp != self._texts_stamp:
                with open(self._path, "rb") as file:
                    self._texts = msgspec.json.decode(file.read(), type=_Texts).texts
                self._texts_stamp = stamp
        except (OSError, msgspec.DecodeError):
            return default
        return self._texts.get(key, default)

    def answer(self, version: str | None) -> ConfigAnswer | None:
        """Return the answer to a page, or None if there is no file.

        Args:
            version: what the page says it was built for.

        Raises:
            msgspec.DecodeError: the file is not a JSON object.
        """
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            return None
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._read(stat.st_mtime)
            self._stamp = stamp
        usual = self._answers[SUPPORTED_VERSIONS[0]]
        return self._answers.get(version or "", usual._replace(is_supported=False))

    def _read(self, modified_at: float) -> None:
        with open(self._path, "rb") as file:
            config = msgspec.json.decode(file.read(), type=dict[str, Raw])
        last_modified = formatdate(modified_at, usegmt=True)
        for version in SUPPORTED_VERSIONS:
            body = msgspec.json.encode(config | {"mephisto_task_version": version})
            etag = f'"{sha256(body).hexdigest()[:32]}"'
            self._answers[version] = ConfigAnswer(body, etag, last_modified, is_supported=True)
