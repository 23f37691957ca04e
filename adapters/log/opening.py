"""Orders the processes that open a log for writing, so that each waits for a lock and nobody has to poll.

A process holds the *gate*, a lock on a file beside the log, from before it opens the log until others can reach it on
the control socket, or until it has closed the log again. So whoever passes the gate finds either a process that listens
or a log that is free.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import trio

from ...core.errors import UnusableLogError
from ...core.operations.logger_core import get_logger
from .sqlite.writer_lock import lock_path, writer_of

#: Seconds to wait for another process that opens or has opened the log, and until it is said that there is one.
WAIT_SECONDS = 60.0
QUIET_SECONDS = 2.0

logger = get_logger(__name__)


def gate_path(log: Path) -> Path:
    """Return the path of the file by which the openers of a log wait for each other."""
    return log.with_name(f"{log.name}.gate")


class OpeningGate:
    """A held gate. It is released when the process ends, however it ends."""

    def __init__(self, fd: int) -> None:
        """Take a descriptor that holds the lock; use `pass_gate` instead."""
        self._fd = fd

    def release(self) -> None:
        """Let others pass. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


async def pass_gate(log: Path, limit_seconds: float = WAIT_SECONDS) -> OpeningGate:
    """Wait until nobody else is opening a log or has it open for a moment.

    Args:
        log: the log.
        limit_seconds: how long to wait.

    Raises:
        UnusableLogError: another process is still at it, or the folder cannot be written to.
    """
    return OpeningGate(await _locked(gate_path(log), log, limit_seconds))


async def wait_for_writer(log: Path, limit_seconds: float = WAIT_SECONDS) -> None:
    """Wait until no process has a log open for writing. The caller holds the gate, so that no other one opens it.

    Raises:
        UnusableLogError: another process still has it open.
    """
    if lock_path(log).exists():
        os.close(await _locked(lock_path(log), log, limit_seconds))


async def _locked(path: Path, log: Path, limit_seconds: float) -> int:
    """Return a descriptor of a file that holds an exclusive lock on it.

    Raises:
        UnusableLogError: another process keeps the lock, or the file cannot be made.
    """
    # Not after the lock is held, where a cancellation would leave it so.
    await trio.lowlevel.checkpoint_if_cancelled()
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UnusableLogError(
            f"{path.parent} cannot be written to ({error.strerror}); choose a folder you may write to"
        ) from error
    attempt = _LockAttempt(fd)
    if attempt.lock(fcntl.LOCK_NB):
        return fd
    try:
        with trio.fail_after(limit_seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_warn, log)
                # The lock is waited for in a thread, which is left behind if this is cancelled; see `_LockAttempt`.
                await trio.to_thread.run_sync(attempt.lock, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1))
                nursery.cancel_scope.cancel()
    except trio.TooSlowError:
        attempt.abandon()
        raise UnusableLogError(
            f"{log} is being written by process {writer_of(log)}; end that process, "
            "launch both tasks from one script, or choose another data folder"
        ) from None
    except BaseException:
        attempt.abandon()
        raise
    return fd


async def _warn(log: Path) -> None:
    await trio.sleep(QUIET_SECONDS)
    logger.warning("waiting for another process to close the log", log=str(log), process=writer_of(log))


class _LockAttempt:
    """A lock that is waited for in a thread, and released there if nobody waits any more when it is granted."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._mutex = threading.Lock()
        self._is_held = False
        self._is_abandoned = False

    def lock(self, flags: int = 0) -> bool:
        """Lock the file; with `LOCK_NB`, return whether that was possible at once."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | flags)
        except BlockingIOError:
            return False
        with self._mutex:
            self._is_held = True
            if self._is_abandoned:
                os.close(self._fd)
        return True

    def abandon(self) -> None:
        """Close the file, now or as soon as the thread has the lock."""
        with self._mutex:
            if self._is_held and not self._is_abandoned:
                os.close(self._fd)
            self._is_abandoned = True
