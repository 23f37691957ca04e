"""The journal as a file: everything here blocks, and belongs into a worker thread or before the start."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

#: What brings a file's content to the disk, and not the time of its change where that can be left out.
_sync_content: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class JournalFile:
    """A file that is only ever appended to or replaced as a whole.

    Args:
        path: An existing file.
        size: How much of it is good; the rest is cut off.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self._fd = os.open(path, _APPEND)
        self._has_torn_end = True
        self._name_is_durable = True

    def append(self, text: bytes, *, durably: bool) -> None:
        """Write `text` at the end.

        Raises:
            OSError: nothing of it counts; what reached the disk is cut off before the next write.
        """
        if not self._name_is_durable:
            self._make_name_durable()
        if self._has_torn_end:
            os.ftruncate(self._fd, self.size)
        self._has_torn_end = True
        write_all(self._fd, text)
        if durably:
            _sync_content(self._fd)
        self._has_torn_end = False
        self.size += len(text)

    def replace(self, text: bytes) -> None:
        """Put a new file with the content `text` in this one's place, all or nothing.

        Raises:
            OSError: the file is as before, or its new name has yet to be made durable.
        """
        fresh = self.path.with_name(self.path.name + ".new")
        fd = os.open(fresh, _APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_all(fd, text)
            os.fsync(fd)
            os.replace(fresh, self.path)
        except OSError:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd, self.size, self._has_torn_end = fd, len(text), False
        self._name_is_durable = False
        self._make_name_durable()

    def _make_name_durable(self) -> None:
        sync_directory(self.path.parent)
        self._name_is_durable = True

    def close(self) -> None:
        """Bring everything to the disk and close."""
        _sync_content(self._fd)
        os.close(self._fd)


def create_journal_file(path: Path, text: bytes) -> None:
    """Create a file that after a crash is either not there or whole."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
    sync_directory(path.parent)


def write_all(fd: int, text: bytes) -> None:
    """Write `text`, in as many pieces as the system wants."""
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(fd, rest) :]


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def lock_directory(directory: Path) -> bool:
    """Lock a directory for as long as this process lives; return whether nobody else has."""
    # The descriptor is left open on purpose: the lock ends with the process, however that ends.
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return False
    return True
