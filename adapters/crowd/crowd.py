"""Many workers at one router, each a task of its own."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence

import httpx
import trio

from .plan import WorkerPlan
from .summary import CrowdSummary, Tally
from .worker import Answer, Worker

#: Longer than a router takes at most to answer a registration.
REQUEST_TIMEOUT_SECONDS = 60
#: How long a worker keeps looking for work when there is none.
PATIENCE_SECONDS = 60.0


class Crowd:
    """Workers who come to one router.

    Args:
        url: where the router is; nothing else is known about it.
        plans: the workers.
        answer: what they hand in.
        now: seconds since the epoch, by their clocks.
        on_submitted: called after each submission that the router has acknowledged.
        patience_seconds: a worker for whom there was no work for so long stays away.
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
    ) -> None:
        self._url = url
        self._plans = plans
        self._answer = answer
        self._now = now
        self._patience_seconds = patience_seconds
        self._tally = Tally(on_submitted)

    def summary(self) -> CrowdSummary:
        """What was done up to now."""
        return self._tally.summary(len(self._plans))

    async def run(self) -> None:
        """Let all of them work; returns when everybody has left. Cancelled, they close their browsers."""
        # Reading the certificates takes longer than a visit. Sharing them shares no connection.
        trusted = ssl.create_default_context()
        async with trio.open_nursery() as nursery:
            for plan in self._plans:
                nursery.start_soon(self._employ, plan, trusted)

    async def _employ(self, plan: WorkerPlan, trusted: ssl.SSLContext) -> None:
        async with httpx.AsyncClient(
            base_url=self._url, verify=trusted, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False
        ) as client:
            await Worker(plan, client, self._answer, self._now, self._tally).work(self._patience_seconds)
