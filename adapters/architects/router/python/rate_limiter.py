"""Limits how often something may happen for each of many keys, for instance requests of an address.

Each key has a bucket of tokens that is refilled steadily. Only `MAX_KEYS` buckets are remembered: a client with more
addresses than that has more than one machine.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

#: Keys that are remembered; beyond it the longest unused is forgotten.
MAX_KEYS = 10_000


class _Bucket(NamedTuple):
    tokens: float
    at: float


class RateLimiter:
    """Token buckets by key.

    Args:
        burst: how often something may happen at once.
        per_second: how often it may happen in the long run.
        monotonic: returns seconds since any fixed moment.
    """

    def __init__(self, burst: int, per_second: float, monotonic: Callable[[], float]) -> None:
        self._burst = burst
        self._per_second = per_second
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, key: str) -> bool:
        """Take a token of a key; return whether there was one."""
        now = self._monotonic()
        bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now)
        tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_second)
        is_allowed = tokens >= 1
        self._buckets[key] = _Bucket(tokens - 1 if is_allowed else tokens, now)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        return is_allowed
