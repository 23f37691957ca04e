"""Runs many simulated workers against one router, each in its own task."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence

import httpx
import trio

from .plan import WorkerPlan
from .summary import CrowdCounters, CrowdSummary, SentSubmission
from .worker import RETRY_LIMIT_SECONDS, Answer, SimulatedWorker

#: Longer than the longest time a router takes to answer a registration.
REQUEST_TIMEOUT_SECONDS = 60
#: A worker leaves after this long without work.
PATIENCE_SECONDS = 60.0


class Crowd:
    """Simulated workers of one router.

    Args:
        url: the router's URL; the crowd knows nothing else about it.
        plans: the workers.
        answer: returns the work for a unit's data.
        now: returns seconds since the epoch, by the workers' clocks.
        on_submitted: called after each acknowledged submission.
        patience_seconds: a worker leaves after this long without work.
        retry_seconds: the time during which a request that fails temporarily is retried.
        chat_messages: the number of messages that each worker sends to the partner, before submitting the transcript
            instead of an answer; 0 if the work is not a chat.
    """

    def __init__(
        self,
        url: str,
        plans: Sequence[WorkerPlan],
        answer: Answer,
        *,
        now: Callable[[], float],
        on_submitted: Callable[[], None] = lambda: None,
        patience_seconds: float = PATIENCE_SECONDS,
        retry_seconds: float = RETRY_LIMIT_SECONDS,
        chat_messages: int = 0,
    ) -> None:
        self._url = url
        self._plans = plans
        self._answer = answer
        self._now = now
        self._patience_seconds = patience_seconds
        self._retry_seconds = retry_seconds
        self._chat_messages = chat_messages
        self._counters = CrowdCounters(on_submitted)

    @property
    def submissions(self) -> Mapping[str, SentSubmission]:
        """The submissions so far, by agent."""
        return self._counters.submissions

    def summary(self) -> CrowdSummary:
        """Return the figures so far."""
        return self._counters.summary(len(self._plans))

    async def run(self) -> None:
        """Run all workers until everyone has left. If cancelled, they close their browsers."""
        # Loading the certificates takes longer than a visit. Sharing them does not share connections.
        trusted = ssl.create_default_context()
        async with trio.open_nursery() as nursery:
            for plan in self._plans:
                nursery.start_soon(self._run_worker, plan, trusted)

    async def _run_worker(self, plan: WorkerPlan, trusted: ssl.SSLContext) -> None:
        async with httpx.AsyncClient(
            base_url=self._url, verify=trusted, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False
        ) as client:
            worker = SimulatedWorker(
                plan, client, self._answer, self._now, self._counters, self._retry_seconds, self._chat_messages
            )
            await worker.work_until_idle(self._patience_seconds)
