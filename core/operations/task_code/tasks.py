"""The task's own code of one run, while it runs: whoever ends the run lets it come to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import trio

from ...signal import Signal


class TaskCode:
    """Runs pieces of task code side by side, and can be waited for."""

    def __init__(self, nursery: trio.Nursery) -> None:
        """Take the nursery of the run, whose end is the end of all of them."""
        self._nursery = nursery
        self._running = 0
        self._ended = Signal()

    def start_soon(self, run: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run a piece of code, from its first line to its clean-up."""
        self._running += 1
        self._nursery.start_soon(partial(self._run, run, *args))

    async def _run(self, run: Callable[..., Awaitable[None]], *args: object) -> None:
        try:
            await run(*args)
        finally:
            self._running -= 1
            self._ended.notify()

    async def wait_until_done(self) -> None:
        """Wait until none is running."""
        while self._running:
            await self._ended.wait()
