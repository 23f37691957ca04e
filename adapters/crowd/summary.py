"""Counts what a simulated crowd does, and summarizes it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec


class Latency(msgspec.Struct, frozen=True):
    """The time the router took to answer one kind of request."""

    requests: int
    p50_ms: float
    p99_ms: float


class CrowdSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a crowd so far."""

    workers: int
    #: Loads of the page.
    visits: int
    #: Submissions that the router has acknowledged.
    submissions: int
    #: Units that were returned.
    returned: int
    #: Pages that were closed during the work.
    disconnected: int
    #: Units whose time ran out before they were submitted.
    timed_out: int
    #: Pages that were loaded again during the work.
    reloaded: int
    #: Submissions that were sent twice at the same time.
    double_clicked: int
    #: Visits without work, by the sentence shown to the worker.
    refusals: dict[str, int]
    #: Failed requests by kind of failure; each was retried. A worker who keeps getting no answer is counted once.
    failures: dict[str, int]
    request_agent: Latency
    submit_task: Latency


@dataclass
class SentSubmission:
    """The work that a worker submits for an agent."""

    work: object
    #: More than 1 if there was no answer.
    times_sent: int = 0
    #: Whether the worker was told that the submission arrived.
    is_acknowledged: bool = False


class CrowdCounters:
    """Counters of a crowd at work.

    Args:
        submitted: called after each submission that was acknowledged.
    """

    def __init__(self, submitted: Callable[[], None]) -> None:
        self.submitted = submitted
        self.visits = 0
        self.returned = 0
        self.disconnected = 0
        self.timed_out = 0
        self.reloaded = 0
        self.double_clicked = 0
        #: By agent.
        self.submissions: dict[str, SentSubmission] = {}
        self.refusals: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        #: Durations of the answered requests, in seconds.
        self.request_agent_seconds: list[float] = []
        self.submit_task_seconds: list[float] = []

    def summary(self, workers: int) -> CrowdSummary:
        """Return the present figures."""
        return CrowdSummary(
            workers=workers,
            visits=self.visits,
            submissions=len(self.submit_task_seconds),
            returned=self.returned,
            disconnected=self.disconnected,
            timed_out=self.timed_out,
            reloaded=self.reloaded,
            double_clicked=self.double_clicked,
            refusals=dict(self.refusals),
            failures=dict(self.failures),
            request_agent=latency(self.request_agent_seconds),
            submit_task=latency(self.submit_task_seconds),
        )


def latency(seconds: Sequence[float]) -> Latency:
    """Return the median and 99th percentile (nearest rank); zeros if there was no request."""
    ordered = sorted(seconds)

    def percentile(share: float) -> float:
        return round(ordered[math.ceil(share * len(ordered)) - 1] * 1000, 1) if ordered else 0.0

    return Latency(len(ordered), percentile(0.50), percentile(0.99))
