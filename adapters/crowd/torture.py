"""An operator that is killed again and again while a crowd works, and what becomes of its job."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from subprocess import PIPE

import msgspec
import trio
from msgspec.structs import replace

from ...core.signal import Signal
from ..architects.router.process import RouterProcess
from ..composition.data_dir import RUNS_FOLDER
from .crowd import Crowd
from .outcome_check import Ending, take_stock
from .plan import WorkerPlan, plan_crowd
from .summary import HandedIn
from .torture_job import CHAT, CHAT_LINES, RATING, Job, rate

#: A pass that takes longer is stuck.
PASS_SECONDS = 600.0
#: Random kills come as soon as this share of the work is done, at the latest.
LAST_KILL_AT = 0.85
#: A random kill comes so long after a worker was told that work has arrived, at most.
KILL_DELAY_SECONDS = 0.5
THINK_SECONDS = 0.4
#: Among so many one closes the page for good, which takes a while to be noticed.
LARGE_CROWD = 8
#: An operator that failed is quoted up to here.
QUOTE_LENGTH = 500
LOG_FILE = "operator.log"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How often and when the operator of a pass is killed."""

    name: str
    #: At random moments, so many times.
    kills: int = 0
    #: Once, when this position of the log is durable.
    position: int | None = None
    #: Whether its routers are killed with it.
    with_router: bool = False


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """How a pass went."""

    name: str
    #: Where its log and the operators' own logs are.
    data_dir: str
    operators_killed: int
    routers_killed: int
    seconds: float
    #: What was made of the job; None: it did not come to an end.
    ending: Ending | None
    #: What is wrong, or not as without kills.
    faults: tuple[str, ...]


class Torture:
    """A job, the crowd that does it, and where.

    Args:
        job: what there is to do.
        workers: how many people there are; they are parted among the tasks.
        seed: what the crowd's habits and random kills are drawn from.
        folder: gets a folder for each pass.
    """

    def __init__(self, job: Job, workers: int, seed: int, folder: Path) -> None:
        self._job = job
        self._seed = seed
        self._folder = folder
        self._plans = _parted(job, workers, Random(seed))
        self._count = 0

    async def run(self, plan: Plan, calm: Ending | None = None) -> Pass:
        """Run the job once.

        Args:
            plan: when the operator is killed.
            calm: how the job ended when nobody was killed.
        """
        data_dir = self._folder / f"pass-{self._count:04}"
        self._count += 1
        chance = Random(f"{self._seed}/{plan.name}")
        job = replace(self._job, dies_at=plan.position)
        began_at = trio.current_time()
        ordeal = _Ordeal(job, plan, chance, self._plans, data_dir)
        await ordeal.run()
        ending = None if ordeal.failure else await take_stock(data_dir, ordeal.handed_in)
        faults = [ordeal.failure] if ordeal.failure else []
        if ending is not None:
            faults += [*ending.faults(), *(ending.differences(calm) if calm else ())]
        return Pass(
            name=plan.name,
            data_dir=str(data_dir),
            operators_killed=ordeal.operators_killed,
            routers_killed=ordeal.routers_killed,
            seconds=round(trio.current_time() - began_at, 1),
            ending=ending,
            faults=tuple(faults),
        )


