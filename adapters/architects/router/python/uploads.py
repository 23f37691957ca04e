"""Files that workers upload: streamed to the disk, never held in memory.

A file is written under a random name of ours ending in ``.part``. It gets its final name once it
is whole and durable, so that what a crash or a broken upload leaves behind is never served.
"""

import os
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request

from .bodies import BodyLimits, RefusalError, pour_body
from .form import FormReader, Part
from .journal_file import sync_directory
from .wire import UploadedFile

#: So many forms are received at the same time.
MAX_CONCURRENT_FORMS = 100
#: Bytes of files that are collected before they are written.
WRITE_BYTES = 2**20

_PARTIAL = ".part"
_OUR_NAME = re.compile(r"[0-9a-f]{32}")

T = TypeVar("T")


class _File:
    """A file on its way to the disk; its methods block."""

    def __init__(self, part: Part, path: Path) -> None:
        self._part = part
        self._path = path
        self._partial = path.with_name(path.name + _PARTIAL)
        self._digest = sha256()
        self._size = 0

    def write(self) -> None:
        """Append what has arrived."""
        data, self._part.data = self._part.data, bytearray()
        self._digest.update(data)
        self._size += len(data)
        with self._partial.open("ab") as file:
            file.write(data)

    def keep(self) -> UploadedFile:
        """Make the file durable under its final name."""
        self.write()
        with self._partial.open("rb") as file:
            os.fsync(file.fileno())
        self._partial.rename(self._path)
        return UploadedFile(
            fieldname=self._part.field,
            originalname=self._part.original_name,
            mimetype=self._part.mimetype,
            filename=self._path.name,
            size=self._size,
            sha256=self._digest.hexdigest(),
        )

    def discard(self) -> None:
        """Remove the file, whatever it is called by now."""
        self._partial.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


class Form:
    """A form that has arrived: its fields in memory, its files on the disk but not kept yet."""

    def __init__(self, reader: FormReader, directory: Path, new_name: Callable[[], str]) -> None:
        self._reader = reader
        self._directory = directory
        self._new_name = new_name
        self._files: dict[int, _File] = {}

    def text(self, field: str) -> bytes | None:
        """Return what was entered in a field, in UTF-8; None: there is no such field."""
        return self._reader.text(field)

    async def keep(self) -> list[UploadedFile]:
        """Make the files durable; return what the operator is to know of them.

        Raises:
            RefusalError: the disk does not take them.
        """
        return await _in_thread(self._keep)

    async def discard(self) -> None:
        """Remove the files; also done when the caller is being cancelled."""
        with anyio.CancelScope(shield=True):
            await _in_thread(self._discard)

    async def receive(self, request: Request, limits: BodyLimits) -> None:
        """Take the form in.

        Raises:
            RefusalError: it is no form, it is too large, or the disk does not take it.
        """
        await pour_body(request, limits, self._take)
        self._reader.finish()

    async def _take(self, chunk: bytes) -> None:
        self._reader.feed(chunk)
        if self._reader.untaken_bytes >= WRITE_BYTES:
            await _in_thread(self._write)

    def _write(self) -> None:
        for index, part in enumerate(self._reader.parts):
            if part.is_file and part.data:
                self._file(index, part).write()
        self._reader.untaken_bytes = 0

    def _keep(self) -> list[UploadedFile]:
        # A file field that was left empty has neither a name nor bytes: it is no file.
        kept = [
            self._file(index, part).keep()
            for index, part in enumerate(self._reader.parts)
            if part.is_file and (part.original_name or part.data or index in self._files)
        ]
        if kept:
            sync_directory(self._directory)
        return kept

    def _discard(self) -> None:
        for file in self._files.values():
            file.discard()

    def _file(self, index: int, part: Part) -> _File:
        if index not in self._files:
            self._files[index] = _File(part, self._directory / self._new_name())
        return self._files[index]


class Uploads:
    """The directory of uploaded files.

    Args:
        directory: Where they are; created if missing.
        limits: Of a form with its files.
        max_field_bytes: The size of a form without its files.
        new_name: Makes names nobody can guess: 32 hex digits.

    Raises:
        OSError: the directory cannot be used.
    """

    def __init__(
        self, directory: Path, *, limits: BodyLimits, max_field_bytes: int, new_name: Callable[[], str]
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob("*" + _PARTIAL):
            leftover.unlink()
        self._directory = directory
        self._limits = limits
        self._max_field_bytes = max_field_bytes
        self._new_name = new_name
        self._under_way = 0

    async def receive(self, request: Request) -> Form:
        """Take a form in; on an error or when cancelled, nothing of it stays on the disk.

        Raises:
            RefusalError: as `Form.receive`, or too many forms are under way.
        """
        if self._under_way >= MAX_CONCURRENT_FORMS:
            raise RefusalError(503, "Too many files are being uploaded at the moment, please try again later.")
        reader = FormReader(request.headers["content-type"], self._max_field_bytes)
        form = Form(reader, self._directory, self._new_name)
        self._under_way += 1
        try:
            await form.receive(request, self._limits)
        except BaseException:
            await form.discard()
            raise
        finally:
            self._under_way -= 1
        return form

    def path(self, name: str) -> Path | None:
        """Return where an uploaded file is; None: there is none of that name."""
        if not _OUR_NAME.fullmatch(name):
            return None
        path = self._directory / name
        return path if path.is_file() else None


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await anyio.to_thread.run_sync(work)
    except OSError as error:
        raise RefusalError(503, "The server cannot store files at the moment, please try again later.") from error
