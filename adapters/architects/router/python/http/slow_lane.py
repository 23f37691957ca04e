"""Shares a narrow bandwidth among large bodies of strangers: what they cost is not taken from those who work.

Nobody knows whose a body is before it has been read, and to read megabytes, or a form of a thousand parts, takes as
long as to serve several workers. So bodies from addresses where nobody has an agent come one piece after the other, and
together not faster than `BYTES_PER_SECOND`.
"""

from collections.abc import Callable

import anyio

#: So much of each body needs no lane: nearly all bodies are smaller.
FREE_BYTES = 4 * 2**10

#: Number of bodies that are in it at the same time.
PLACES = 100

#: What all bodies of strangers may bring in a second in the long run, and at once.
BYTES_PER_SECOND = 2**20
BURST_BYTES = 2**20


class SlowLane:
    """A bandwidth, used in the order of asking.

    Args:
        monotonic: returns seconds since any fixed moment.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._turn = anyio.Lock()
        # When what has been taken so far is paid for.
        self._paid_at = monotonic()

    async def take(self, size_bytes: int) -> None:
        """Wait until what was taken before is paid for, then take so much. Cancelling takes nothing."""
        async with self._turn:
            await anyio.sleep(max(0.0, self._paid_at - BURST_BYTES / BYTES_PER_SECOND - self._monotonic()))
            self._paid_at = max(self._paid_at, self._monotonic()) + size_bytes / BYTES_PER_SECOND
