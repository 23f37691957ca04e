"""Measures what grows with what has been: opening a log for writing, and the next visit of a worker with many visits.

Usage: python growth.py [--quick] [--json FILE]. Each opening is a process of its own; with the kept state and without
take turns.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from subprocess import run

import msgspec

from mephisto_es.adapters.composition.clock_and_ids import SystemClock
from mephisto_es.adapters.composition.ledger import ledger_of
from mephisto_es.adapters.log.commit_thread import commit_in_thread
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.state_file import state_path
from mephisto_es.core.commands.admission import Applicant, AssignUnit
from mephisto_es.core.commands.agent import SubmitUnit
from mephisto_es.core.commands.base import Command
from mephisto_es.core.decisions.registry import DECISIONS
from mephisto_es.core.payloads import commitment
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import ids
from mephisto_es.projections.registry import PROJECTIONS
from mephisto_es.tests.benchmarks import long_job
from mephisto_es.tests.benchmarks.processes import resident_mib
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark
from mephisto_es.tests.sample_log import offered_history

_OPEN = "open"
_RUN = ids.TaskRunId(1)
_WORKER = ids.WorkerId(1)
_OPEN_CPU_SECONDS = {100_000: 0.5, 1_000_000: 1.2}
_LAST_TO_FIRST = 1.1


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    events: tuple[int, ...] = (100_000, 1_000_000)
    rounds: int = 5
    visits: int = 5000


QUICK = Sizes(events=(3000,), rounds=1, visits=200)


class Opening(msgspec.Struct):
    """The cost of one opening."""

    events: int
    seconds: float
    cpu_seconds: float
    resident_mib: float


def measure(report: Report, sizes: Sizes) -> None:
    """Measure everything."""
    for count in sizes.events:
        with tempfile.TemporaryDirectory() as folder:
            _measure_openings(report, Path(folder) / "mephisto.db", count, sizes.rounds)
    _measure_visits(report, sizes.visits)


def _measure_openings(report: Report, log: Path, count: int, rounds: int) -> None:
    """Open a log again and again, with its kept state and without."""
    long_job.make(str(log), count)
    _open_in_process(log)
    kept: list[Opening] = []
    folded: list[Opening] = []
    for _ in range(rounds):
        kept.append(_open_in_process(log))
        state_path(log).unlink()
        # Writes the file again, when it closes the log.
        folded.append(_open_in_process(log))
    for title, done in (("with the kept state", kept), ("from the first event", folded)):
        report.tell(
            f"opening a log of {done[0].events:,} events {title}",
            {
                "median, s": median(one.seconds for one in done),
                "CPU, s": median(one.cpu_seconds for one in done),
                "slowest, s": max(one.seconds for one in done),
                "memory, MiB": median(one.resident_mib for one in done),
            },
        )
    bar = _OPEN_CPU_SECONDS.get(count)
    if bar is not None:
        cpu = median(one.cpu_seconds for one in kept)
        report.judge(f"opening a log of {count:,} events for writing, CPU s", cpu, "<=", bar)


def _open_in_process(log: Path) -> Opening:
    command = [sys.executable, __file__, _OPEN, str(log)]
    return msgspec.json.decode(run(command, check=True, capture_output=True).stdout, type=Opening)


def _open(log: Path) -> None:
    """Open a log as every writer does, say what that took, and close it."""
    began, cpu = time.perf_counter(), time.process_time()
    with SqliteLog.create_or_open(log, PROJECTIONS) as opened:
        ledger, keeper = ledger_of(opened, SystemClock(), commit_in_thread)
        ledger.state.highest_ids()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        opening = Opening(opened.head().seq, seconds, cpu, resident_mib())
        keeper.keep_at_close()
    sys.stdout.buffer.write(msgspec.json.encode(opening))


def _measure_visits(report: Report, visits: int) -> None:
    """Let one worker do all units of a run, one after the other."""
    state = DecisionState()
    for request in offered_history(visits, workers=1):
        for stream, event in request.events:
            state.evolve(stream, event)
    tenth, costs = max(1, visits // 10), list[float]()
    for number in range(1, visits + 1):
        began = time.process_time()
        agent, registration = ids.AgentId(number), f"registration {number}"
        applicant = Applicant(_WORKER, f"token {number}", registration)
        _execute(state, AssignUnit(task_run=_RUN, applicant=applicant, agent=agent, concurrent=False))
        submission = commitment(b"{}", bytes(16), _WORKER)
        _execute(state, SubmitUnit(task_run=_RUN, agent=agent, submission=submission))
        costs.append(1e6 * (time.process_time() - began))
    first, last = median(costs[:tenth]), median(costs[-tenth:])
    report.tell(
        f"deciding on the visits of one worker, {visits:,} of them",
        {"first tenth, CPU us a visit": first, "last tenth, CPU us a visit": last},
    )
    report.judge("the last visits of a worker by the first, CPU", last / first, "<=", _LAST_TO_FIRST)


def _execute(state: DecisionState, command: Command) -> None:
    """Decide and apply, as the ledger does."""
    events = DECISIONS[type(command)](state, command)
    state.check(events)
    for stream, event in events:
        state.evolve(stream, event)


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("growth")
    measure(report, QUICK if quick else Sizes())
    return report


if __name__ == "__main__":
    if sys.argv[1:2] == [_OPEN]:
        _open(Path(sys.argv[2]))
    else:
        sys.exit(run_benchmark("Measure what grows with what has been.", benchmark, sys.argv[1:]))
