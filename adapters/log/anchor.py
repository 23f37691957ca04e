"""Keeps the head of the chain outside the database: only this detects a log whose tail was lost.

The anchor file beside the log is append-only. It has a line with position, chain and time for each anchored head. It
does not protect against somebody who rewrites both files; a copy of its last line kept elsewhere does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from ...core.errors import LogError, UnusableLogError
from ...core.ports import Head
from ..private_files import PRIVATE_FILE, sync_folder

#: Longer than any line: two 64-bit numbers, 64 hex digits, two spaces and a newline.
_LINE_LIMIT_BYTES = 128


def anchor_path(log: Path) -> Path:
    """Return the path of a log's anchor file."""
    return log.with_name(f"{log.name}.anchor")


def line(head: Head) -> str:
    """Format a head as one line of text, without the newline."""
    return f"{head.seq} {head.chain.hex()} {head.at}"


def append_anchor(log: Path, head: Head) -> None:
    """Append a head to a log's anchor file, and wait until it is on disk.

    Raises:
        LogError: it could not be written, for example because the disk is full.
    """
    path = anchor_path(log)
    try:
        _append_line(path, line(head))
    except OSError as error:
        raise LogError(
            f"the anchor file {path} could not be written: {error.strerror}; the log itself is whole"
        ) from error


def _append_line(path: Path, text: str) -> None:
    is_new = not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        size = os.fstat(fd).st_size
        before = os.pread(fd, _LINE_LIMIT_BYTES, max(0, size - _LINE_LIMIT_BYTES))
        torn = len(before) - (before.rfind(b"\n") + 1)
        body = f"{text}\n".encode().ljust(torn)
        if os.pwrite(fd, body, size - torn) < len(body):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(fd)
    finally:
        os.close(fd)
    if is_new:
        sync_folder(path.parent)


class Anchors:
    """The heads that an anchor file held when this object was created, oldest first; none if there is no file.

    A last line without its newline was torn by a crash and is skipped; the next anchor replaces it.
    """

    def __init__(self, file: Path) -> None:
        self._path = file
        self._size = self._path.stat().st_size if self._path.exists() else 0

    def __iter__(self) -> Iterator[Head]:
        """Yield the anchors, line by line.

        Raises:
            UnusableLogError: a line is not an anchor.
        """
        if not self._size:
            return
        read = number = 0
        with self._path.open("rb") as file:
            while text := file.readline(_LINE_LIMIT_BYTES):
                read += len(text)
                number += 1
                is_whole = text.endswith(b"\n")
                if read > self._size or (not is_whole and len(text) < _LINE_LIMIT_BYTES):
                    return
                yield _parse(text, f"{self._path} line {number}")


def last_anchor(log: Path) -> Head | None:
    """Return the last anchored head, or None if there is none.

    Raises:
        UnusableLogError: the last line is not an anchor.
    """
    path = anchor_path(log)
    if not path.exists():
        return None
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * _LINE_LIMIT_BYTES))
        whole = [text for text in file.readlines() if text.endswith(b"\n")]
    return _parse(whole[-1], f"the last line of {path}") if whole else None


def _parse(text: bytes, where: str) -> Head:
    try:
        seq, chain, at = text.decode("ascii").split()
        head = Head(int(seq), bytes.fromhex(chain), int(at))
    except ValueError as error:
        raise UnusableLogError(f"{where} is not an anchor; compare the file with a copy of it") from error
    if head.seq <= 0:
        raise UnusableLogError(f"{where} is not an anchor: the position is {head.seq}")
    if len(head.chain) != 32:
        raise UnusableLogError(f"{where} is not an anchor: the chain has {len(head.chain)} bytes instead of 32")
    return head
