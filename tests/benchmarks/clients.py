"""Clients that wait for their commits, side by side: through the ledger, and each with a commit of its own."""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable

import trio

from mephisto_es.adapters.log.commit_thread import commit_in_thread, run_writer
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.ports import NewEvent
from mephisto_es.events.ids import AssignmentId, UnitId
from mephisto_es.events.unit import UnitCreated

from .. import commands
from .peers import Raw
from .workload import Fact


class Clock:
    """The wall clock."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000


async def _appends_in(seconds: float, clients: int, append: Callable[[int], Awaitable[object]]) -> float:
    """Appends a second by clients that append, wait until it is durable, and append again."""
    numbers = itertools.count(1)
    began = time.perf_counter()

    async def client() -> None:
        while time.perf_counter() - began < seconds:
            await append(next(numbers))

    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(client)
    return (next(numbers) - 1) / (time.perf_counter() - began)


async def through_ledger(path: str, clients: int, seconds: float) -> float:
    """Appends a second through `Ledger.execute`: decided, chained, group-committed."""
    with SqliteLog.create_or_open(path) as log:
        ledger = Ledger(log, Clock(), commit_in_thread, commands.TEST_DECISIONS)

        async def append(number: int) -> None:
            event = UnitCreated(unit=UnitId(number), assignment=AssignmentId(number), index=0, pay_cents=25)
            new = NewEvent(f"unit/1/{number}", event)
            await ledger.execute(commands.append(f"{number:016x}", new, actor="operator"))

        async with trio.open_nursery() as nursery:
            await nursery.start(run_writer, ledger)
            rate = await _appends_in(seconds, clients, append)
            nursery.cancel_scope.cancel()
    return rate


async def thread_per_append(path: str, clients: int, seconds: float) -> float:
    """Appends a second where each is a commit of the raw peer in a worker thread."""
    log = Raw(path, "")
    one_at_a_time = trio.CapacityLimiter(1)

    async def append(number: int) -> None:
        fact = Fact(f"unit-{number:07d}", 1, "created", number, "operator", None, "run-00000", None)
        await trio.to_thread.run_sync(log.append_one, fact, limiter=one_at_a_time)

    rate = await _appends_in(seconds, clients, append)
    log.close()
    return rate
