"""Time, ids and chance of the real world."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Mapping
from itertools import count

#: Bytes of chance in a token: nobody guesses 128 bits.
TOKEN_BYTES = 16
SALT_BYTES = 16


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC."""
        return time.time_ns() // 1000


class SystemIds:
    """Ids that count on from what a log holds, and tokens from the machine's source of chance."""

    def __init__(self, highest: Mapping[str, int], epoch: int) -> None:
        """Count on.

        Args:
            highest: the largest id in use of each category of streams.
            epoch: a number that no other writer of the log has or had; it makes command ids new.
        """
        self._last = defaultdict(int, highest)
        self._epoch = epoch
        self._commands = count(1)

    def next_id(self, category: str) -> int:
        """The next id of a category."""
        self._last[category] += 1
        return self._last[category]

    def command_id(self) -> str:
        """A new command id; later ones sort after earlier ones."""
        return f"operator/{self._epoch:08x}/{next(self._commands):010x}"

    def token(self) -> str:
        """An unguessable text that is safe in a URL."""
        return secrets.token_urlsafe(TOKEN_BYTES)

    def salt(self) -> bytes:
        """Sixteen random bytes."""
        return secrets.token_bytes(SALT_BYTES)
