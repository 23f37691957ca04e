"""A notification that can be waited for any number of times.

A task waits for a condition by looking at it after each notification:

    while not queue:
        await signal.wait()
"""

from __future__ import annotations

import trio


class Signal:
    """Wakes the tasks that wait for it at the moment of `notify`; whoever waits later waits for the next one.

    Unlike a `trio.Event` it renews itself. A notification that nobody waits for costs nothing. A task that awaits
    something else between looking at the condition and waiting must take `next_event` before it looks.
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
