"""Kills an operator repeatedly while a simulated crowd works, and compares the outcomes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from subprocess import PIPE

import msgspec
import trio
from msgspec.structs import replace

from ...core.payloads import RUNS_FOLDER
from ...core.signal import Signal
from ..architects.router.process import RouterProcess
from .bot import Bot, draw_bots
from .crowd import Crowd
from .outcome_check import JobOutcome, check_outcome
from .summary import SentSubmission
from .torture_job import CHAT, CHAT_MESSAGES, PAUSED, RATING, TortureJob, rate

#: The longest time for a pass.
PASS_SECONDS = 600.0
#: The last random kill comes before this share of the work is done.
LAST_KILL_AT = 0.85
#: The longest delay between an acknowledged submission and the kill it triggers.
KILL_DELAY_SECONDS = 0.5
#: The share of kills of routers that are followed by another one, and the time within which that comes.
SECOND_KILL_SHARE = 0.5
START_SECONDS = 1.0
THINK_SECONDS = 0.4
#: In a crowd of this size, one worker closes the page for good, which the router notices after a while.
LARGE_CROWD = 8
#: The number of characters quoted from the log of a failed operator.
QUOTE_LENGTH = 500
LOG_FILE = "operator.log"


class KillPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The kills of one pass."""

    name: str
    #: The number of kills at random times.
    kills: int = 0
    #: The position in the log at which the operator is killed once, as soon as it is durable.
    position: int | None = None
    #: Whether the routers are killed together with the operator.
    with_router: bool = False
    #: Whether only the routers are killed, now and then again while they start.
    routers_alone: bool = False
    #: Whether the operator is asked to end (SIGTERM) instead of being killed.
    asks: bool = False


class PassResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one pass."""

    name: str
    #: The folder with the event log and the operators' log files.
    data_dir: str
    operators_killed: int
    routers_killed: int
    seconds: float
    #: The outcome of the job; None if it did not end.
    outcome: JobOutcome | None
    #: Everything that is wrong, or differs from the pass without kills.
    faults: tuple[str, ...]


class PassRunner:
    """Runs passes of one job with one crowd.

    Args:
        job: the job.
        workers: the number of workers, divided between the tasks.
        seed: the seed of the crowd's behaviour and of random kills.
        folder: the folder for the passes' folders.
    """

    def __init__(self, job: TortureJob, workers: int, seed: int, folder: Path) -> None:
        self._job = job
        self._seed = seed
        self._folder = folder
        self._bots = _divide(job, workers, Random(seed))
        self._count = 0

    async def run_pass(self, plan: KillPlan, baseline: JobOutcome | None = None) -> PassResult:
        """Run the job once, while its operator is killed as planned.

        Args:
            plan: the kills.
            baseline: the outcome without kills.
        """
        data_dir = self._folder / f"pass-{self._count:04}"
        self._count += 1
        chance = Random(f"{self._seed}/{plan.name}")
        job = replace(self._job, dies_at=plan.position)
        started_at = trio.current_time()
        current = _PassRun(job, plan, chance, self._bots, data_dir)
        await current.run_until_done()
        outcome = None if current.failure else await check_outcome(data_dir, current.submissions)
        faults = [current.failure] if current.failure else []
        if outcome is not None:
            faults += [*outcome.faults(), *(outcome.differences(baseline) if baseline else ())]
        return PassResult(
            name=plan.name,
            data_dir=str(data_dir),
            operators_killed=current.operators_killed,
            routers_killed=current.routers_killed,
            seconds=round(trio.current_time() - started_at, 1),
            outcome=outcome,
            faults=tuple(faults),
        )


def _divide(job: TortureJob, workers: int, chance: Random) -> dict[str, tuple[Bot, ...]]:
    """Return the workers of each task: an even number chats, and nobody leaves a chat."""
    chatting = min(2 * job.chats, workers // 4 * 2)
    rating = workers - chatting
    leavers = 1 if rating >= LARGE_CROWD else 0
    return {
        CHAT: draw_bots(
            chance,
            chatting,
            rate,
            returning=0,
            disconnecting=0,
            think_seconds=THINK_SECONDS,
            chat_messages=CHAT_MESSAGES,
        ),
        RATING: draw_bots(chance, rating, rate, disconnecting=leavers, think_seconds=THINK_SECONDS),
    }


class _PassRun:
    """One pass.

    Attributes:
        failure: the reason why the pass did not end.
    """

    def __init__(
        self,
        job: TortureJob,
        plan: KillPlan,
        chance: Random,
        workers: Mapping[str, Sequence[Bot]],
        data_dir: Path,
    ) -> None:
        self._job = job
        self._plan = plan
        self._chance = chance
        self._workers = workers
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
    def submissions(self) -> dict[str, SentSubmission]:
        """The crowd's submissions, by agent."""
        return {agent: one for crowd in self._crowds.values() for agent, one in crowd.submissions.items()}

    async def run_until_done(self) -> None:
        """Run the crowd and the operators until the job is done or an operator fails."""
        self._data_dir.mkdir(parents=True)
        try:
            with trio.move_on_after(PASS_SECONDS) as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._kill_at_random)
                    await self._operate_until_done(nursery)
                    nursery.cancel_scope.cancel()
            if scope.cancelled_caught:
                self.failure = f"it did not end within {PASS_SECONDS:g} s"
        finally:
            for router in self._routers():
                with suppress(ProcessLookupError):
                    os.killpg(router, signal.SIGKILL)

    async def _operate_until_done(self, crowds: trio.Nursery) -> None:
        """Start an operator, and another one each time it was killed."""
        while (status := await self._operate(crowds)) in (-signal.SIGKILL, -signal.SIGTERM, PAUSED):
            self.operators_killed += 1
            if self._plan.with_router:
                self._kill_routers()
            self._job = replace(self._job, dies_at=None)  # the plan is to die once
        if status != 0:
            output = (self._data_dir / LOG_FILE).read_text(errors="replace")[-QUOTE_LENGTH:]
            self.failure = f"an operator ended with status {status}: {output}"

    async def _operate(self, crowds: trio.Nursery) -> int:
        """Run one operator; return its exit status."""
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
                    self._start_crowds(await _first_line(process), crowds)
                    return await process.wait()
                finally:
                    if self._operator is process:
                        self._forget_operator()

    def _forget_operator(self) -> None:
        self._operator, self._is_operated = None, trio.Event()

    def _start_crowds(self, urls: bytes, nursery: trio.Nursery) -> None:
        """Start the crowds that are not running yet."""
        for task, url in msgspec.json.decode(urls or b"{}", type=dict[str, str]).items():
            if task not in self._crowds:
                self._crowds[task] = crowd = Crowd(
                    url,
                    self._workers[task],
                    on_submitted=self._count,
                    # Nobody must leave because an operator is down.
                    patience_seconds=PASS_SECONDS,
                    retry_seconds=PASS_SECONDS,
                )
                nursery.start_soon(crowd.run)

    def _count(self) -> None:
        self._submitted += 1
        self._progress.notify()

    async def _kill_at_random(self) -> None:
        """Kill the current operator, or the routers alone, as often as planned."""
        last = max(1, int(self._job.units * LAST_KILL_AT))
        for threshold in sorted(self._chance.randint(1, last) for _ in range(self._plan.kills)):
            while self._submitted < threshold:
                await self._progress.wait()
            await trio.sleep(self._chance.uniform(0, KILL_DELAY_SECONDS))
            await self._is_operated.wait()
            if self._plan.routers_alone:
                await self._kill_routers_again_and_again()
            elif self._operator is not None:
                self._operator.send_signal(signal.SIGTERM if self._plan.asks else signal.SIGKILL)
                self._forget_operator()

    async def _kill_routers_again_and_again(self) -> None:
        """Kill the routers, and half of the times once more while they start."""
        self._kill_routers()
        if self._chance.random() < SECOND_KILL_SHARE:
            await trio.sleep(self._chance.uniform(0, START_SECONDS))
            self._kill_routers()

    def _kill_routers(self) -> None:
        for router in self._routers():
            with suppress(ProcessLookupError):
                os.kill(router, signal.SIGKILL)
                self.routers_killed += 1

    def _routers(self) -> Iterator[int]:
        """Yield the process ids of the running routers."""
        for folder in sorted((self._data_dir / RUNS_FOLDER).glob("*")):
            process = RouterProcess.left_by_another(folder)
            if process is not None and process.works_in(folder):
                yield process.pid


async def _first_line(process: trio.Process) -> bytes:
    """Return the first line that a process prints; nothing if it ends before that."""
    line = b""
    while process.stdout is not None and not line.endswith(b"\n"):
        chunk = await process.stdout.receive_some()
        if not chunk:
            return b""
        line += chunk
    return line


async def run_passes(
    job: TortureJob,
    workers: int,
    seed: int,
    folder: Path,
    plans: Callable[[JobOutcome], Sequence[KillPlan]],
    on_pass: Callable[[PassResult], None],
) -> list[PassResult]:
    """Run a job once undisturbed, and then repeatedly while its operator is killed.

    Args:
        job: the job.
        workers: the number of workers.
        seed: the seed of the crowd's behaviour and of random kills.
        folder: the folder for the passes' folders.
        plans: returns the kills of the further passes, given the undisturbed outcome.
        on_pass: called after each pass.

    Returns:
        All passes, the undisturbed one first. If that one has faults, it is the only one.

    Raises:
        LogError, LaunchError, ConfigError: the outcome of a pass cannot be checked.
    """
    runner = PassRunner(job, workers, seed, folder)
    baseline = await runner.run_pass(KillPlan(name="no kills"))
    on_pass(baseline)
    passes = [baseline]
    if baseline.outcome is None or baseline.faults:
        return passes
    for plan in plans(baseline.outcome):
        passes.append(await runner.run_pass(plan, baseline.outcome))
        on_pass(passes[-1])
    return passes
