"""Puts four operators with 100 workers each on a server with a synchronous standby, and checks and measures the log.

`python -m tests.machines.load [SECONDS]`, for which each measurement lasts. Each operator is a process of its own,
whose workers take about two seconds for a step. The exit code says whether the log is whole: no gap, every chain
intact, everything that was acknowledged there once.

Ratios come from rounds that alternate, and have a bar. They tell something only while nothing else runs on the machine.
The cost of a commit stands beside them, because on one disk the standby and the primary wait for each other.
"""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psycopg
import trio

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.composition.clock_and_ids import BlockIds, SystemClock
from mephisto_es.adapters.log.commit_thread import commit_in_thread, run_writer
from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.postgres.mirrored import MirroredLog
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.operations.services.directory import Directory
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentSubmitted
from mephisto_es.events.engagement import WorkerArrived
from mephisto_es.events.ids import TaskRunId, WorkerId
from mephisto_es.events.streams import partition_of_run

from ..core.operations.operator_harness import HarnessTaskState, ask, config, items
from ..postgres import server_programs
from .processes import at_once, meet
from .races import operator_on
from .standbys import ASYNCHRONOUS, ServerGroup, is_whole, server_group

DATABASE = "load"
OPERATORS, WORKERS = 4, 100
#: Seconds between two steps of a worker, on average.
STEP_SECONDS = 2.0
#: Callers of one operator where it is compared with a file, and the commands of each.
CALLERS, COMMANDS = 64, 20
#: Rounds of each comparison, and the commits of a writer in each.
ROUNDS, COMMITS = 3, 300
#: Commits whose cost is measured.
SAMPLES = 100


class Work(NamedTuple):
    """The work of one operator's crowd."""

    #: How long workers waited for their pages, in seconds.
    waits: list[float]
    submissions: int
    #: CPU seconds of the operator and its crowd, those of the servers, and the seconds that passed.
    cpu: float
    servers_cpu: float
    wall: float


async def work(router: MemoryRouter, name: str, until: float, work: Work, done: list[int]) -> None:
    """Do units until the time is over, and note how long each was waited for."""
    rng, visit = random.Random(name), 0
    await trio.sleep(rng.uniform(0, 2 * STEP_SECONDS))
    while time.perf_counter() < until:
        asked_at = time.perf_counter()
        page = await ask(router, name, visit)
        work.waits.append(time.perf_counter() - asked_at)
        await trio.sleep(rng.uniform(0.5, 1.5) * STEP_SECONDS)
        router.submit_task(page["agent_id"], {"answer": visit})
        done.append(visit)
        visit += 1
        await trio.sleep(rng.uniform(0.5, 1.5) * STEP_SECONDS)


async def drive(group: ServerGroup, folder: Path, task: str, seconds: float) -> Work:
    """Launch a run of an operator, and let its workers work for some seconds."""
    async with operator_on(group.address(DATABASE), folder) as operator:
        units = math.ceil(WORKERS * (seconds / STEP_SECONDS + 1))
        run = await operator.launch_task_run_or_die(config(task_name=task), HarnessTaskState(data=items(units)))
        router = MemoryArchitect.routers[operator.get_running_task_runs()[run].task_run]
        found, done = Work([], 0, 0, 0, 0), list[int]()
        await trio.to_thread.run_sync(meet)
        began_at, used, servers_used = time.perf_counter(), time.process_time(), group.cpu_seconds()
        async with trio.open_nursery() as nursery:
            for number in range(WORKERS):
                nursery.start_soon(work, router, f"{task} {number}", began_at + seconds, found, done)
        cpu, servers_cpu = time.process_time() - used, group.cpu_seconds() - servers_used
        found = Work(found.waits, len(done), cpu, servers_cpu, time.perf_counter() - began_at)
        while router.unacknowledged:  # noqa: ASYNC110 - the router has no event for it
            await trio.sleep(0.05)
        return found


