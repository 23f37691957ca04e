"""Shows several machines on one log: two operators with two crowds, a block that holds on both, and a takeover.

Each machine is a process with a data folder of its own. They have nothing in common but a PostgreSQL server, which is
started for the demo in a temporary folder.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from mephisto_es.adapters.architects.router.process import RouterProcess
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.log_choice import LEASE_VARIABLE, LOG_VARIABLE
from mephisto_es.adapters.crowd.bot import Bot
from mephisto_es.adapters.crowd.crowd import Crowd
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.errors import leaves
from mephisto_es.core.payloads import RUNS_FOLDER
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentAccepted
from mephisto_es.events.engagement import WorkerRefused
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.worker import WorkerBlocked
from mephisto_es.projections.registry import PROJECTIONS

from ..postgres import Cluster, server_programs
from ..processes import COMMAND, Gate, OperatorProcess, operator_process, rating, script_command, some_sentences

LEASE_SECONDS = 3
#: A name of a worker who comes to both runs.
SPAMMER = "Mallory"
ONE, TWO = TaskRunId(1), TaskRunId(2)


class DemoFailedError(Exception):
    """Something did not hold."""


def say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - this is a program


def check(holds: bool, sentence: str) -> None:
    """Say what holds.

    Raises:
        DemoFailedError: it does not.
    """
    if not holds:
        raise DemoFailedError(f"this does not hold: {sentence}")
    say(f"   ok: {sentence}")


@contextmanager
def temporary_server() -> Iterator[None]:
    """Start a PostgreSQL server in a temporary folder, and name it in the environment of this process."""
    programs = server_programs()
    cluster = Cluster.make(programs)
    try:
        os.environ[LOG_VARIABLE], os.environ[LEASE_VARIABLE] = cluster.new_database(), str(LEASE_SECONDS)
        yield
    finally:
        cluster.stop(programs)


class Machines:
    """Data folders, each standing for a machine."""

    def __init__(self, folder: Path, units: int) -> None:
        self._folder = folder
        self.units = units
        self._sentences = some_sentences(folder, units)

    def data(self, machine: str) -> Path:
        return self._folder / machine

    @asynccontextmanager
    async def operator(self, machine: str, task: str, *overrides: str) -> AsyncIterator[OperatorProcess]:
        """An operator on a machine, from the moment at which workers can come."""
        more = (
            f"mephisto.task.task_name={task}",
            "mephisto.task.resume_incomplete_run=true",
            # What people had begun on a machine that died goes back on offer.
            "mephisto.task.assignment_duration_in_seconds=20",
            self._sentences,
        )
        async with operator_process(script_command(self.data(machine), *more, *overrides)) as process:
            yield process

    async def run(self, *arguments: str) -> str:
        """Run a verb, and return what it prints.

        Raises:
            DemoFailedError: it failed.
        """
        done = await trio.run_process([COMMAND, *arguments], capture_stdout=True, capture_stderr=True, check=False)
        if done.returncode != 0:
            raise DemoFailedError(f"mephisto-es {' '.join(arguments)}: {done.stderr.decode()}")
        return done.stdout.decode()

    async def owners(self) -> dict[str, str]:
        """Show who drives which run, and return it."""
        say(await self.run("operators"))
        found = json.loads(await self.run("operators", "--json"))["operators"]
        return {one["run"]: one["operator"] for one in found if one["is_alive"]}

    async def until_copied(self, machine: str) -> None:
        """Wait until a machine has a copy of the log."""
        while not (self.data(machine) / DATABASE_FILE).exists():  # noqa: ASYNC110 - of another process
            await trio.sleep(0.1)

    def stop_routers(self, machine: str = "*") -> None:
        """End the routers of a machine, or of all, as when its power is cut."""
        stop_routers(self._folder, machine)


def stop_routers(folder: Path, machine: str = "*") -> None:
    """End the routers of machines whose data folders are in a folder."""
    for run_folder in folder.glob(f"{machine}/{RUNS_FOLDER}/*"):
        process = RouterProcess.left_by_another(run_folder)
        if process is not None and process.works_in(run_folder):
            os.kill(process.pid, signal.SIGKILL)


def people(process: OperatorProcess, names: list[str], gate: Gate) -> Crowd:
    bots = [Bot(name=name, answer=rating, think_seconds=0.2, seed=number) for number, name in enumerate(names)]
    return Crowd(process.url, bots, patience_seconds=600, before_submission=gate.pass_one, on_submitted=gate.count)


async def work_a_little(process: OperatorProcess, names: list[str]) -> None:
    """Let people work until the first of them has submitted something; then they close their browsers."""
    gate = Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(people(process, names, gate).run)
        await gate.submit(1)
        nursery.cancel_scope.cancel()


async def work_until_end(process: OperatorProcess, names: list[str]) -> None:
    """Let people work until the process has ended its run."""
    gate = Gate()
    gate.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(people(process, names, gate).run)
        code = await process.process.wait()
        nursery.cancel_scope.cancel()
    check(code == 0, "all work of the run is done, and its operator has ended with exit code 0")


async def show(machines: Machines) -> None:
    """Play all scenes.

    Raises:
        DemoFailedError: something does not hold.
    """
    async with machines.operator("machine-a", "first-task") as a, machines.operator("machine-b", "second-task") as b:
        say("1. machine-a drives run 1, machine-b run 2, on one log; people work for both")
        before = await machines.owners()
        check(sorted(before) == ["run-1", "run-2"] and len(set(before.values())) == 2, "each run has its operator")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work_a_little, a, ["Ada", "Grace", SPAMMER])
            nursery.start_soon(work_a_little, b, ["Alan", "Grace"])
        await _block(machines, b)
        await _end_elsewhere(machines)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stand_by, machines, before)
            await machines.until_copied("machine-c")
            say("4. machine-a loses its power")
            await a.kill()
            machines.stop_routers("machine-a")
        say("   meanwhile, nobody noticed anything on machine-b")
        await work_until_end(b, ["Alan", "Grace"])
    await _prove(machines)


async def _block(machines: Machines, b: OperatorProcess) -> None:
    say(f"2. {SPAMMER}, who works for machine-a, is blocked from another machine, which only knows the database")
    third = str(machines.data("machine-d"))
    await machines.run("log", "update", third)
    await machines.run("worker", third, SPAMMER, "--block", "spam")
    crowd = Crowd(b.url, [Bot(name=SPAMMER, answer=rating)], patience_seconds=0.5)
    await crowd.run()
    check(crowd.summary().submissions == 0, f"{SPAMMER} gets no work on machine-b")
    check(bool(crowd.summary().refusals), f"{SPAMMER} is told: {next(iter(crowd.summary().refusals), '')}")


async def _end_elsewhere(machines: Machines) -> None:
    say("   run 3, which machine-f drives, is paused and ended from there too")
    third = str(machines.data("machine-d"))
    async with machines.operator("machine-f", "third-task") as process:
        await machines.run("pause", third, "3", "--reason", "the machine is needed")
        check(await process.process.wait() == 0, "the operator on machine-f has paused its run, and ended")
    async with machines.operator("machine-f", "third-task") as process:
        await machines.run("end", third, "3", "--reason", "enough")
        check(await process.process.wait() == 0, "it has ended its run, for which nobody came")


async def _stand_by(machines: Machines, before: dict[str, str]) -> None:
    say("3. machine-c stands by for run 1, with the same script")
    async with machines.operator("machine-c", "first-task", "mephisto.task.standby=true") as process:
        say("5. machine-c has taken over; people load their page again, and finish the work")
        after = await machines.owners()
        check(after["run-1"] != before["run-1"] and after["run-2"] == before["run-2"], "run 1 has another operator")
        await work_until_end(process, ["Ada", "Grace"])


async def _prove(machines: Machines) -> None:
    """Audit a copy of the log, and compare it with what the dead machine had."""
    say("6. the log, copied to a machine that has seen nothing")
    path = machines.data("machine-e") / DATABASE_FILE
    await machines.run("log", "update", str(machines.data("machine-e")))
    report = await trio.to_thread.run_sync(replay, path, PROJECTIONS)
    check(report.legal, f"replay: {report.events} events, legal")
    done = report.units.get("completed")
    check(done == 2 * machines.units, f"all {2 * machines.units} units of both runs are done")
    with LogReader(path) as log, LogReader(machines.data("machine-a") / DATABASE_FILE) as dead:
        end = dead.head()
        check(log.chain_at(end.seq) == end.chain, f"all {end.seq} events that machine-a had seen are there, unchanged")
        events = [recorded.envelope for recorded in log.read()]
    blocked = next(number for number, each in enumerate(events) if isinstance(each.event, WorkerBlocked))
    worker = streams.number_of(events[blocked].stream)
    refused = [
        each
        for each in events[blocked:]
        if each.stream == f"engagement/{TWO}/{worker}" and isinstance(each.event, WorkerRefused)
    ]
    later = [each for each in events[blocked:] if isinstance(each.event, AgentAccepted) and each.event.worker == worker]
    check(bool(refused) and not later, f"after the block, {SPAMMER} was refused, and got nothing on any machine")


def main(units: int) -> int:
    """Play the demo; return its exit code."""
    failures: list[DemoFailedError] = []
    with tempfile.TemporaryDirectory(prefix="mephisto-machines-") as folder, temporary_server():
        machines = Machines(Path(folder), units)
        try:
            trio.run(show, machines)
        except* DemoFailedError as failed:
            failures += [error for error in leaves(failed) if isinstance(error, DemoFailedError)]
        finally:
            machines.stop_routers()
    for failure in failures:
        say(str(failure))
    if not failures:
        say("everything held")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 30))
