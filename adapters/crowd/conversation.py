"""A worker's part in a chat."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import msgspec
import trio

from ...core.lifecycles.agent import LIVE_AGENT_STATUSES, AgentStatus
from .page import AssignedAgent, WorkerPage
from .page_socket import PageSocket

#: Who says what no worker said; a partner is called otherwise.
HOST = "Host"


class Chatted(msgspec.Struct, frozen=True):
    """What a worker hands in for a chat: both sides of it, in order."""

    said: tuple[str, ...]
    heard: tuple[str, ...]


class _Past(msgspec.Struct, frozen=True):
    past_live_updates: list[dict[str, object]] = []


_decode_past = msgspec.json.Decoder(_Past).decode


class Conversation:
    """Says its lines, and hears the partner's.

    Args:
        page: the worker's.
        details: what it was told when it asked for the agent.
        lines: how many messages the worker writes.
        pause: seconds before the next of them.
    """

    def __init__(self, page: WorkerPage, details: AssignedAgent, lines: int, pause: Callable[[], float]) -> None:
        self._page = page
        self._agent = details.agent_id or ""
        self._lines = lines
        self._pause = pause
        self._details: AssignedAgent | None = details
        self._said: list[str] = []
        self._heard: dict[object, str] = {}
        self._is_over = False
        self._may_speak = False

    async def hold(self) -> Chatted | None:
        """Chat until it is over, or the partner has left; None: there is nothing to hand in.

        Raises:
            RouterUnreachableError: there is no connection to be had.
            SocketLostError: it is lost. Called again, the page is loaded anew and shows what was said; a line
                that is not there was lost, and is said again.
        """
        details, self._details = self._details, None
        self._read(details or await self._page.request_agent())
        async with self._page.connect(self._agent) as socket:
            return await self._talk(socket)

    def _read(self, details: AssignedAgent) -> None:
        """Take what the page shows when it is loaded."""
        past = _decode_past(details.init_task_data) if details.agent_id == self._agent else _Past()
        self._said = []
        self._heard = {}
        self._take(past.past_live_updates)

    def _take(self, updates: Iterable[dict[str, object]]) -> None:
        for update in updates:
            text, speaker = update.get("text"), update.get("id")
            task_data = update.get("task_data")
            if isinstance(text, str) and speaker is None:
                self._said.append(text)
            elif isinstance(text, str) and speaker != HOST:
                self._heard.setdefault(update.get("update_id"), text)
            self._is_over = self._is_over or (isinstance(task_data, dict) and bool(task_data.get("task_done")))

    async def _talk(self, socket: PageSocket) -> Chatted | None:
        next_line_at = trio.current_time() + self._pause()
        while not self._is_over:
            has_more = self._may_speak and len(self._said) < self._lines
            packet = await socket.hear(next_line_at if has_more else math.inf)
            if packet is None:
                await self._say_next(socket)
                next_line_at = trio.current_time() + self._pause()
            elif packet.packet_type == "client_bound_live_update":
                self._take([packet.data])
            elif packet.packet_type == "update_status":
                status = AgentStatus(str(packet.data.get("status")))
                if status is AgentStatus.PARTNER_DISCONNECT:
                    break
                if status not in LIVE_AGENT_STATUSES:
                    return None
                self._may_speak = status is AgentStatus.IN_TASK
        return Chatted(tuple(self._said), tuple(self._heard.values()))

    async def _say_next(self, socket: PageSocket) -> None:
        # The same line has the same id whenever it is said, so that it arrives once.
        number = len(self._said) + 1
        line = f"{self._agent} {number}"
        await socket.say({"text": line, "update_id": f"{self._agent}-{number}"})
        self._said.append(line)