def drive_together(group: ServerGroup, folder: Path, operators: int, seconds: float) -> Work:
    """Let some operators drive a run each; return the work of all."""
    names = [f"{operators}-{number}" for number in range(operators)]
    for name in names:
        (folder / name).mkdir()
    calls = [partial(trio.run, drive, group, folder / name, f"{folder.name} {name}", seconds) for name in names]
    found = at_once(calls)
    together = Work(
        [wait for one in found for wait in one.waits],
        sum(one.submissions for one in found),
        sum(one.cpu for one in found),
        max(one.servers_cpu for one in found),
        max(one.wall for one in found),
    )
    say(
        operators=operators,
        submissions=together.submissions,
        p50_ms=_ms(statistics.median(together.waits)),
        p99_ms=_ms(percentile(together.waits)),
        wall_s=round(together.wall, 1),
        cpu_s_operators_and_crowds=round(together.cpu, 1),
        cpu_s_servers=round(together.servers_cpu, 1),
    )
    return together


def problems_of(address: str, submissions: int) -> list[str]:
    """Return what is wrong with a log after so many submissions were acknowledged."""
    found = list[str]()
    with closing(PostgresLog(address)) as log:
        events = list(log.read())
        if [recorded.seq for recorded in events] != list(range(1, len(events) + 1)):
            found.append("the common order has gaps")
        for partition in sorted({streams.partition_of(recorded.envelope.stream) for recorded in events}):
            if not is_whole(log, partition):
                found.append(f"{partition} has a gap or a broken chain")
        completed = Counter(one.envelope.stream for one in events if isinstance(one.envelope.event, AgentSubmitted))
        if len(completed) != submissions or set(completed.values()) != {1}:
            found.append(f"{submissions} submissions were acknowledged, and {completed.total()} are recorded")
    return found


def write(address: str, run: TaskRunId, number: int) -> float:
    """Commit again and again; return the seconds that this took."""
    with closing(PostgresLog(address)) as log:
        meet()
        started_at = time.perf_counter()
        for each in range(COMMITS):
            worker = WorkerId(number * COMMITS + each + 1)
            event = NewEvent(streams.engagement(run, worker), WorkerArrived(worker=worker))
            log.begin([partition_of_run(run)], (), ())
            log.commit([AppendRequest(command=f"{run} {worker}", actor="load", at=1, events=(event,))])
        return time.perf_counter() - started_at


def rate_of_writers(address: str, first_run: int, *, is_shared: bool) -> float:
    """Return the commits in a second of several writers, in one partition or in one each."""
    runs = [TaskRunId(first_run + (0 if is_shared else number)) for number in range(OPERATORS)]
    seconds = at_once([partial(write, address, run, number) for number, run in enumerate(runs)])
    return OPERATORS * COMMITS / max(seconds)


async def rate_of_callers(log: SqliteLog, reserve: Callable[[str, int, int], int]) -> tuple[float, float]:
    """Return the commands in a second of many callers of one operator, and the CPU seconds of each command."""
    ledger = Ledger(log, SystemClock(), commit_in_thread)
    directory = Directory(ledger, BlockIds(ledger.state.highest_ids(), 1, reserve))

    async def call(caller: int) -> None:
        for number in range(COMMANDS):
            await directory.new_worker(f"{caller}-{number}", "mock")

    async with trio.open_nursery() as nursery:
        await nursery.start(run_writer, ledger)
        started_at, used_before = time.perf_counter(), time.process_time()
        async with trio.open_nursery() as callers:
            for caller in range(CALLERS):
                callers.start_soon(call, caller)
        seconds, used = time.perf_counter() - started_at, time.process_time() - used_before
        nursery.cancel_scope.cancel()
    return CALLERS * COMMANDS / seconds, used / (CALLERS * COMMANDS)


def compare_with_file(group: ServerGroup, folder: Path) -> tuple[list[float], list[float]]:
    """Return how a log on a server without a standby compares with a file: its rates, and its cost in CPU."""
    rates, costs = list[float](), list[float]()
    for number in range(ROUNDS):
        last_ids = Counter[str]()

        def reserve(category: str, used: int, count: int, last_ids: Counter[str] = last_ids) -> int:
            last_ids[category] = max(last_ids[category], used) + count
            return last_ids[category]

        with SqliteLog.create_or_open(folder / f"file-{number}.db") as file:
            file_rate, file_cost = trio.run(rate_of_callers, file, reserve)
        database = f"{DATABASE}_{number}"
        group.create_database(database)
        with MirroredLog.open(group.address(database), folder / f"copy-{number}.db", ()) as copy:
            rate, cost = trio.run(rate_of_callers, copy, copy.server_log.reserve)
        say(commands_per_s_in_file=round(file_rate), on_server=round(rate))
        rates.append(rate / file_rate)
        costs.append(cost / file_cost)
    return rates, costs


