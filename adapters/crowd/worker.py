"""One worker's day: visit after visit, until there is no more work to be had."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from functools import partial
from random import Random
from typing import TypeVar

import httpx
import msgspec
import trio

from ...core.errors import ProtocolError
from .conversation import Conversation
from .page import AssignedAgent, Visit, WorkerPage
from .page_socket import RouterUnreachableError, SocketLostError
from .plan import WorkerPlan
from .summary import HandedIn, Tally

#: What a worker hands in for a unit's data, by the worker's own chance.
Answer = Callable[[Random, object], object]

#: How long a worker waits before looking again after a visit that came to nothing, at least and at most.
LOOK_AGAIN_SECONDS = (1.0, 3.0)
#: How soon a request that failed for the moment is sent again, and for how long unless a crowd is more persistent.
RETRY_SECONDS = 0.25
RETRY_LIMIT_SECONDS = 30.0
#: How much a worker's times for single units differ: the standard deviation of their logarithm.
UNEVENNESS = 0.3

T = TypeVar("T")


class _Outcome(Enum):
    WORKED = auto()
    NOTHING = auto()
    LEFT = auto()


class SimulatedWorker:
    """One worker with a browser of its own.

    Args:
        plan: the worker's habits.
        client: the browser; its base address is the router's.
        answer: what the worker hands in.
        now: seconds since the epoch, by the worker's clock.
        tally: where what is done is counted.
        retry_seconds: for how long a request that fails for the moment is sent again.
        chat_lines: how many messages the worker writes in a chat; 0: the work is no chat.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        client: httpx.AsyncClient,
        answer: Answer,
        now: Callable[[], float],
        tally: Tally,
        retry_seconds: float,
        chat_lines: int,
    ) -> None:
        self._plan = plan
        self._client = client
        self._answer = answer
        self._now = now
        self._tally = tally
        self._retry_seconds = retry_seconds
        self._chat_lines = chat_lines
        self._chance = Random(plan.seed)
        #: How many units the worker has had.
        self._units = 0

    async def work(self, patience_seconds: float) -> None:
        """Come again and again; returns when there was nothing to do for so many seconds, or the worker has left."""
        last_success = trio.current_time()
        while trio.current_time() - last_success < patience_seconds:
            match await self._try_visit():
                case _Outcome.WORKED:
                    last_success = trio.current_time()
                case _Outcome.NOTHING:
                    await trio.sleep(self._chance.uniform(*LOOK_AGAIN_SECONDS))
                case _Outcome.LEFT:
                    return

    async def _try_visit(self) -> _Outcome:
        try:
            return await self._visit()
        except RouterUnreachableError:
            return _Outcome.NOTHING  # counted when it happened
        except ProtocolError as error:
            self._tally.failures[str(error)] += 1
            return _Outcome.NOTHING

    async def _visit(self) -> _Outcome:
        self._tally.visits += 1
        visit = Visit(self._plan.name, f"{self._chance.getrandbits(48):012x}")
        page = WorkerPage(self._client, visit, self._now)
        await self._persist(page.load)
        details = await self._get_agent(page)
        if details.agent_id is None:
            self._tally.refusals[details.failure_reason or "no reason given"] += 1
            return _Outcome.NOTHING
        return await self._do_unit(page, details, details.agent_id)

    async def _get_agent(self, page: WorkerPage) -> AssignedAgent:
        details = await self._persist(page.request_agent, self._tally.request_agent_seconds)
        onboarding = details.agent_id
        if onboarding is None or not details.is_onboarding:
            return details
        return await self._persist(lambda: page.submit_onboarding(onboarding, {"success": True}))

    async def _do_unit(self, page: WorkerPage, details: AssignedAgent, agent: str) -> _Outcome:
        self._units += 1
        if self._units == self._plan.disconnects_on_unit:
            await self._persist(partial(page.stay_connected, agent, self._draw_seconds()))
            self._tally.disconnected += 1
            return _Outcome.LEFT
        if self._units == self._plan.returns_unit:
            await trio.sleep(self._draw_seconds())
            await self._persist(partial(page.return_task, agent))
            self._tally.returned += 1
            return _Outcome.WORKED
        work = await (self._chat(page, details) if self._chat_lines else self._think(details))
        if work is None:
            return _Outcome.NOTHING
        handed_in = self._tally.handed_in[agent] = HandedIn(work)
        await self._persist(partial(self._hand_in, page, agent, handed_in), self._tally.submit_task_seconds)
        handed_in.is_acknowledged = True
        self._tally.submitted()
        return _Outcome.WORKED

    async def _think(self, details: AssignedAgent) -> object:
        await trio.sleep(self._draw_seconds())
        return self._answer(self._chance, msgspec.json.decode(details.init_task_data))

    async def _chat(self, page: WorkerPage, details: AssignedAgent) -> object | None:
        """Chat to the end, however often the connection is lost; a router that stays away ends it."""
        chat = Conversation(page, details, self._chat_lines, self._draw_seconds)
        while True:
            try:
                return await self._persist(chat.hold)
            except SocketLostError as error:
                self._tally.failures[str(error)] += 1
                await trio.sleep(RETRY_SECONDS)

    async def _hand_in(self, page: WorkerPage, agent: str, handed_in: HandedIn) -> None:
        handed_in.times_sent += 1
        await page.submit_task(agent, handed_in.work)

    def _draw_seconds(self) -> float:
        """How long the worker thinks this time."""
        return self._chance.lognormvariate(math.log(self._plan.think_seconds), UNEVENNESS)

    async def _persist(self, request: Callable[[], Awaitable[T]], took: list[float] | None = None) -> T:
        """Make a request until it is answered; how long the answer took is added to a list."""
        give_up_at = trio.current_time() + self._retry_seconds
        while True:
            asked_at = trio.current_time()
            try:
                answer = await request()
            except RouterUnreachableError as error:
                self._tally.failures[str(error)] += 1
                if trio.current_time() >= give_up_at:
                    raise
                await trio.sleep(RETRY_SECONDS)
            else:
                if took is not None:
                    took.append(trio.current_time() - asked_at)
                return answer