def _parted(job: Job, workers: int, chance: Random) -> dict[str, tuple[WorkerPlan, ...]]:
    """The people of each task: an even number chats, and nobody leaves a chat."""
    chatting = min(2 * job.chats, workers // 4 * 2)
    rating = workers - chatting
    leavers = 1 if rating >= LARGE_CROWD else 0
    return {
        CHAT: plan_crowd(chance, chatting, returning=0, disconnecting=0, think_seconds=THINK_SECONDS),
        RATING: plan_crowd(chance, rating, disconnecting=leavers, think_seconds=THINK_SECONDS),
    }


class _Ordeal:
    """One pass.

    Attributes:
        failure: why it did not come to its end.
    """

    def __init__(
        self,
        job: Job,
        plan: Plan,
        chance: Random,
        people: Mapping[str, Sequence[WorkerPlan]],
        data_dir: Path,
    ) -> None:
        self._job = job
        self._plan = plan
        self._chance = chance
        self._people = people
        self._data_dir = data_dir
        self._crowds: dict[str, Crowd] = {}
        self._submitted = 0
        self._progress = Signal()
        self._operator: trio.Process | None = None
        self._is_operated = trio.Event()
        self.operators_killed = 0
        self.routers_killed = 0
        self.failure: str | None = None

    @property
    def handed_in(self) -> dict[str, HandedIn]:
        """What the crowd has handed in, by agent."""
        return {agent: one for crowd in self._crowds.values() for agent, one in crowd.handed_in.items()}

    async def run(self) -> None:
        """Let crowd and operators work until the job is done, or something is wrong for good."""
        self._data_dir.mkdir(parents=True)
        try:
            with trio.move_on_after(PASS_SECONDS) as patience:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._kill_at_random)
                    await self._operate_to_the_end(nursery)
                    nursery.cancel_scope.cancel()
            if patience.cancelled_caught:
                self.failure = f"it did not end within {PASS_SECONDS:g} s"
        finally:
            for router in self._routers():
                with suppress(ProcessLookupError):
                    os.killpg(router, signal.SIGKILL)

    async def _operate_to_the_end(self, crowds: trio.Nursery) -> None:
        """Start an operator, and another one whenever it was killed."""
        while (status := await self._operate(crowds)) == -signal.SIGKILL:
            self.operators_killed += 1
            if self._plan.with_router:
                self._kill_routers()
            self._job = replace(self._job, dies_at=None)  # once is what was planned
        if status != 0:
            said = (self._data_dir / LOG_FILE).read_text(errors="replace")[-QUOTE_LENGTH:]
            self.failure = f"an operator ended with status {status}: {said}"

    async def _operate(self, crowds: trio.Nursery) -> int:
        """Have an operator work; returns how it ended."""
        program = [sys.executable, "-m", f"{__package__}.torture_job"]
        command = [*program, str(self._data_dir), msgspec.json.encode(self._job).decode()]
        with (self._data_dir / LOG_FILE).open("ab") as log:
            async with trio.open_nursery() as nursery:
                process: trio.Process = await nursery.start(
                    partial(trio.run_process, command, stdout=PIPE, stderr=log, check=False)
                )
                self._operator = process
                self._is_operated.set()
                try:
                    self._let_come(await _first_line(process), crowds)
                    return await process.wait()
                finally:
                    if self._operator is process:
                        self._forget_operator()

    def _forget_operator(self) -> None:
        self._operator, self._is_operated = None, trio.Event()

    def _let_come(self, urls: bytes, nursery: trio.Nursery) -> None:
        """Let the crowds come, who have not come yet."""
        for task, url in msgspec.json.decode(urls or b"{}", type=dict[str, str]).items():
            if task not in self._crowds:
                self._crowds[task] = crowd = Crowd(
                    url,
                    self._people[task],
                    rate,
                    now=time.time,
                    on_submitted=self._count,
                    # With operators that come and go nobody is to leave because of that.
                    patience_seconds=PASS_SECONDS,
                    retry_seconds=PASS_SECONDS,
                    chat_lines=CHAT_LINES if task == CHAT else 0,
                )
                nursery.start_soon(crowd.run)

    def _count(self) -> None:
        self._submitted += 1
        self._progress.notify()

    async def _kill_at_random(self) -> None:
        """Kill whatever operator there is then, as often as is planned."""
        last = max(1, int(self._job.units * LAST_KILL_AT))
        for moment in sorted(self._chance.randint(1, last) for _ in range(self._plan.kills)):
            while self._submitted < moment:
                await self._progress.wait()
            await trio.sleep(self._chance.uniform(0, KILL_DELAY_SECONDS))
            await self._is_operated.wait()
            if self._operator is not None:
                self._operator.kill()
                self._forget_operator()

    def _kill_routers(self) -> None:
        for router in self._routers():
            with suppress(ProcessLookupError):
                os.kill(router, signal.SIGKILL)
                self.routers_killed += 1

    def _routers(self) -> Iterator[int]:
        """The routers that run now."""
        for folder in sorted((self._data_dir / RUNS_FOLDER).glob("*")):
            process = RouterProcess.left_by_another(folder)
            if process is not None and process.works_in(folder):
                yield process.pid


async def _first_line(process: trio.Process) -> bytes:
    """What a process prints before the end of a line; nothing if it ends before that."""
    line = b""
    while process.stdout is not None and not line.endswith(b"\n"):
        some = await process.stdout.receive_some()
        if not some:
            return b""
        line += some
    return line


async def torture(
    job: Job,
    workers: int,
    seed: int,
    folder: Path,
    plans: Callable[[Ending], Sequence[Plan]],
    on_pass: Callable[[Pass], None],
) -> list[Pass]:
    """Run a job once in peace, and then again and again while its operator is killed.

    Args:
        job: what there is to do.
        workers: how many people there are.
        seed: what their habits and random kills are drawn from.
        folder: gets a folder for each pass.
        plans: when operators are killed, given how the job ended in peace.
        on_pass: called after each pass.

    Returns:
        All passes, the peaceful one first; if that has faults it is the only one.

    Raises:
        LogError, LaunchError, ConfigError: a pass left something that cannot be looked at.
    """
    tried = Torture(job, workers, seed, folder)
    calm = await tried.run(Plan(name="no kills"))
    on_pass(calm)
    passes = [calm]
    if calm.ending is None or calm.faults:
        return passes
    for plan in plans(calm.ending):
        passes.append(await tried.run(plan, calm.ending))
        on_pass(passes[-1])
    return passes
