"""Records what a receiver of notices has taken, in a small file beside the log."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ...core.errors import UnusableLogError


class _Stored(msgspec.Struct):
    """The contents of the file."""

    seq: int
    reminded_until_us: int


class NotifyPosition:
    """The position of one receiver. It never falls.

    Attributes:
        seq: all notices of events up to here were taken.
        reminded_until_us: all reminders due until then were taken, in microseconds since the epoch.
    """

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one.

        Raises:
            UnusableLogError: it is something else.
        """
        self._path = path
        self.seq = self.reminded_until_us = 0
        self._is_new = not path.exists()
        if not self._is_new:
            try:
                stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
            except (OSError, msgspec.DecodeError) as error:
                raise UnusableLogError(
                    f"{path} does not say up to where notices were sent; remove it to start from now"
                ) from error
            self.seq, self.reminded_until_us = stored.seq, stored.reminded_until_us

    def begin(self, seq: int, now_us: int) -> None:
        """Start from now if nothing was recorded: what happened before is no news."""
        if self._is_new:
            self.seq, self.reminded_until_us = seq, now_us
            self._store()

    def advance(self, seq: int) -> None:
        """Record that notices up to a position were taken."""
        if seq > self.seq:
            self.seq = seq
            self._store()

    def remind(self, until_us: int) -> None:
        """Record that reminders due until a time were taken."""
        if until_us > self.reminded_until_us:
            self.reminded_until_us = until_us
            self._store()

    def _store(self) -> None:
        self._is_new = False
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(_Stored(self.seq, self.reminded_until_us)))
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)
