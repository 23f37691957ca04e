"""What a crowd did, in figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec


class Latency(msgspec.Struct, frozen=True):
    """How long the router took for one kind of request."""

    requests: int
    p50_ms: float
    p99_ms: float


class CrowdSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a crowd has done so far."""

    workers: int
    #: Loads of the page.
    visits: int
    #: Submissions that the router has acknowledged.
    submissions: int
    #: Units given back.
    returned: int
    #: Pages closed in the middle of the work.
    disconnected: int
    #: Visits that found no work, by the sentence the worker was shown.
    refusals: dict[str, int]
    #: Requests that failed, by what happened; each was tried again.
    failures: dict[str, int]
    request_agent: Latency
    submit_task: Latency


@dataclass
class HandedIn:
    """What a worker hands in for an agent."""

    work: object
    #: Again whenever there was no answer.
    times_sent: int = 0
    #: The worker was told that it has arrived.
    is_acknowledged: bool = False


class Tally:
    """Counts while a crowd is at work.

    Args:
        submitted: called after each submission that was acknowledged.
    """

    def __init__(self, submitted: Callable[[], None]) -> None:
        self.submitted = submitted
        self.visits = 0
        self.returned = 0
        self.disconnected = 0
        #: By the agent that it was handed in for.
        self.handed_in: dict[str, HandedIn] = {}
        self.refusals: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        #: Seconds that each answered request took.
        self.request_agent_seconds: list[float] = []
        self.submit_task_seconds: list[float] = []

    def summary(self, workers: int) -> CrowdSummary:
        """The figures as they stand."""
        return CrowdSummary(
            workers=workers,
            visits=self.visits,
            submissions=len(self.submit_task_seconds),
            returned=self.returned,
            disconnected=self.disconnected,
            refusals=dict(self.refusals),
            failures=dict(self.failures),
            request_agent=latency(self.request_agent_seconds),
            submit_task=latency(self.submit_task_seconds),
        )


def latency(seconds: Sequence[float]) -> Latency:
    """Median and 99th percentile (nearest rank); zeros if there was no request."""
    ordered = sorted(seconds)

    def percentile(share: float) -> float:
        return round(ordered[math.ceil(share * len(ordered)) - 1] * 1000, 1) if ordered else 0.0

    return Latency(len(ordered), percentile(0.50), percentile(0.99))
