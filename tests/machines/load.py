"""Puts four operators with 25 workers each on one server with a synchronous standby, and checks and measures the log.

`python -m tests.machines.load [UNITS]`, where each worker does that many units. The exit code says whether the log is
whole: no gap, every chain intact, everything that was acknowledged there once. Ratios are printed, each from rounds
that alternate within one run; they tell nothing if the machine has fewer cores than operators.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import trio

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.composition.clock_and_ids import BlockIds, SystemClock
from mephisto_es.adapters.log.commit_thread import commit_in_thread, run_writer
from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.postgres.mirrored import MirroredLog
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.chain import link
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.operations.operator import Operator
from mephisto_es.core.operations.services.directory import Directory
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentSubmitted
from mephisto_es.events.engagement import WorkerArrived
from mephisto_es.events.ids import TaskRunId, WorkerId
from mephisto_es.events.streams import partition_of_run

from ..core.operations.operator_harness import HarnessTaskState, ask, config, items
from ..postgres import Cluster, server_programs
from .races import operator_on

OPERATORS, WORKERS = 4, 25
#: Callers of one operator where it is compared with a file, and the commands of each.
CALLERS, COMMANDS = 64, 20
#: Rounds of each comparison, and the commits of a writer in each.
ROUNDS, COMMITS = 3, 200


@contextmanager
def synchronous_standby(cluster: Cluster, programs: Path) -> Iterator[None]:
    """Give a server a standby that every commit waits for."""
    folder = cluster.folder / "standby"
    source = ("-h", str(cluster.folder), "-U", "es", "-R", "-X", "stream", "--no-sync", "-c", "fast")
    # Some systems link only a few programs from a folder on the PATH.
    cluster.run((programs / "initdb").resolve().parent / "pg_basebackup", "-D", folder, *source)
    with (folder / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(f"unix_socket_directories = '{folder}'\n")
    cluster.run(programs / "pg_ctl", "-D", folder, "-l", str(folder / "server.log"), "-w", "start")
    try:
        with psycopg.connect(cluster.address("postgres"), autocommit=True) as db:
            db.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            db.execute("SELECT pg_reload_conf()")
            while db.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone() is None:
                db.execute("SELECT pg_sleep(0.1)")
        yield
    finally:
        with psycopg.connect(cluster.address("postgres"), autocommit=True) as db:
            db.execute("ALTER SYSTEM RESET synchronous_standby_names")
            db.execute("SELECT pg_reload_conf()")
        cluster.run(programs / "pg_ctl", "-D", folder, "-m", "immediate", "-w", "stop")


async def work(router: MemoryRouter, name: str, units: int, waits: list[float]) -> None:
    """Do units, and note how long each was waited for."""
    for visit in range(units):
        asked_at = time.perf_counter()
        page = await ask(router, name, visit)
        waits.append(time.perf_counter() - asked_at)
        router.submit_task(page["agent_id"], {"answer": visit})


async def drive(operator: Operator, task: str, units: int, waits: list[float]) -> None:
    """Launch a run for the workers of one operator, and return when all its work is done."""
    shared = HarnessTaskState(data=items(WORKERS * units))
    run = await operator.launch_task_run_or_die(config(task_name=task), shared)
    router = MemoryArchitect.routers[operator.get_running_task_runs()[run].task_run]
    async with trio.open_nursery() as nursery:
        for number in range(WORKERS):
            nursery.start_soon(work, router, f"{task} {number}", units, waits)
    await operator.runs.wait_until_ended(TaskRunId(int(run)))
    assert router.unacknowledged == 0


async def drive_together(address: str, folder: Path, operators: int, units: int) -> list[float]:
    """Let some operators drive a run each; return how long their workers waited."""
    waits = list[float]()

    async def operate(number: int) -> None:
        own = folder / f"{operators}-{number}"
        own.mkdir()
        async with operator_on(address, own) as operator:
            await drive(operator, f"task {number} of {operators}", units, waits)

    async with trio.open_nursery() as nursery:
        for number in range(operators):
            nursery.start_soon(operate, number)
    return waits


def problems_of(address: str, submissions: int) -> list[str]:
    """Return what is wrong with a log after so many submissions were acknowledged."""
    found = list[str]()
    with closing(PostgresLog(address)) as log:
        events = list(log.read())
        if [recorded.seq for recorded in events] != list(range(1, len(events) + 1)):
            found.append("the common order has gaps")
        for partition in {streams.partition_of(recorded.envelope.stream) for recorded in events}:
            rows, chain = list(log.raw(partition)), log.genesis(partition)
            if [row.seq for row in rows] != list(range(1, len(rows) + 1)):
                found.append(f"{partition} has gaps")
            for row in rows:
                chain = link(chain, row.seq, row.epoch, row.data)
                if chain != row.chain:
                    found.append(f"the chain of {partition} is broken at {row.seq}")
                    break
        completed = Counter(one.envelope.stream for one in events if isinstance(one.envelope.event, AgentSubmitted))
        if len(completed) != submissions or set(completed.values()) != {1}:
            found.append(f"{submissions} submissions were acknowledged, and {completed.total()} are recorded")
    return found


def rate_of_writers(address: str, round_number: int, *, is_shared: bool) -> float:
    """Return the commits in a second of several writers, in one partition or in one each."""

    def write(number: int) -> None:
        run = TaskRunId(1000 * (round_number + 1) + (0 if is_shared else number + 1))
        with closing(PostgresLog(address)) as log:
            for each in range(COMMITS):
                worker = WorkerId(number * COMMITS + each + 1)
                event = NewEvent(streams.engagement(run, worker), WorkerArrived(worker=worker))
                log.begin([partition_of_run(run)], (), ())
                log.commit([AppendRequest(command=f"{run} {worker}", actor="load", at=1, events=(event,))])

    started_at = time.perf_counter()
    with ThreadPoolExecutor(OPERATORS) as threads:
        list(threads.map(write, range(OPERATORS)))
    return OPERATORS * COMMITS / (time.perf_counter() - started_at)


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


def compare_with_file(cluster: Cluster, folder: Path) -> dict[str, float]:
    """Return how a log on a server without a standby compares with a file."""
    rates, costs = list[float](), list[float]()
    for number in range(ROUNDS):
        last_ids = Counter[str]()

        def reserve(category: str, used: int, count: int, last_ids: Counter[str] = last_ids) -> int:
            last_ids[category] = max(last_ids[category], used) + count
            return last_ids[category]

        with SqliteLog.create_or_open(folder / f"file-{number}.db") as file:
            file_rate, file_cost = trio.run(rate_of_callers, file, reserve)
        with MirroredLog.open(cluster.new_database(), folder / f"copy-{number}.db", ()) as copy:
            rate, cost = trio.run(rate_of_callers, copy, copy.server_log.reserve)
        rates.append(rate / file_rate)
        costs.append(cost / file_cost)
    return {"rate": statistics.median(rates), "cpu": statistics.median(costs)}


def percentile(waits: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(waits, n=100)[98]


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)  # noqa: T201 - this is a program


def main(units: int) -> int:
    """Check and measure on servers of its own; return the exit code."""
    programs = server_programs()
    cluster = Cluster.make(programs)
    try:
        with tempfile.TemporaryDirectory(prefix="mephisto-load-") as name:
            folder = Path(name)
            with synchronous_standby(cluster, programs):
                address = cluster.new_database()
                alone = trio.run(drive_together, address, folder, 1, units)
                together = trio.run(drive_together, address, folder, OPERATORS, units)
                problems = problems_of(address, len(alone) + len(together))
                say(submissions=len(alone) + len(together), problems=problems)
                say(p99_seconds_alone=percentile(alone), p99_of_four_to_one=percentile(together) / percentile(alone))
                ratios = [
                    rate_of_writers(address, number, is_shared=False)
                    / rate_of_writers(address, number + ROUNDS, is_shared=True)
                    for number in range(ROUNDS)
                ]
                say(own_to_shared_partition=statistics.median(ratios), lowest=min(ratios))
            say(server_to_file=compare_with_file(cluster, folder))
    finally:
        cluster.stop(programs)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4))
