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
from .bot import Bot
from .chat import ChatSession
from .live_session import LiveSession, is_live
from .page_client import AgentReply, PageClient, Visit
from .page_socket import RouterUnreachableError, SocketLostError
from .summary import CrowdCounters, SentSubmission

#: The minimum and maximum wait after a visit without work.
REVISIT_SECONDS = (1.0, 3.0)
#: The interval between retries of a request that failed temporarily, and the default time after which they stop.
RETRY_SECONDS = 0.25
RETRY_LIMIT_SECONDS = 30.0
#: The variation of a worker's times for single units: the standard deviation of their logarithm.
UNEVENNESS = 0.3
#: How long a worker who lets the time of a unit run out waits for that.
TIME_OUT_SECONDS = 60.0

T = TypeVar("T")


class _Outcome(Enum):
    WORKED = auto()
    NOTHING = auto()
    LEFT = auto()


class SimulatedWorker:
    """One worker with a browser.

    Args:
        bot: the worker's answers and habits.
        client: the browser; its base URL is the router's.
        now: returns seconds since the epoch, by the worker's clock.
        counters: the crowd's counters.
        retry_seconds: the time during which a request that fails temporarily is retried.
        before_submission: awaited before each submission.
    """

    def __init__(
        self,
        bot: Bot,
        client: httpx.AsyncClient,
        now: Callable[[], float],
        counters: CrowdCounters,
        retry_seconds: float,
        before_submission: Callable[[], Awaitable[None]],
    ) -> None:
        self._bot = bot
        self._client = client
        self._now = now
        self._counters = counters
        self._retry_seconds = retry_seconds
        self._before_submission = before_submission
        self._chance = Random(bot.seed)
        #: The number of units the worker has had.
        self._units = 0
        #: True while the router has answered nothing since a failure that was counted.
        self._is_cut_off = False

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
        visit = Visit(self._bot.name, f"{self._chance.getrandbits(48):012x}")
        page = PageClient(self._client, visit, self._now)
        await self._retry(page.load)
        answer = await self._get_agent(page)
        if answer.agent_id is None:
            self._counters.refusals[answer.failure_reason or "no reason given"] += 1
            return _Outcome.NOTHING
        return await self._do_unit(page, answer, answer.agent_id)

    async def _get_agent(self, page: PageClient) -> AgentReply:
        answer = await self._retry(page.request_agent, self._counters.request_agent_seconds)
        if answer.needs_consent:
            answer = await self._retry(page.agree)
        onboarding = answer.agent_id
        if onboarding is None or not answer.is_onboarding:
            return answer
        submission = self._bot.answer_onboarding(msgspec.json.decode(answer.init_task_data), self._chance)
        return await self._retry(lambda: page.submit_onboarding(onboarding, submission))

    async def _do_unit(self, page: PageClient, answer: AgentReply, agent: str) -> _Outcome:
        self._units += 1
        if self._units == self._bot.disconnects_on_unit:
            await self._retry(partial(page.stay_connected, agent, self._draw_seconds()))
            self._counters.disconnected += 1
            return _Outcome.LEFT
        if self._units == self._bot.returns_unit:
            await trio.sleep(self._draw_seconds())
            await self._retry(partial(page.return_task, agent))
            self._counters.returned += 1
            return _Outcome.WORKED
        if self._units == self._bot.times_out_on_unit:
            await self._retry(partial(page.stay_connected, agent, TIME_OUT_SECONDS, until_ended=True))
            self._counters.timed_out += 1
        elif self._units == self._bot.reloads_on_unit:
            await self._reload(page, agent)
        work = await self._work(page, answer)
        if work is not None:
            await self._before_submission()
            await self._submit(page, agent, work)
            return _Outcome.WORKED
        if not self._bot.chat_messages:
            await self._retry(partial(page.return_task, agent))
        return _Outcome.NOTHING

    async def _reload(self, page: PageClient, agent: str) -> None:
        """Leave the page in the middle of the work, and open it again."""
        await trio.sleep(self._draw_seconds())
        await self._retry(page.load)
        again = await self._retry(page.request_agent)
        self._counters.reloaded += 1
        if again.agent_id != agent:
            raise ProtocolError("a page that was loaded again got other work")

    async def _work(self, page: PageClient, answer: AgentReply) -> object | None:
        """Return the work for a unit; None if there is nothing to submit."""
        if self._bot.chat_messages:
            return await self._chat(page, answer)
        data = msgspec.json.decode(answer.init_task_data)
        if is_live(data):
            bot, chance = self._bot, self._chance
            live = LiveSession(
                page,
                answer,
                lambda update: bot.reply(update, chance),
                self._draw_seconds,
                waits_for_end=bot.waits_for_end,
            )
            if not await self._retry(live.follow):
                return None
        else:
            await trio.sleep(self._draw_seconds())
        return self._bot.answer(data, self._chance)

    async def _chat(self, page: PageClient, answer: AgentReply) -> object | None:
        """Chat until the chat is over, reconnecting as often as needed, unless the router stays unreachable."""
        chat = ChatSession(page, answer, self._bot.chat_messages, self._draw_seconds)
        while True:
            try:
                return await self._retry(chat.finish_chat)
            except SocketLostError as error:
                self._counters.failures[str(error)] += 1
                await trio.sleep(RETRY_SECONDS)

    async def _submit(self, page: PageClient, agent: str, work: object) -> None:
        submission = self._counters.submissions[agent] = SentSubmission(work)
        send = partial(self._send, page, agent, submission)
        async with trio.open_nursery() as nursery:
            if self._bot.double_clicks:
                self._counters.double_clicked += 1
                nursery.start_soon(self._send_again, send)
            await self._retry(send, self._counters.submit_task_seconds)

    async def _send_again(self, send: Callable[[], Awaitable[None]]) -> None:
        """Send a submission a second time; it matters only that the first one arrives."""
        try:
            await send()
        except ProtocolError as error:
            self._counters.failures[str(error)] += 1

    async def _send(self, page: PageClient, agent: str, submission: SentSubmission) -> None:
        submission.times_sent += 1
        # Whoever ends the crowd because the last work has arrived does not cut off the answer to it.
        with trio.CancelScope(shield=True):
            await page.submit_task(agent, submission.work)
        if not submission.is_acknowledged:
            submission.is_acknowledged = True
            self._counters.submitted()

    def _draw_seconds(self) -> float:
        """Return the time that the worker takes for the next unit or message."""
        return self._chance.lognormvariate(math.log(self._bot.think_seconds), UNEVENNESS)

    async def _retry(self, request: Callable[[], Awaitable[T]], durations: list[float] | None = None) -> T:
        """Repeat a request until it is answered; append the duration of the answered one to a list."""
        give_up_at = trio.current_time() + self._retry_seconds
        while True:
            asked_at = trio.current_time()
            try:
                answer = await request()
            except RouterUnreachableError as error:
                if not self._is_cut_off:
                    self._counters.failures[str(error)] += 1
                    self._is_cut_off = True
                if trio.current_time() >= give_up_at:
                    raise
                await trio.sleep(RETRY_SECONDS)
            else:
                self._is_cut_off = False
                if durations is not None:
                    durations.append(trio.current_time() - asked_at)
                return answer
