"""Simulates one worker, who visits the page again and again until there is no more work."""

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
from .chat import ChatSession
from .page_client import AgentReply, PageClient, Visit
from .page_socket import RouterUnreachableError, SocketLostError
from .plan import WorkerPlan
from .summary import CrowdCounters, SentSubmission

#: Returns the work for a unit's data, using the worker's random numbers.
Answer = Callable[[Random, object], object]

#: The minimum and maximum wait after a visit without work.
REVISIT_SECONDS = (1.0, 3.0)
#: The interval between retries of a request that failed temporarily, and the default time after which they stop.
RETRY_SECONDS = 0.25
RETRY_LIMIT_SECONDS = 30.0
#: The variation of a worker's times for single units: the standard deviation of their logarithm.
UNEVENNESS = 0.3

T = TypeVar("T")


class _Outcome(Enum):
    WORKED = auto()
    NOTHING = auto()
    LEFT = auto()


class SimulatedWorker:
    """One worker with a browser.

    Args:
        plan: the worker's behaviour.
        client: the browser; its base URL is the router's.
        answer: returns the work for a unit's data.
        now: returns seconds since the epoch, by the worker's clock.
        counters: the crowd's counters.
        retry_seconds: the time during which a request that fails temporarily is retried.
        chat_messages: the number of messages to send in a chat; 0 if the work is not a chat.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        client: httpx.AsyncClient,
        answer: Answer,
        now: Callable[[], float],
        counters: CrowdCounters,
        retry_seconds: float,
        chat_messages: int,
    ) -> None:
        self._plan = plan
        self._client = client
        self._answer = answer
        self._now = now
        self._counters = counters
        self._retry_seconds = retry_seconds
        self._chat_messages = chat_messages
        self._chance = Random(plan.seed)
        #: The number of units the worker has had.
        self._units = 0

    async def work_until_idle(self, patience_seconds: float) -> None:
        """Visit the page repeatedly, until there was no work for this long or the worker has left for good."""
        last_success = trio.current_time()
        while trio.current_time() - last_success < patience_seconds:
            match await self._try_visit():
                case _Outcome.WORKED:
                    last_success = trio.current_time()
                case _Outcome.NOTHING:
                    await trio.sleep(self._chance.uniform(*REVISIT_SECONDS))
                case _Outcome.LEFT:
                    return

    async def _try_visit(self) -> _Outcome:
        try:
            return await self._visit()
        except RouterUnreachableError:
            return _Outcome.NOTHING  # counted when it happened
        except ProtocolError as error:
            self._counters.failures[str(error)] += 1
            return _Outcome.NOTHING

    async def _visit(self) -> _Outcome:
        self._counters.visits += 1
        visit = Visit(self._plan.name, f"{self._chance.getrandbits(48):012x}")
        page = PageClient(self._client, visit, self._now)
        await self._retry(page.load)
        answer = await self._get_agent(page)
        if answer.agent_id is None:
            self._counters.refusals[answer.failure_reason or "no reason given"] += 1
            return _Outcome.NOTHING
        return await self._do_unit(page, answer, answer.agent_id)

    async def _get_agent(self, page: PageClient) -> AgentReply:
        answer = await self._retry(page.request_agent, self._counters.request_agent_seconds)
        onboarding = answer.agent_id
        if onboarding is None or not answer.is_onboarding:
            return answer
        return await self._retry(lambda: page.submit_onboarding(onboarding, {"success": True}))

    async def _do_unit(self, page: PageClient, answer: AgentReply, agent: str) -> _Outcome:
        self._units += 1
        if self._units == self._plan.disconnects_on_unit:
            await self._retry(partial(page.stay_connected, agent, self._draw_seconds()))
            self._counters.disconnected += 1
            return _Outcome.LEFT
        if self._units == self._plan.returns_unit:
            await trio.sleep(self._draw_seconds())
            await self._retry(partial(page.return_task, agent))
            self._counters.returned += 1
            return _Outcome.WORKED
        work = await (self._chat(page, answer) if self._chat_messages else self._think(answer))
        if work is None:
            return _Outcome.NOTHING
        submission = self._counters.submissions[agent] = SentSubmission(work)
        await self._retry(partial(self._submit, page, agent, submission), self._counters.submit_task_seconds)
        submission.is_acknowledged = True
        self._counters.submitted()
        return _Outcome.WORKED

    async def _think(self, answer: AgentReply) -> object:
        await trio.sleep(self._draw_seconds())
        return self._answer(self._chance, msgspec.json.decode(answer.init_task_data))

    async def _chat(self, page: PageClient, answer: AgentReply) -> object | None:
        """Chat until the chat is over, reconnecting as often as needed, unless the router stays unreachable."""
        chat = ChatSession(page, answer, self._chat_messages, self._draw_seconds)
        while True:
            try:
                return await self._retry(chat.finish_chat)
            except SocketLostError as error:
                self._counters.failures[str(error)] += 1
                await trio.sleep(RETRY_SECONDS)

    async def _submit(self, page: PageClient, agent: str, submission: SentSubmission) -> None:
        submission.times_sent += 1
        await page.submit_task(agent, submission.work)

    def _draw_seconds(self) -> float:
        """Return the time that the worker takes for the next unit or message."""
        return self._chance.lognormvariate(math.log(self._plan.think_seconds), UNEVENNESS)

    async def _retry(self, request: Callable[[], Awaitable[T]], durations: list[float] | None = None) -> T:
        """Repeat a request until it is answered; append the duration of the answered one to a list."""
        give_up_at = trio.current_time() + self._retry_seconds
        while True:
            asked_at = trio.current_time()
            try:
                answer = await request()
            except RouterUnreachableError as error:
                self._counters.failures[str(error)] += 1
                if trio.current_time() >= give_up_at:
                    raise
                await trio.sleep(RETRY_SECONDS)
            else:
                if durations is not None:
                    durations.append(trio.current_time() - asked_at)
                return answer
