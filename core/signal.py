"""A notification that can be waited for again and again."""

from __future__ import annotations

import trio


class Signal:
    """Wakes the tasks that wait for it at the moment of `notify`; whoever waits later waits for the next one.

    A `trio.Event` that renews itself. A notification that nobody waits for costs nothing. A task that must not miss
    one between looking at a condition and waiting takes `next_event` before it looks.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: trio.Event | None = None

    def notify(self) -> None:
        """Wake everybody who waits now."""
        if self._event is not None:
            self._event.set()
            self._event = None

    def next_event(self) -> trio.Event:
        """Return the event that the next notification sets."""
        if self._event is None:
            self._event = trio.Event()
        return self._event

    async def wait(self) -> None:
        """Wait for the next notification."""
        await self.next_event().wait()
