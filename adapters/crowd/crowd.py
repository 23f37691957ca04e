"""Runs many simulated workers against one router, each in its own task."""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import httpx
import trio

from .bot import Bot
from .summary import CrowdCounters, CrowdSummary, SentSubmission
from .worker import RETRY_LIMIT_SECONDS, SimulatedWorker

#: Longer than the longest time a router takes to answer a registration.
REQUEST_TIMEOUT_SECONDS = 60
#: A worker leaves after this long without work.
PATIENCE_SECONDS = 60.0


class Crowd:
    """Simulated workers of one run with the mock provider. They send what the browsers of workers would send."""

    def __init__(
        self,
        url: str,
        bots: Sequence[Bot],
        *,
        now: Callable[[], float] = time.time,
        before_submission: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
        on_submitted: Callable[[], None] = lambda: None,
        patience_seconds: float = PATIENCE_SECONDS,
        retry_seconds: float = RETRY_LIMIT_SECONDS,
    ) -> None:
        """Take the workers; nothing is sent before `run`.

        Args:
            url: the address of the run's server (`LiveTaskRun.url`); the crowd knows nothing else about the run.
            bots: the workers.
            now: returns seconds since the epoch, by the workers' clocks.
            before_submission: awaited before each submission, which it may hold back.
            on_submitted: called after each acknowledged submission.
            patience_seconds: a worker leaves after this long without work.
            retry_seconds: the time during which a request that fails temporarily is retried.
        """
        self._url = url
        self._bots = bots
        self._now = now
        self._before_submission = before_submission
        self._patience_seconds = patience_seconds
        self._retry_seconds = retry_seconds
        self._counters = CrowdCounters(on_submitted)

    @property
    def submissions(self) -> Mapping[str, SentSubmission]:
        """The submissions so far, by agent."""
        return self._counters.submissions

    def summary(self) -> CrowdSummary:
        """Return the figures so far."""
        return self._counters.summary(len(self._bots))

    async def run(self) -> None:
        """Run all workers until everyone has left. If cancelled, they close their browsers."""
        # Loading the certificates takes longer than a visit. Sharing them does not share connections.
        trusted = ssl.create_default_context()
        async with trio.open_nursery() as nursery:
            for bot in self._bots:
                nursery.start_soon(self._run_worker, bot, trusted)

    async def _run_worker(self, bot: Bot, trusted: ssl.SSLContext) -> None:
        async with httpx.AsyncClient(
            base_url=self._url, verify=trusted, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False
        ) as client:
            worker = SimulatedWorker(
                bot, client, self._now, self._counters, self._retry_seconds, self._before_submission
            )
            await worker.work_until_idle(self._patience_seconds)
