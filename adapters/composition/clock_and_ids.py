"""Provides the machine's clock, ids that continue those of a log, and random tokens."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Mapping
from itertools import count

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
        return f"operator/{self._epoch:08x}/{next(self._commands):010x}"

    def token(self) -> str:
        """Return an unguessable text that is safe in a URL."""
        return secrets.token_urlsafe(TOKEN_BYTES)

    def salt(self) -> bytes:
        """Return sixteen random bytes."""
        return secrets.token_bytes(SALT_BYTES)
