"""Honest workers of a router, who are measured, and an operator who gives each of them a unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from .harness import PATIENCE_SECONDS, Headers, OperatorLink, RouterHarness


class HonestWorkers:
    """Workers who ask for a unit, submit it, and leave; the operator commits at once.

    Attributes:
        seconds: how long each visit took.
    """

    def __init__(self, harness: RouterHarness, operator: OperatorLink) -> None:
        self._harness = harness
        self._operator = operator
        self.seconds: list[float] = []

    async def serve(self) -> None:
        """Answer requests for work, and acknowledge what was submitted. Never returns."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._acknowledge)
            while True:
                question = await self._operator.expect("register_agent", patience=float("inf"))
                worker = question.data["provider_data"]["worker_name"]
                agent = f"token-of-{worker}" if worker.startswith("honest") else None
                await self._operator.answer(question, agent, status="in task", failure_reason=None if agent else "no")

    async def _acknowledge(self) -> None:
        done = 0
        while True:
            await trio.sleep(0.05)
            numbers = [number for number in self._operator.numbers() if number > done]
            if numbers:
                done = max(numbers)
                await self._operator.ack(done)

    async def visit(self, number: int) -> None:
        """Make one visit; it must succeed."""
        worker, headers = f"honest {number}", {"X-Forwarded-For": f"203.0.113.{number % 200}"}
        began = trio.current_time()
        names = {"worker_name": worker, "agent_registration_id": worker}
        agent = (await self._post("/request_agent", {"provider_data": names}, headers))["data"]["agent_id"]
        assert agent == f"token-of-{worker}"
        answer = await self._post("/submit_task", {"USED_AGENT_ID": agent, "final_data": number}, headers)
        assert answer["status"] == "Submitted!"
        self.seconds.append(trio.current_time() - began)

    async def expect_submission(self, number: int) -> None:
        """Wait until the operator has got what a visit submitted."""
        await self._operator.expect("submit_unit", lambda packet: packet.data["final_data"] == number)

    async def _post(self, path: str, body: object, headers: Headers) -> dict[str, Any]:
        answer = await self._harness.http.post(path, json=body, headers=headers, timeout=2 * PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def rss_bytes(pid: int) -> int:
    """Return the memory that a process has used at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
