"""Provides the machine's clock, ids that continue those of a log, also among several writers, and random tokens."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import count

from ...core.signal import Signal
from ..log.epochs import command_id

#: Random bytes in a token: 128 bits cannot be guessed.
TOKEN_BYTES = 16
SALT_BYTES = 16


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Return microseconds since the epoch, UTC."""
        return time.time_ns() // 1000


class SystemIds:
    """Ids that continue those of a log, and tokens from the machine's random source."""

    def __init__(self, highest: Mapping[str, int], epoch: int) -> None:
        """Continue from the ids in use.

        Args:
            highest: the largest id in use, by category of streams.
            epoch: a number that no other writer of the log has or had; it makes command ids unique.
        """
        self._last = defaultdict(int, highest)
        self._epoch = epoch
        self._commands = count(1)

    def next_id(self, category: str) -> int:
        """Return the next id of a category."""
        self._last[category] += 1
        return self._last[category]

    def command_id(self) -> str:
        """Return a new command id; later ids sort after earlier ones."""
        return command_id(self._epoch, next(self._commands))

    def token(self) -> str:
        """Return an unguessable text that is safe in a URL."""
        return secrets.token_urlsafe(TOKEN_BYTES)

    def salt(self) -> bytes:
        """Return sixteen random bytes."""
        return secrets.token_bytes(SALT_BYTES)


#: Ids of a category that are reserved at a time, in a log with several writers; of others, which are rare, one.
BLOCK_IDS = {"agent": 50, "assignment": 50, "onboarding_agent": 20, "payment": 20, "unit": 50, "worker": 10}
#: Reserves ids of a category for one writer: takes an id that is used at least, and how many; returns the last one.
Reserve = Callable[[str, int, int], int]


class BlockIds(SystemIds):
    """Ids in a log with several writers: each reserves a block at a time, and gives out what it has reserved."""

    def __init__(self, highest: Mapping[str, int], epoch: int, reserve: Reserve) -> None:
        """Begin without a block.

        Args:
            highest: the largest id in use, by category of streams.
            epoch: as `SystemIds`.
            reserve: reserves a block. It blocks.
        """
        super().__init__(highest, epoch)
        self._reserve = reserve
        self._free: dict[str, deque[int]] = {}
        #: Categories of which half of a block is used up.
        self._low: set[str] = set()
        self._is_low = Signal()

    def next_id(self, category: str) -> int:
        """Return the next id of a category. Blocks if nothing is reserved, which `keep_reserves` prevents."""
        free = self._free.setdefault(category, deque())
        if not free:
            self._fill(category)
        number = self._last[category] = free.popleft()
        if category in BLOCK_IDS and len(free) <= BLOCK_IDS[category] // 2:
            self._low.add(category)
            self._is_low.notify()
        return number

    async def keep_reserves(self, offload: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        """Reserve more of what is nearly used up, until cancelled.

        Args:
            offload: makes a blocking call beside the event loop.
        """
        while True:
            while not self._low:
                await self._is_low.wait()
            await offload(partial(self._fill, self._low.pop()))

    def _fill(self, category: str) -> None:
        count = BLOCK_IDS.get(category, 1)
        last = self._reserve(category, self._last[category], count)
        self._free[category].extend(range(last - count + 1, last + 1))
