"""Every way to stop an operator, in every scene, with each router, which survives or dies too.

A pass launches a run, stops its operator at a moment of the scene, starts it again, and lets the crowd finish. Nothing
may be done twice, nothing may expire, no page may be lost, and the log must be legal.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, closing, suppress
from itertools import product
from pathlib import Path
from random import Random
from typing import NamedTuple

import trio

from mephisto_es.adapters.architects.router.process import wait_for_end
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.crowd.bot import draw_bots
from mephisto_es.adapters.crowd.crowd import Crowd
from mephisto_es.adapters.crowd.torture_job import CHAT_MESSAGES, rate
from mephisto_es.adapters.log.feed import FileCommits, LogFeed
from mephisto_es.adapters.log.sqlite import schema
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.events.agent import AgentAccepted, AgentObserved, AgentStarted
from mephisto_es.events.base import Event
from mephisto_es.events.onboarding import OnboardingStarted
from mephisto_es.events.task_run import TaskRunCreated, TaskRunWentLive
from mephisto_es.events.unit import UnitExpired

from ..processes import OperatorProcess, end_routers, operator_process, report_of, routers_of, status_of_run
from .job import CHATS, SENTENCES

#: The event at which the operator is stopped in each scene.
MOMENTS: dict[str, type[Event]] = {
    "idle": TaskRunWentLive,
    "static page": AgentStarted,
    "onboarding": OnboardingStarted,
    "pair chat": AgentObserved,
}
STOPS = ("term", "int", "int twice", "int thrice", "patience", "kill", "term and kill")
ROUTERS = ("python", "node")
#: Seconds without a submission after which the run is paused, in passes about that; otherwise as good as never.
PATIENCE = {True: "1", False: "100000"}
#: Seconds between two Ctrl-C.
BETWEEN_SECONDS = 0.4
#: Seconds in which an operator that is asked to end must have ended: three on a machine with nothing else to do.
EXIT_SECONDS = 90.0
PASS_SECONDS = 240.0


class Cell(NamedTuple):
    """One pass."""

    stop: str
    scene: str
    router: str
    router_dies: bool

    def __str__(self) -> str:
        return f"{self.stop}, {self.scene}, {self.router} router {'dies too' if self.router_dies else 'survives'}"


def every_cell() -> list[Cell]:
    return [Cell(*cell) for cell in product(STOPS, MOMENTS, ROUTERS, (False, True))]


def pairwise_cells() -> Iterator[Cell]:
    """Yield few cells in which each stop meets each router, and each scene meets each fate of the router."""
    scenes = list(MOMENTS)
    for number, stop in enumerate(STOPS):
        yield Cell(stop, scenes[number % len(scenes)], ROUTERS[number % 2], number // 2 % 2 == 1)


async def run_cell(cell: Cell, data_dir: Path) -> None:
    """Run a pass; an assertion fails if it does not end as it has to."""
    units = 2 * CHATS if cell.scene == "pair chat" else SENTENCES
    try:
        with trio.fail_after(PASS_SECONDS):
            async with trio.open_nursery() as nursery:
                async with started(cell, data_dir, first=True) as operator:
                    crowd = crowd_at(operator.url, cell)
                    if cell.scene != "idle":
                        nursery.start_soon(crowd.run)
                    await moment_of(data_dir, MOMENTS[cell.scene])
                    await stop(operator, cell.stop)
                if cell.stop not in ("int thrice", "kill", "term and kill"):
                    assert status_of_run(data_dir) == "paused"
                if cell.router_dies:
                    for router in routers_of(data_dir):
                        with suppress(ProcessLookupError):
                            os.kill(router, signal.SIGKILL)
                async with started(cell, data_dir, first=False) as again:
                    assert again.url == operator.url
                    if cell.scene == "idle":
                        nursery.start_soon(crowd.run)
                    assert await again.process.wait() == 0
                nursery.cancel_scope.cancel()
        await check(data_dir, cell, units, crowd)
    finally:
        end_routers(data_dir)


def started(cell: Cell, data_dir: Path, *, first: bool) -> AbstractAsyncContextManager[OperatorProcess]:
    patience = PATIENCE[first and cell.stop == "patience"]
    module = "mephisto_es.tests.pauses.job"
    return operator_process([sys.executable, "-m", module, str(data_dir), cell.scene, cell.router, patience])


def crowd_at(url: str, cell: Cell) -> Crowd:
    """Return a crowd that stays whatever becomes of the operator; slow, if the run is to lose its patience."""
    is_chat = cell.scene == "pair chat"
    bots = draw_bots(
        Random(7),
        4,
        rate,
        returning=0,
        disconnecting=0,
        think_seconds=2.5 if cell.stop == "patience" else 1.0,
        chat_messages=CHAT_MESSAGES if is_chat else 0,
    )
    return Crowd(url, bots, patience_seconds=PASS_SECONDS, retry_seconds=PASS_SECONDS)


async def moment_of(data_dir: Path, kind: type[Event]) -> None:
    """Wait until an event of a kind is in the log."""
    path = data_dir / DATABASE_FILE
    with LogReader(path) as log, closing(schema.connect_read_only(path)) as db:
        commits, feed = FileCommits(db), LogFeed(log)
        while True:
            while piece := feed.read_piece():
                if any(isinstance(recorded.envelope.event, kind) for recorded in piece):
                    return
            await commits.wait()


async def stop(operator: OperatorProcess, how: str) -> None:
    """Stop an operator, and wait until it has ended."""
    process = operator.process
    match how:
        case "term":
            process.terminate()
            with trio.fail_after(EXIT_SECONDS):
                await process.wait()
        case "kill":
            process.kill()
        case "term and kill":
            process.terminate()
            await trio.sleep(0.02)
            process.kill()
        case "int" | "int twice" | "int thrice":
            for _ in range({"int": 1, "int twice": 2, "int thrice": 3}[how]):
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                with trio.move_on_after(BETWEEN_SECONDS):
                    await process.wait()
    await process.wait()


async def check(data_dir: Path, cell: Cell, units: int, crowd: Crowd) -> None:
    report = report_of(data_dir)
    assert report.legal, report.findings
    assert report.units == {"completed": units}
    # What somebody submits whose work was taken away by the second Ctrl-C is late, and somebody else does the unit.
    is_taken_away = cell.stop in ("int twice", "int thrice")
    assert crowd.summary().submissions >= units if is_taken_away else crowd.summary().submissions == units
    with LogReader(data_dir / DATABASE_FILE) as log:
        kinds = Counter(type(recorded.envelope.event) for recorded in log.read())
    assert kinds[TaskRunCreated] == 1
    assert kinds[UnitExpired] == 0
    assert kinds[AgentAccepted] >= units
    for router in routers_of(data_dir):
        await wait_for_end(router)
