"""Keeps the journal in a file: whole up to a known size, or cut back to it.

After a failed write nothing is known about the bytes behind the last good one; they are cut off before the next write.
Everything here blocks, and belongs in a worker thread or before the start.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from ..errors import StartError

#: Brings a file's content to the disk, without the time of its change where that can be left out.
_sync_content: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
_DRAFT = ".new"


class JournalFile:
    """A file that is only ever appended to, or replaced as a whole.

    Args:
        path: an existing file.
        size_bytes: how much of it is good; the rest is cut off.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self.size_bytes = size_bytes
        #: How much of it is on the disk, as far as this process knows.
        self.synced_bytes = 0
        self._fd = os.open(path, _APPEND)
        self._has_torn_end = True
        self._name_is_durable = True

    @staticmethod
    def create(path: Path, text: bytes) -> None:
        """Create a file, or replace one, such that a crash leaves the old state or the new one, whole."""
        fd = _write_draft(path, text)
        os.close(fd)
        sync_directory(path.parent)

    def append(self, text: bytes, *, durably: bool) -> None:
        """Write `text` at the end.

        Args:
            text: whole lines.
            durably: return only when they are on the disk.

        Raises:
            OSError: none of it counts; what reached the disk is cut off before the next write.
        """
        if not self._name_is_durable:
            self._make_name_durable()
        if self._has_torn_end:
            os.ftruncate(self._fd, self.size_bytes)
        self._has_torn_end = True
        _write_all(self._fd, text)
        if durably:
            _sync_content(self._fd)
        self._has_torn_end = False
        self.size_bytes += len(text)
        if durably:
            self.synced_bytes = self.size_bytes

    def replace(self, text: bytes) -> None:
        """Replace the whole content with `text`, all or nothing.

        Raises:
            OSError: the file is as before, or its new name has yet to become durable; nothing is appended until it is.
        """
        fd = _write_draft(self.path, text)
        os.close(self._fd)
        self._fd, self.size_bytes, self._has_torn_end = fd, len(text), False
        self.synced_bytes = self.size_bytes
        self._name_is_durable = False
        self._make_name_durable()

    def close(self) -> None:
        """Bring everything to the disk and close."""
        _sync_content(self._fd)
        os.close(self._fd)

    def _make_name_durable(self) -> None:
        sync_directory(self.path.parent)
        self._name_is_durable = True


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def lock_data_directory(directory: Path) -> None:
    """Lock a directory for as long as this process lives; it is created if missing.

    Raises:
        StartError: another process holds the lock.
        OSError: the directory cannot be used.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The descriptor stays open on purpose: the kernel's lock ends with the process, however that ends.
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise StartError(
            f"{directory} is in use by another router: stop that one, or use another data directory."
        ) from None


def _write_draft(path: Path, text: bytes) -> int:
    """Put a durable file with this text at `path`; return its descriptor. Its name is not durable yet."""
    draft = path.with_name(path.name + _DRAFT)
    fd = os.open(draft, _APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write_all(fd, text)
        os.fsync(fd)
        os.replace(draft, path)
    except OSError:
        os.close(fd)
        raise
    return fd


def _write_all(fd: int, text: bytes) -> None:
    """Write `text`, in as many pieces as the system wants."""
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(fd, rest) :]
