"""An operator in a process of its own, with a router in memory, that plays visits or launches when it is told to.

The log is the real one, a file with its views; so are operator, ledger, decisions and the views. What is told arrives
as lines of JSON on standard input, and is answered by one line each.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import trio

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.core.operations.operator import Operator
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.unit import UnitCompleted
from mephisto_es.tests.benchmarks.launching import launch, open_bench_operator
from mephisto_es.tests.benchmarks.processes import answer, resident_mib, standard_input
from mephisto_es.tests.core.operations.operator_harness import HarnessTaskState, config, items, page_of

#: What a worker hands in, in bytes.
SUBMISSION_BYTES = 200
#: A run whose units are nearly used up is replaced by a new one of the same size.
UNITS_KEPT = 0.5


class BenchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Work for the server: each field that is not zero is done, in order."""

    #: Workers who come one after the other, each new, and work on a unit.
    visits: int = 0
    #: Workers who come all at once and stay; they are not measured.
    stay: int = 0
    #: Workers who come one after the other and stay.
    come: int = 0


class BenchReply(msgspec.Struct):
    """Measurements of one request."""

    #: Of the last launch, until all units were on offer.
    launch_seconds: float = 0
    #: Of each request for an agent, until it was answered.
    registration_seconds: list[float] = []
    #: Of the whole process.
    cpu_seconds: float = 0
    wall_seconds: float = 0
    resident_mib: float = 0


class BenchServer:
    """Plays workers of one run after the other."""

    def __init__(self, operator: Operator, units: int) -> None:
        self._operator = operator
        self._units = units
        self._left = 0
        self._launch_seconds = 0.0
        self._workers = 0
        self._router = MemoryRouter("none yet")
        self._completed, self._news = trio.open_memory_channel[None](1_000_000)
        operator.ledger.subscribe(self._on_committed)

    async def do(self, request: BenchRequest) -> BenchReply:
        """Do the work of a request and measure it."""
        reply = BenchReply()
        await self._have_units(request.visits + request.stay + request.come)
        await self._crowd(request.stay)
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(request.visits):
            agent = await self._come(reply)
            self._router.submit_task(agent, {"answer": "x" * SUBMISSION_BYTES})
            await self._news.receive()
        for _ in range(request.come):
            await self._come(reply)
        reply.cpu_seconds, reply.wall_seconds = time.process_time() - cpu, time.perf_counter() - wall
        reply.launch_seconds, reply.resident_mib = self._launch_seconds, resident_mib()
        return reply

    async def _come(self, reply: BenchReply) -> str:
        began = time.perf_counter()
        details = await self._ask()
        reply.registration_seconds.append(time.perf_counter() - began)
        return str(details["agent_id"])

    async def _ask(self) -> dict[str, Any]:
        self._workers += 1
        self._left -= 1
        details = await self._router.request_agent(page_of(f"worker-{self._workers}"))
        if details["agent_id"] is None:
            raise AssertionError(f"no agent: {details['failure_reason']}")
        return details

    async def _crowd(self, count: int) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(self._ask)

    async def _have_units(self, wanted: int) -> None:
        if self._left - wanted < self._units * UNITS_KEPT:
            await self._operator.force_shutdown()
            began = time.perf_counter()
            live_run = await launch(self._operator, config(), HarnessTaskState(data=items(self._units)), self._units)
            self._launch_seconds = time.perf_counter() - began
            self._router = MemoryArchitect.routers[live_run.task_run]
            self._left = self._units

    def _on_committed(self, events: Sequence[RecordedEvent]) -> None:
        for recorded in events:
            if isinstance(recorded.envelope.event, UnitCompleted):
                self._completed.send_nowait(None)


async def serve(units: int) -> None:
    """Answer requests until standard input ends."""
    async with open_bench_operator() as bench:
        server = BenchServer(bench.operator, units)
        async for line in standard_input():
            answer(await server.do(msgspec.json.decode(line, type=BenchRequest)))


if __name__ == "__main__":
    trio.run(serve, int(sys.argv[1]))
