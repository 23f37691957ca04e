"""A notification that can be waited for any number of times, and an answer that is given once.

A task waits for a condition by looking at it after each notification:

    while not queue:
        await signal.wait()
"""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

T = TypeVar("T")


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


class Pending(Generic[T]):
    """A result or an error that is set once, and that tasks wait for.

    It keeps its waiters itself: a `trio.Event` for each command costs a busy ledger a thirtieth of its time.
    """

    __slots__ = ("_result", "_waiters")

    def __init__(self) -> None:
        self._result: tuple[T] | Exception | None = None
        self._waiters: list[trio.lowlevel.Task] = []

    def settle(self, result: T | Exception) -> None:
        """Set the outcome and wake all waiters."""
        self._result = result if isinstance(result, Exception) else (result,)
        for task in self._waiters:
            trio.lowlevel.reschedule(task)
        self._waiters.clear()

    async def wait(self) -> T:
        """Wait for the result, and return or raise it. A cancelled wait withdraws nothing."""
        if self._result is None:
            await self._settled()
        else:
            await trio.lowlevel.checkpoint()
        if isinstance(self._result, tuple):
            return self._result[0]
        assert self._result is not None
        raise self._result

    async def _settled(self) -> None:
        task = trio.lowlevel.current_task()
        self._waiters.append(task)

        def give_up(_: object) -> trio.lowlevel.Abort:
            self._waiters.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(give_up)
