"""Stores files that workers upload: streamed to the disk, never held in memory.

A file is written under a random name of ours ending in ``.part``. It gets its final name once it is whole and durable,
so that the remains of a crash or of a broken upload are never served.
"""

import os
import re
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec
from starlette.requests import Request

from ..errors import RefusalError
from ..journal.journal_file import sync_directory
from .bodies import BodyReader
from .body_pool import PooledBody, Resource
from .form_reader import FormPart, FormReader

#: Bytes of files that are collected before they are written.
WRITE_BYTES = 2**18
#: Bytes of a form that are parsed before others have their turn: small parts take a hundred times as long as a file.
PARSE_BYTES = 2**13
#: The same of a stranger's form.
STRANGERS_PARSE_BYTES = 2**11
#: Bytes of a file that take about as long as one part, however small.
PART_BYTES = 2**12
#: The field of a form that names the agent. Forms that name it first need not share the disk with strangers.
AGENT_FIELD = "USED_AGENT_ID"

_UNFINISHED = ".part"
_FILE_NAME = re.compile(r"[0-9a-f]{32}")

T = TypeVar("T")


class StoredFile(msgspec.Struct):
    """One file of a form, as the operator receives it."""

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

    def __init__(
        self,
        reader: FormReader,
        directory: Path,
        new_name: Callable[[], str],
        check_agent: Callable[[str], None],
    ) -> None:
        self._reader = reader
        self._directory = directory
        self._new_name = new_name
        self._check_agent = check_agent
        self._has_known_agent = False
        self._received_bytes = 0
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
        if not self._writers:
            # Many forms of strangers may end at once, and each thread that is started holds up the event loop.
            return
        with anyio.CancelScope(shield=True):
            await _in_thread(self._discard)

    @property
    def agent(self) -> str:
        """The token of the agent that the form names; empty if it names none."""
        return (self.text(AGENT_FIELD) or b"").decode("utf-8", "replace")

    async def receive(self, request: Request, bodies: BodyReader) -> None:
        """Read the form from a request.

        Raises:
            RefusalError: it is malformed, incomplete or too large, there is no room for it, or it could not be written.
            UnknownAgentError: no agent has the token that it names.
        """
        await bodies.read_pieces(request, self._take)
        self._reader.finish()
        self._check_agent(self.agent)

    async def _take(self, piece: bytes, body: PooledBody) -> None:
        body.hold(Resource.FORM, 1)
        self._received_bytes += len(piece)
        # A form may name its agent at once, and then need not be throttled.
        peeked_bytes = 0 if body.is_trusted else STRANGERS_PARSE_BYTES
        await self._parse(piece[:peeked_bytes], body)
        await body.throttle(len(piece))
        await self._parse(piece[peeked_bytes:], body)
        body.hold(Resource.DISK, 0 if self._has_known_agent else self._received_bytes)
        if self._reader.untaken_bytes >= WRITE_BYTES:
            await _in_thread(self._write)
        body.hold(Resource.MEMORY, self._reader.held_bytes)

    async def _parse(self, data: bytes, body: PooledBody) -> None:
        """Parse bytes, a few before others have their turn, and check the sender."""
        step = PARSE_BYTES if body.is_trusted else STRANGERS_PARSE_BYTES
        for start in range(0, len(data), step):
            parts = len(self._reader.parts)
            self._reader.feed(data[start : start + step])
            await anyio.lowlevel.checkpoint()
            await body.throttle(PART_BYTES * (len(self._reader.parts) - parts))
        self._check_sender(body)

    def _check_sender(self, body: PooledBody) -> None:
        """Check the agent of the form as soon as it is named."""
        if not self._has_known_agent and self.text(AGENT_FIELD) is not None:
            self._check_agent(self.agent)
            self._has_known_agent = True
            body.trust()

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
        bodies: reads forms with their files.
        max_field_bytes: size of a form without its files.
        new_name: makes names that nobody can guess, of 32 hex digits.

    Raises:
        OSError: the directory cannot be used.
    """

    def __init__(
        self, directory: Path, *, bodies: BodyReader, max_field_bytes: int, new_name: Callable[[], str]
    ) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in directory.glob("*" + _UNFINISHED):
            leftover.unlink()
        self._directory = directory
        self._bodies = bodies
        self._max_field_bytes = max_field_bytes
        self._new_name = new_name

    async def receive(self, request: Request, check_agent: Callable[[str], None]) -> UploadedForm:
        """Receive a form. After an error, or if cancelled, nothing of it stays on the disk.

        Args:
            request: its body is the form.
            check_agent: called with the token that the form names as soon as that has arrived; raises for a stranger's.

        Raises:
            RefusalError: the form is malformed, incomplete or too large, there is no room for it, or it could not be
                written.
            UnknownAgentError: no agent has the token that it names.
        """
        reader = FormReader(request.headers["content-type"], self._max_field_bytes)
        form = UploadedForm(reader, self._directory, self._new_name, check_agent)
        try:
            await form.receive(request, self._bodies)
        except BaseException:
            await form.discard()
            raise
        return form

    def path(self, filename: str) -> Path | None:
        """Return the path of an uploaded file, or None if there is none of that name."""
        if not _FILE_NAME.fullmatch(filename):
            return None
        path = self._directory / filename
        return path if path.is_file() else None

    async def delete(self, filename: str) -> None:
        """Delete an uploaded file, which the operator has stored; a no-op if there is none of that name.

        Raises:
            RefusalError: it could not be deleted.
        """
        path = self.path(filename)
        if path is not None:
            await _in_thread(partial(path.unlink, missing_ok=True))


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await anyio.to_thread.run_sync(work)
    except OSError as error:
        raise RefusalError(
            503, "The task server cannot store files at the moment. Please try again in a minute."
        ) from error
