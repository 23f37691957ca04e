"""Times as Mephisto writes them in its tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import gmtime, strftime


@lru_cache(maxsize=1024)
def date_of(at: int) -> str:
    """A time in microseconds since the epoch as a date: UTC, to the millisecond."""
    return f"{_second(at // 1_000_000)}.{at // 1000 % 1000:03d}"


def end_of(date: str) -> int:
    """The last microsecond of the millisecond that a date names, since the epoch."""
    since = datetime.fromisoformat(date).replace(tzinfo=UTC) - datetime.fromtimestamp(0, UTC)
    return since // timedelta(microseconds=1) + 999


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return strftime("%Y-%m-%d %H:%M:%S", gmtime(second))
