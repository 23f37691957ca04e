"""Limits the bandwidth of large bodies of strangers, so that whoever works does not wait for them.

Nobody knows whose a body is before it has been read, and reading megabytes, or a form of a thousand parts, takes as
long as serving several workers. So bodies from addresses where nobody has an agent are read one piece after the other,
all together at `BYTES_PER_SECOND`.
"""

from collections.abc import Callable

import anyio

#: So much of each body is not throttled: nearly all bodies are smaller.
FREE_BYTES = 4 * 2**10

#: Number of bodies that are throttled at the same time.
MAX_BODIES = 100

#: What all throttled bodies together may bring in a second in the long run, and at once.
BYTES_PER_SECOND = 2**20
BURST_BYTES = 2**20


class Throttle:
    """A token bucket that is shared by all bodies, in the order of asking.

    Args:
        monotonic: returns seconds since any fixed moment.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._turn = anyio.Lock()
        # When the bucket is full again.
        self._full_at = monotonic()

    async def take(self, size_bytes: int) -> None:
        """Wait until the bucket is not overdrawn, then take so much. Cancelling takes nothing."""
        async with self._turn:
            await anyio.sleep(max(0.0, self._full_at - BURST_BYTES / BYTES_PER_SECOND - self._monotonic()))
            self._full_at = max(self._full_at, self._monotonic()) + size_bytes / BYTES_PER_SECOND
