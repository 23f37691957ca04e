"""Many workers at one router, each a task of its own."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence

import httpx
import trio

from .plan import WorkerPlan
from .summary import CrowdSummary, HandedIn, Tally
from .worker import RETRY_LIMIT_SECONDS, Answer, SimulatedWorker

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
        retry_seconds: for how long a request that fails for the moment is sent again.
        chat_lines: how many messages each of them writes to its partner, and then hands in what was said in place of
            an answer; 0: the work is no chat.
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
        chat_lines: int = 0,
    ) -> None:
        self._url = url
        self._plans = plans
        self._answer = answer
        self._now = now
        self._patience_seconds = patience_seconds
        self._retry_seconds = retry_seconds
        self._chat_lines = chat_lines
        self._tally = Tally(on_submitted)

    @property
    def handed_in(self) -> Mapping[str, HandedIn]:
        """What was handed in up to now, by agent."""
        return self._tally.handed_in

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
            worker = SimulatedWorker(
                plan, client, self._answer, self._now, self._tally, self._retry_seconds, self._chat_lines
            )
            await worker.work(self._patience_seconds)
