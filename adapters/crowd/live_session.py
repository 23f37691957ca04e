"""Plays one worker's side of a live task whose code leads: the worker replies to the code's updates."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import trio

from ...core.lifecycles.agent import LIVE_AGENT_STATUSES, AgentStatus
from .page_client import AgentReply, PageClient
from .page_socket import SocketLostError

#: A task whose code says nothing for this long, while nobody is waited for, is submitted as it is.
SILENCE_SECONDS = 5.0
#: The longest time that a worker waits for a partner, or for the end of a chat.
PARTNER_SECONDS = 60.0
#: Names under which the code of live tasks says that there is nothing more to do.
_ENDINGS = ("task_done", "is_over", "is_done")


def is_live(init_task_data: object) -> bool:
    """Return True if a page's data shows that the task's code talks to the page."""
    return isinstance(init_task_data, dict) and "past_live_updates" in init_task_data


class LiveSession:
    """Replies to the updates of the task's code until it is done.

    Args:
        page: the worker's page.
        answer: the page's answer when it asked for the agent.
        reply: returns what the worker sends after an update; None for nothing.
        pause: returns the seconds before a reply.
        waits_for_end: True to submit nothing before the code says that it is over, or the partner has left.
    """

    def __init__(
        self,
        page: PageClient,
        answer: AgentReply,
        reply: Callable[[dict[str, Any]], dict[str, object] | None],
        pause: Callable[[], float],
        *,
        waits_for_end: bool = False,
    ) -> None:
        self._page = page
        self._agent = answer.agent_id or ""
        self._reply = reply
        self._pause = pause
        self._waits_for_end = waits_for_end
        self._sent = 0

    async def follow(self) -> bool:
        """Follow the task's code; return False if the work has ended and there is nothing to submit.

        Raises:
            RouterUnreachableError: no connection can be made.
        """
        with suppress(SocketLostError):
            return await self._follow()
        return False

    async def _follow(self) -> bool:
        waits_for_partner = False
        async with self._page.connect(self._agent) as socket:
            while True:
                waits = waits_for_partner or self._waits_for_end
                silence = PARTNER_SECONDS if waits else SILENCE_SECONDS
                packet = await socket.receive(trio.current_time() + silence)
                if packet is None:
                    return not waits
                if packet.packet_type == "update_status":
                    status = AgentStatus(str(packet.data.get("status")))
                    waits_for_partner = status is AgentStatus.WAITING
                    if status is AgentStatus.PARTNER_DISCONNECT:
                        return True
                    if status not in LIVE_AGENT_STATUSES:
                        return False
                elif packet.packet_type == "client_bound_live_update":
                    if _is_end(packet.data):
                        return True
                    self._waits_for_end = self._waits_for_end or _gives_turn(packet.data)
                    reply = self._reply(packet.data)
                    if reply is not None:
                        await trio.sleep(self._pause())
                        self._sent += 1
                        await socket.send_update({"update_id": f"{self._agent}-{self._sent}", **reply})


def _is_end(update: dict[str, object]) -> bool:
    task_data = update.get("task_data")
    said = {**update, **task_data} if isinstance(task_data, dict) else update
    return any(bool(said.get(name)) for name in _ENDINGS)


def _gives_turn(update: dict[str, object]) -> bool:
    """Return whether an update gives a turn as Mephisto's chats do, whose code also says when they are over."""
    task_data = update.get("task_data")
    return isinstance(task_data, dict) and bool(task_data.get("live_update_requested"))