def say_cost_of_commits(group: ServerGroup) -> None:
    """Print how long a flush of the disk takes, and a commit with and without waiting for the standby."""
    found = dict[str, float]()
    with (group.primary.folder / "flushed").open("wb", buffering=0) as file:

        def flush() -> None:
            file.write(b"x" * 512)
            os.fdatasync(file.fileno())

        found["disk_flush"] = _median_ms(flush)
    with psycopg.connect(group.primary.address(DATABASE), autocommit=True) as db:
        db.execute("CREATE TABLE IF NOT EXISTS load (n int)")
        for name, wait in (("commit_here", "local"), ("commit_on_both", "on")):
            db.execute(f"SET synchronous_commit = {wait}".encode())
            found[name] = _median_ms(lambda: db.execute("INSERT INTO load VALUES (1)"))
    say(median_ms_of_one=found)


def _median_ms(act: Callable[[], object]) -> float:
    times = list[float]()
    for _ in range(SAMPLES):
        began_at = time.perf_counter()
        act()
        times.append(time.perf_counter() - began_at)
    return _ms(statistics.median(times))


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)


def percentile(waits: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(waits, n=100)[98]


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)  # noqa: T201 - this is a program


def say_bar(what: str, ratios: list[float], bar: str, holds: bool) -> None:
    say(**{what: round(statistics.median(ratios), 2)}, lowest=min(ratios), highest=max(ratios), bar=bar, holds=holds)


def measure_operators(group: ServerGroup, folder: Path, seconds: float) -> list[str]:
    """Compare four operators with one, and print that; return what is wrong with their log."""
    ratios, submissions = list[float](), 0
    for number in range(ROUNDS):
        (folder / f"round-{number}").mkdir()
        say_cost_of_commits(group)
        alone = drive_together(group, folder / f"round-{number}", 1, seconds)
        together = drive_together(group, folder / f"round-{number}", OPERATORS, seconds)
        ratios.append(percentile(together.waits) / percentile(alone.waits))
        submissions += alone.submissions + together.submissions
    say_bar("p99 of four operators to one", ratios, "median at most 3", statistics.median(ratios) <= 3)
    problems = problems_of(group.address(DATABASE), submissions)
    say(submissions=submissions, problems=problems)
    return problems


def measure_partitions(group: ServerGroup) -> None:
    """Compare writers of one partition each with writers of a shared one."""
    ratios = list[float]()
    for number in range(1, ROUNDS + 1):
        own = rate_of_writers(group.address(DATABASE), 2000 * number, is_shared=False)
        shared = rate_of_writers(group.address(DATABASE), 2000 * number + 1000, is_shared=True)
        say(commits_per_s_in_own_partitions=round(own), in_a_shared_one=round(shared))
        ratios.append(own / shared)
    holds = min(ratios) >= 1.5 and statistics.median(ratios) >= 2.5
    say_bar("own partitions to a shared one", ratios, "each at least 1.5, median 2.5", holds)


def main(seconds: float) -> int:
    """Check and measure on servers of its own; return the exit code."""
    programs = server_programs()
    with tempfile.TemporaryDirectory(prefix="mephisto-load-") as name:
        folder = Path(name)
        with server_group(programs, standbys=1) as group:
            group.create_database(DATABASE)
            group.wait_for_standbys()
            problems = measure_operators(group, folder, seconds)
            measure_partitions(group)
        with server_group(programs, standbys=0, settings=ASYNCHRONOUS) as group:
            rates, costs = compare_with_file(group, folder)
        say_bar("rate on a server to that in a file", rates, "median at least 0.2", statistics.median(rates) >= 0.2)
        say_bar("CPU on a server to that for a file", costs, "median at most 3", statistics.median(costs) <= 3)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 20))
