"""A worker's side of a live task: when the work is taken to be over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio

from mephisto_es.adapters.crowd.bot import speak_in_turn
from mephisto_es.adapters.crowd.live_session import SILENCE_SECONDS, LiveSession
from mephisto_es.adapters.crowd.page_client import AgentReply, PageClient
from mephisto_es.adapters.crowd.page_socket import PagePacket, PageSocket

NAMED: dict[str, Any] = {"task_data": {"agent_display_name": "Speaker 2"}}
ASKED: dict[str, Any] = {"task_data": {"live_update_requested": True}}
DONE: dict[str, Any] = {"task_data": {"task_done": True}}


class SlowTask(PageSocket):
    """The socket of a task whose code sends its updates long after each other."""

    def __init__(self, updates: list[dict[str, Any]]) -> None:
        self.updates = updates
        self.sent: list[dict[str, object]] = []
        self.next_at = trio.current_time()

    async def receive(self, until: float) -> PagePacket | None:
        await trio.sleep_until(min(until, self.next_at if self.updates else until))
        if not self.updates or trio.current_time() < self.next_at:
            return None
        self.next_at = trio.current_time() + 2 * SILENCE_SECONDS
        return PagePacket("client_bound_live_update", data=self.updates.pop(0))

    async def send_update(self, update: dict[str, object]) -> None:
        self.sent.append(update)


class SlowPage(PageClient):
    """The page of such a task."""

    def __init__(self, socket: SlowTask) -> None:
        self.socket = socket

    @asynccontextmanager
    async def connect(self, agent_id: str) -> AsyncIterator[PageSocket]:
        yield self.socket


@pytest.mark.parametrize(
    ("updates", "waits_for_end", "is_over", "left"),
    [
        ([NAMED, ASKED, ASKED, DONE], True, True, 0),
        ([ASKED, NAMED, ASKED, DONE], False, True, 0),  # it is asked as in a chat, so it waits for the end
        ([NAMED, DONE], False, True, 1),  # code that is silent without a word of the end
        ([ASKED], True, False, 0),  # a chat that never ends gives nothing to submit
    ],
)
async def test_a_chat_is_written_until_its_code_says_that_it_is_over(
    autojump_clock: trio.abc.Clock,
    updates: list[dict[str, Any]],
    waits_for_end: bool,
    is_over: bool,
    left: int,
) -> None:
    socket, chance, asked = SlowTask(list(updates)), Random(1), updates.count(ASKED)
    session = LiveSession(
        SlowPage(socket),
        AgentReply(agent_id="a"),
        lambda update: speak_in_turn(update, chance),
        lambda: 0.0,
        waits_for_end=waits_for_end,
    )
    assert await session.follow() is is_over
    assert (len(socket.updates), len(socket.sent)) == (left, asked)
