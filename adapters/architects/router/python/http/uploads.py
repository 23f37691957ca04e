"""Stores files that workers upload: streamed to the disk, never held in memory.

A file is written under a random name of ours ending in ``.part``. It gets its final name once it is whole and durable,
so that the remains of a crash or of a broken upload are never served.
"""

import os
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import msgspec
from starlette.requests import Request

from ..errors import RefusalError
from ..journal.journal_file import sync_directory
from .bodies import BodyLimits, read_pieces
from .form_reader import FormPart, FormReader

#: Number of forms that are received at the same time.
MAX_CONCURRENT_FORMS = 100
#: Bytes of files that are collected before they are written.
WRITE_BYTES = 2**20

_UNFINISHED = ".part"
_FILE_NAME = re.compile(r"[0-9a-f]{32}")

T = TypeVar("T")


class StoredFile(msgspec.Struct):
    """One file of a form, as the operator is told of it."""

    fieldname: str
    originalname: str
    mimetype: str
    #: Our own random name, under which the file is downloaded.
    filename: str
    size: int
    sha256: str


class _FileWriter:
    """Writes one file of a form; its methods block."""

    def __init__(self, part: FormPart, path: Path) -> None:
        self._part = part
        self._path = path
        self._unfinished = path.with_name(path.name + _UNFINISHED)
        self._digest = sha256()
        self._size = 0

    def write(self) -> None:
        """Append the bytes that have arrived."""
        data, self._part.data = self._part.data, bytearray()
        self._digest.update(data)
        self._size += len(data)
        with open(self._unfinished, "ab", opener=_open_private) as file:
            file.write(data)

    def keep(self) -> StoredFile:
        """Make the file durable under its final name."""
        self.write()
        with self._unfinished.open("rb") as file:
            os.fsync(file.fileno())
        self._unfinished.rename(self._path)
        return StoredFile(
            fieldname=self._part.field,
            originalname=self._part.original_name,
            mimetype=self._part.mimetype,
            filename=self._path.name,
            size=self._size,
            sha256=self._digest.hexdigest(),
        )

    def discard(self) -> None:
        """Remove the file under either name."""
        self._unfinished.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


class UploadedForm:
    """A form that has arrived: its fields in memory, its files on the disk but not kept yet."""

    def __init__(self, reader: FormReader, directory: Path, new_name: Callable[[], str]) -> None:
        self._reader = reader
        self._directory = directory
        self._new_name = new_name
        self._writers: dict[int, _FileWriter] = {}

    def text(self, field: str) -> bytes | None:
        """Return the content of a field, in UTF-8, or None if there is no such field."""
        return self._reader.text(field)

    async def keep(self) -> list[StoredFile]:
        """Make the files durable.

        Raises:
            RefusalError: they could not be written.
        """
        return await _in_thread(self._keep)

    async def discard(self) -> None:
        """Remove the files; this is also done if the caller is being cancelled."""
        with anyio.CancelScope(shield=True):
            await _in_thread(self._discard)

    async def receive(self, request: Request, limits: BodyLimits) -> None:
        """Read the form from a request.

        Raises:
            RefusalError: it is malformed, incomplete or too large, or could not be written.
        """
        await read_pieces(request, limits, self._take)
        self._reader.finish()

    async def _take(self, piece: bytes) -> None:
        self._reader.feed(piece)
        if self._reader.untaken_bytes >= WRITE_BYTES:
            await _in_thread(self._write)

    def _write(self) -> None:
        for index, part in enumerate(self._reader.parts):
            if part.is_file and part.data:
                self._writer(index, part).write()
        self._reader.untaken_bytes = 0

    def _keep(self) -> list[StoredFile]:
        # A file field that was left empty has neither a name nor bytes: it is no file.
        kept = [
            self._writer(index, part).keep()
            for index, part in enumerate(self._reader.parts)
            if part.is_file and (part.original_name or part.data or index in self._writers)
        ]
        if kept:
            sync_directory(self._directory)
        return kept

    def _discard(self) -> None:
        for writer in self._writers.values():
            writer.discard()

    def _writer(self, index: int, part: FormPart) -> _FileWriter:
        if index not in self._writers:
            self._writers[index] = _FileWriter(part, self._directory / self._new_name())
        return self._writers[index]


class Uploads:
    """The directory of uploaded files.

    Args:
        directory: where they are; created if missing, and freed from what an earlier process did not finish.
        limits: of a form with its files.
        max_field_bytes: size of a form without its files.
        new_name: makes names that nobody can guess, of 32 hex digits.

    Raises:
        OSError: the directory cannot be used.
    """

    def __init__(
        self, directory: Path, *, limits: BodyLimits, max_field_bytes: int, new_name: Callable[[], str]
    ) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in directory.glob("*" + _UNFINISHED):
            leftover.unlink()
        self._directory = directory
        self._limits = limits
        self._max_field_bytes = max_field_bytes
        self._new_name = new_name
        self._under_way = 0

    async def receive(self, request: Request) -> UploadedForm:
        """Receive a form. After an error, or if cancelled, nothing of it stays on the disk.

        Raises:
            RefusalError: the form is malformed, incomplete or too large, could not be written, or too many are under
                way.
        """
        if self._under_way >= MAX_CONCURRENT_FORMS:
            raise RefusalError(503, "Too many files are being uploaded at the moment. Please try again later.")
        reader = FormReader(request.headers["content-type"], self._max_field_bytes)
        form = UploadedForm(reader, self._directory, self._new_name)
        self._under_way += 1
        try:
            await form.receive(request, self._limits)
        except BaseException:
            await form.discard()
            raise
        finally:
            self._under_way -= 1
        return form

    def path(self, filename: str) -> Path | None:
        """Return the path of an uploaded file, or None if there is none of that name."""
        if not _FILE_NAME.fullmatch(filename):
            return None
        path = self._directory / filename
        return path if path.is_file() else None


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await anyio.to_thread.run_sync(work)
    except OSError as error:
        raise RefusalError(
            503, "The task server cannot store files at the moment. Please try again in a minute."
        ) from error
