"""Blocks workers through one operator while they ask for work at another: once the block is recorded, all are refused.

`python -m tests.machines.races [RACES]`. Two operators on one PostgreSQL server, each with a copy of its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.composition.clock_and_ids import BlockIds, SystemClock
from mephisto_es.adapters.log.commit_thread import commit_in_thread, run_writer
from mephisto_es.adapters.log.postgres.mirrored import MirroredLog
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.operations.operator import Operator
from mephisto_es.events.ids import WorkerId
from mephisto_es.projections.mephisto_db.projection import MephistoDbProjection

from ..core.operations.operator_harness import HarnessTaskState, ask, config, items
from ..postgres import Cluster, server_programs

#: Races at a time.
AT_ONCE = 8


@asynccontextmanager
async def operator_on(address: str, folder: Path) -> AsyncIterator[Operator]:
    """An operator with a copy in a folder."""
    log = MirroredLog.open(address, folder / "mephisto.db", [MephistoDbProjection()])
    try:
        ledger = Ledger(log, SystemClock(), commit_in_thread)
        async with trio.open_nursery() as nursery:
            await nursery.start(run_writer, ledger)
            ids = BlockIds(ledger.state.highest_ids(), log.epoch, log.server_log.reserve)
            yield Operator(ledger, ids, SystemClock(), folder / "runs", nursery)
            nursery.cancel_scope.cancel()
    finally:
        log.close()


class Races:
    """The races of one run, and what they came to."""

    def __init__(self, blocker: Operator, router: MemoryRouter) -> None:
        self._blocker = blocker
        self._router = router
        #: Of those who asked while they were being blocked: how many got work, and how many were refused.
        self.got_work = 0
        self.refused = 0
        #: Of those who asked once the block was recorded: how many got work all the same.
        self.too_late = 0

    async def play(self, name: str) -> None:
        """Let a worker come, and block them while they ask again; then let them ask once more."""
        first = await ask(self._router, name, 0)
        await self._blocker.ledger.refresh()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask_meanwhile, name)
            await self._blocker.reviewer().block_worker(WorkerId(int(first["worker_id"])), "spam")
        self.too_late += (await ask(self._router, name, 2))["agent_id"] is not None

    async def _ask_meanwhile(self, name: str) -> None:
        if (await ask(self._router, name, 1))["agent_id"] is None:
            self.refused += 1
        else:
            self.got_work += 1


async def race(address: str, folder: Path, number: int) -> Races:
    """Play all races."""
    async with operator_on(address, folder / "a") as one, operator_on(address, folder / "b") as other:
        run = await other.launch_task_run_or_die(config(), HarnessTaskState(data=items(3 * number)))
        races = Races(one, MemoryArchitect.routers[other.get_running_task_runs()[run].task_run])
        at_once = trio.CapacityLimiter(AT_ONCE)

        async def play(name: str) -> None:
            async with at_once:
                await races.play(name)

        async with trio.open_nursery() as nursery:
            for each in range(number):
                nursery.start_soon(play, f"worker {each}")
        return races


def main(number: int) -> int:
    """Race on a server of its own; return the exit code."""
    programs = server_programs()
    cluster = Cluster.make(programs)
    try:
        with tempfile.TemporaryDirectory(prefix="mephisto-races-") as folder:
            for name in ("a", "b"):
                (Path(folder) / name).mkdir()
            races = trio.run(race, cluster.new_database(), Path(folder), number)
    finally:
        cluster.stop(programs)
    found = {"races": number, "got work meanwhile": races.got_work, "refused meanwhile": races.refused}
    print(json.dumps({**found, "got work after the block": races.too_late}))  # noqa: T201 - this is a program
    return 1 if races.too_late else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
