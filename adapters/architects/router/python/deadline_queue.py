"""Keeps many deadlines of one length with a single timer.

All deadlines have the same length, so the order in which they were set is the order in which they pass: the first key
is always the next one due, and setting a key again costs no timer.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, NoReturn, TypeVar

import anyio

K = TypeVar("K")


class DeadlineQueue(Generic[K]):
    """Keys with a deadline each.

    Args:
        seconds: the length of every deadline.
        monotonic: returns seconds since any fixed moment.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._set_at: OrderedDict[K, float] = OrderedDict()
        self._changed = anyio.Event()

    def set(self, key: K) -> None:
        """Start the deadline of `key`, or start it again."""
        self._set_at[key] = self._monotonic()
        self._set_at.move_to_end(key)
        self._changed.set()

    def delete(self, key: K) -> None:
        """Remove the deadline of `key`, if it has one."""
        self._set_at.pop(key, None)

    def has(self, key: K) -> bool:
        """Return whether the deadline of `key` has yet to pass."""
        return key in self._set_at

    async def watch(self, on_passed: Callable[[list[K]], None]) -> NoReturn:
        """Remove the keys whose deadline has passed, and call `on_passed` with them, oldest first. Never returns.

        Deadlines that pass while nobody watches are reported when somebody does.
        """
        while True:
            due = next(iter(self._set_at.values()), None)
            if due is None:
                self._changed = anyio.Event()
                await self._changed.wait()
            elif (rest := due + self._seconds - self._monotonic()) > 0:
                await anyio.sleep(rest)
            else:
                on_passed(self._take_passed())

    def _take_passed(self) -> list[K]:
        now = self._monotonic()
        passed = []
        while self._set_at:
            key, set_at = next(iter(self._set_at.items()))
            if set_at + self._seconds > now:
                break
            del self._set_at[key]
            passed.append(key)
        return passed
