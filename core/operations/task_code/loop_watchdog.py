"""Watches from a thread that nothing blocks the event loop, and names the function that does.

While one function blocks the loop, no page is answered and no other run continues. The thread only looks; it wakes the
loop at no time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from ..logger_core import get_logger
from .code_location import function_of_thread

#: Seconds for which the loop may be busy without a word about it, and between two looks of the thread.
BLOCKED_SECONDS = 1.0
LOOK_SECONDS = 0.25
HINT = (
    "Call time.sleep, requests and other code that waits in a plain `def`, which runs in a thread, or through "
    "trio.to_thread.run_sync"
)

logger = get_logger(__name__)


class LoopWatchdog(trio.abc.Instrument):
    """Notes when the event loop is busy. Made in the thread of the loop."""

    def __init__(self, blocked_seconds: float) -> None:
        self._blocked_seconds = blocked_seconds
        self._thread = threading.get_ident()
        #: The time since which the loop is busy; None while it waits for something to do.
        self._busy_since: float | None = time.monotonic()
        #: The value of `_busy_since` that was reported last.
        self._reported: float | None = None

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - trio's signature
        """Note that the loop has nothing to do."""
        busy_since, self._busy_since = self._busy_since, None
        if busy_since is not None and busy_since == self._reported:
            logger.warning("the event loop runs again", blocked_seconds=round(time.monotonic() - busy_since, 1))

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - trio's signature
        """Note that the loop runs tasks."""
        self._busy_since = time.monotonic()

    def look(self) -> None:
        """Log the function that blocks the loop, once for each time. Called in another thread."""
        busy_since = self._busy_since
        if busy_since is None or busy_since == self._reported or time.monotonic() - busy_since < self._blocked_seconds:
            return
        found = function_of_thread(self._thread)
        if found is None or busy_since != self._busy_since:
            return
        self._reported = busy_since
        function, place = found
        logger.warning(
            f"{function} blocks the event loop: no page is answered until it returns or waits", at=place, hint=HINT
        )


@contextmanager
def watching_the_loop(blocked_seconds: float = BLOCKED_SECONDS, look_seconds: float = LOOK_SECONDS) -> Iterator[None]:
    """Watch the event loop of this thread during a block.

    Args:
        blocked_seconds: seconds for which the loop may be busy without a word about it.
        look_seconds: seconds between two looks of the thread.
    """
    watchdog, stopped = LoopWatchdog(blocked_seconds), threading.Event()

    def watch() -> None:
        while not stopped.wait(look_seconds):
            watchdog.look()

    thread = threading.Thread(target=watch, name="loop-watchdog", daemon=True)
    trio.lowlevel.add_instrument(watchdog)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        trio.lowlevel.remove_instrument(watchdog)
