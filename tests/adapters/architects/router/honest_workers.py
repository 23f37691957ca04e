"""Honest workers of a router, who are measured, and an operator who gives each of them a unit."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import trio

from ....benchmarks.visitors import Browser
from .harness import Inbox, OperatorLink, Packet

#: Seconds between two acknowledgements of what was submitted.
_ACK_SECONDS = 0.05


class WorkInbox(Inbox):
    """Sorts what arrives for an operator, in a time that does not depend on what has arrived before.

    Attributes:
        questions: requests for agents, in order.
        submitted: what workers submitted.
        last_seq: the number of the last packet that waits for its acknowledgement; 0: none came.
    """

    def __init__(self) -> None:
        super().__init__()
        self._asked, self.questions = trio.open_memory_channel[Packet](math.inf)
        self.submitted: set[int | str] = set()
        self.last_seq = 0
        self._news = trio.Event()

    def put(self, packet: Packet) -> None:
        self.last_seq = max(self.last_seq, packet.seq or 0)
        match packet.packet_type:
            case "register_agent":
                self._asked.send_nowait(packet)
            case "submit_unit":
                self.submitted.add(packet.data["final_data"])
                self._news.set()
            case _:
                super().put(packet)

    async def wait_submitted(self, count: int) -> None:
        """Wait until so much was submitted."""
        while len(self.submitted) < count:
            self._news = trio.Event()
            await self._news.wait()


class _Details(msgspec.Struct):
    agent_id: str | None


class _Agent(msgspec.Struct):
    data: _Details


class HonestWorkers:
    """Workers who ask for a unit, submit it, and leave; the operator commits at once.

    Attributes:
        inbox: what has arrived at the operator.
        seconds: how long each visit took.
    """

    def __init__(self, url: str, operator: OperatorLink) -> None:
        self._url = url
        self._operator = operator
        self.inbox = operator.inbox = WorkInbox()
        self.seconds: list[float] = []

    async def serve(self) -> None:
        """Answer requests for work, and acknowledge what was submitted. Never returns."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._acknowledge)
            async for question in self.inbox.questions:
                worker = question.data["provider_data"]["worker_name"]
                agent = f"token-of-{worker}" if worker.startswith("honest") else None
                await self._operator.answer(question, agent, status="in task", failure_reason=None if agent else "no")

    async def _acknowledge(self) -> None:
        done = 0
        while True:
            await trio.sleep(_ACK_SECONDS)
            if self.inbox.last_seq > done:
                done = self.inbox.last_seq
                await self._operator.ack(done)

    async def visit(self, number: int, due: float | None = None) -> None:
        """Make one visit; it must succeed.

        Args:
            number: tells it from others.
            due: when the worker wanted to come, on trio's clock; now by default.
        """
        began = trio.current_time() if due is None else due
        worker, address = f"honest {number}", f"198.18.{number // 250 % 250}.{number % 250}"
        browser = Browser(self._url, f"X-Forwarded-For: {address}\r\n")
        try:
            names = {"worker_name": worker, "agent_registration_id": worker}
            answer = await browser.request("POST", "/request_agent", {"provider_data": names})
            agent = msgspec.json.decode(answer, type=_Agent).data.agent_id
            assert agent == f"token-of-{worker}"
            answer = await browser.request("POST", "/submit_task", {"USED_AGENT_ID": agent, "final_data": number})
            assert answer == b'{"status":"Submitted!"}'
        finally:
            await browser.close()
        self.seconds.append(trio.current_time() - began)


def rss_bytes(pid: int) -> int:
    """Return the memory that a process has used at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
