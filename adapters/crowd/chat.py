"""Plays one worker's side of a chat."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import msgspec
import trio

from ...core.lifecycles.agent import LIVE_AGENT_STATUSES, AgentStatus
from .page_client import AgentReply, PageClient
from .page_socket import PageSocket

#: The sender of messages that no worker wrote.
HOST = "Host"


class ChatTranscript(msgspec.Struct, frozen=True):
    """The submission for a chat: the messages of both sides, in order."""

    sent: tuple[str, ...]
    received: tuple[str, ...]


class _PastUpdates(msgspec.Struct, frozen=True):
    past_live_updates: list[dict[str, object]] = []


_decode_past = msgspec.json.Decoder(_PastUpdates).decode


class ChatSession:
    """Sends a worker's messages and collects the partner's.

    Args:
        page: the worker's page.
        answer: the page's answer when it asked for the agent.
        messages: how many messages the worker sends.
        pause: returns the seconds before the next message.
    """

    def __init__(self, page: PageClient, answer: AgentReply, messages: int, pause: Callable[[], float]) -> None:
        self._page = page
        self._agent = answer.agent_id or ""
        self._messages = messages
        self._pause = pause
        self._first_answer: AgentReply | None = answer
        self._sent: list[str] = []
        self._received: dict[object, str] = {}
        self._is_over = False
        self._may_send = False

    async def finish_chat(self) -> ChatTranscript | None:
        """Chat until the chat is over or the partner has left.

        Returns:
            The transcript to submit; None if there is nothing to submit.

        Raises:
            RouterUnreachableError: no connection can be made.
            SocketLostError: the connection was lost. Another call reloads the page, which shows the messages so far; a
                message that is missing was lost and is sent again.
        """
        answer, self._first_answer = self._first_answer, None
        self._load(answer or await self._page.request_agent())
        async with self._page.connect(self._agent) as socket:
            return await self._exchange(socket)

    def _load(self, answer: AgentReply) -> None:
        """Take the messages that the page shows after loading."""
        past = _decode_past(answer.init_task_data) if answer.agent_id == self._agent else _PastUpdates()
        self._sent = []
        self._received = {}
        self._take(past.past_live_updates)

    def _take(self, updates: Iterable[dict[str, object]]) -> None:
        for update in updates:
            text, sender = update.get("text"), update.get("id")
            task_data = update.get("task_data")
            if isinstance(text, str) and sender is None:
                self._sent.append(text)
            elif isinstance(text, str) and sender != HOST:
                self._received.setdefault(update.get("update_id"), text)
            self._is_over = self._is_over or (isinstance(task_data, dict) and bool(task_data.get("task_done")))

    async def _exchange(self, socket: PageSocket) -> ChatTranscript | None:
        send_next_at = trio.current_time() + self._pause()
        while not self._is_over:
            has_more = self._may_send and len(self._sent) < self._messages
            packet = await socket.receive(send_next_at if has_more else math.inf)
            if packet is None:
                await self._send_next(socket)
                send_next_at = trio.current_time() + self._pause()
            elif packet.packet_type == "client_bound_live_update":
                self._take([packet.data])
            elif packet.packet_type == "update_status":
                status = AgentStatus(str(packet.data.get("status")))
                if status is AgentStatus.PARTNER_DISCONNECT:
                    break
                if status not in LIVE_AGENT_STATUSES:
                    return None
                self._may_send = status is AgentStatus.IN_TASK
        return ChatTranscript(tuple(self._sent), tuple(self._received.values()))

    async def _send_next(self, socket: PageSocket) -> None:
        # A message that is sent again has the same id, so it is recorded once.
        number = len(self._sent) + 1
        text = f"{self._agent} {number}"
        await socket.send_update({"text": text, "update_id": f"{self._agent}-{number}"})
        self._sent.append(text)
