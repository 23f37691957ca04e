"""The lock that makes one process at a time the writer of a log."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ....core.errors import UnusableLogError


def lock_path(log: Path) -> Path:
    """The file that the writer of a log locks."""
    return log.with_name(f"{log.name}.lock")


class WriterLock:
    """An advisory lock on a file beside the log. It ends with the process, however that ends.

    The file stays when the lock is released: whoever removed it would let two writers lock two files of one name.
    """

    def __init__(self, log: Path) -> None:
        """Take the lock.

        Raises:
            UnusableLogError: another process has it, or the folder cannot be written to.
        """
        path = lock_path(log)
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
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
                f"{log} is being written by process {holder}; end that process, or open the log read-only"
            ) from error
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let another process be the writer. Twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
