"""The lock that ensures that a log has one writer process at a time."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from ....core.errors import UnusableLogError
from ...private_files import PRIVATE_FILE


def lock_path(log: Path) -> Path:
    """Return the path of the file that the writer of a log locks."""
    return log.with_name(f"{log.name}.lock")


def writer_of(log: Path) -> str:
    """Return the process that last opened a log for writing, or `unknown`."""
    with suppress(OSError, UnicodeDecodeError):
        return lock_path(log).read_text(encoding="ascii").strip() or "unknown"
    return "unknown"


class WriterLock:
    """An advisory lock on a file beside the log. It is released when the process ends, however it ends.

    The file is not removed on release, because two writers could then lock two different files of the same name.
    """

    def __init__(self, log: Path) -> None:
        """Acquire the lock.

        Raises:
            UnusableLogError: another process holds it, or the folder is not writable.
        """
        path = lock_path(log)
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        except OSError as error:
            raise UnusableLogError(
                f"{path.parent} cannot be written to ({error.strerror}); "
                "choose a folder you may write to, or open the log read-only"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise UnusableLogError(
                f"{log} is being written by process {holder}; end that process, "
                "launch both tasks from one script, or choose another data folder"
            ) from error
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Release the lock. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
