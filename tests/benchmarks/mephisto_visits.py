"""Whole visits through Mephisto and through us, in turns: how many a second, as a multiple.

Usage: MEPHISTO_PYTHON=PYTHON python mephisto_visits.py [--quick] [--json FILE], where PYTHON is that of an environment
with Mephisto 1.1.1: `make bench-peers` makes one. Operators, routers and those who visit are processes of their own.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import msgspec
import trio

from mephisto_es.tests.benchmarks import visitors
from mephisto_es.tests.benchmarks.hosted_run import Hosted, hosted_run
from mephisto_es.tests.benchmarks.processes import cpu_seconds, program
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark
from mephisto_es.tests.ports import free_port

_MEPHISTO = "mephisto"
_HOST = Path(__file__).with_name("mephisto_host.py")
_GIVE_UP_SECONDS = 3600
_WARMING_UP = 5


class Case(msgspec.Struct, frozen=True):
    """A run that is visited; Mephisto refuses some workers when few of its units are left."""

    units: int
    workers: int
    visits: int
    #: Our visits in a second as a multiple of Mephisto's, by the type of our router.
    at_least: dict[str, float]


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    rounds: int = 3
    cases: tuple[Case, ...] = (
        Case(1000, 16, 300, {"python": 12, "node": 10}),
        Case(1000, 64, 300, {"python": 12, "node": 10}),
        Case(5000, 64, 300, {"python": 40, "node": 30}),
    )


QUICK = Sizes(rounds=1, cases=(Case(100, 4, 20, {"python": 1, "node": 1}),))


class Turn(msgspec.Struct, frozen=True):
    """Visits through one system."""

    visits_a_second: float
    request_agent_seconds: float
    #: Of operator and router, for a visit.
    cpu_seconds: float


async def measure(report: Report, sizes: Sizes) -> None:
    """Measure every case through every system in turn, as often as there are rounds."""
    with trio.fail_after(_GIVE_UP_SECONDS):
        for case in sizes.cases:
            turns: dict[str, list[Turn]] = {system: [] for system in (_MEPHISTO, *case.at_least)}
            for _ in range(sizes.rounds):
                for system, done in turns.items():
                    done.append(await _turn(case, system))
            _tell(report, case, turns)


def _tell(report: Report, case: Case, turns: dict[str, list[Turn]]) -> None:
    where = f"{case.units:,} units, {case.workers} workers"
    for system, done in turns.items():
        rates = [turn.visits_a_second for turn in done]
        figures = {
            "visits/s": median(rates),
            "slowest, visits/s": min(rates),
            "fastest, visits/s": max(rates),
            "request_agent, median ms": 1000 * median(turn.request_agent_seconds for turn in done),
            "operator and router, CPU ms a visit": 1000 * median(turn.cpu_seconds for turn in done),
        }
        report.tell(f"{system}, {where}", figures)
    for system, bar in case.at_least.items():
        pairs = zip(turns[system], turns[_MEPHISTO], strict=True)
        ratio = median(ours.visits_a_second / theirs.visits_a_second for ours, theirs in pairs)
        report.judge(f"visits/s through our {system} router as a multiple of Mephisto's, {where}", ratio, ">=", bar)


async def _turn(case: Case, system: str) -> Turn:
    sys.stderr.write(f"{system}: {case.units:,} units, {case.workers} workers\n")
    run = _mephisto_run(case.units) if system == _MEPHISTO else hosted_run(case.units, system)
    async with run as hosted, program(visitors.PROGRAM, hosted.url) as crowd:
        await crowd.tell(visitors.VisitsRequest(_WARMING_UP, 1))
        await crowd.hear(visitors.VisitsReply)
        cpu = _cpu(hosted)
        await crowd.tell(visitors.VisitsRequest(case.visits, case.workers))
        reply = await crowd.hear(visitors.VisitsReply)
        cpu = _cpu(hosted) - cpu
    return Turn(case.visits / reply.seconds, median(reply.request_agent_seconds), cpu / case.visits)


def _cpu(hosted: Hosted) -> float:
    return cpu_seconds(hosted.operator_pid) + cpu_seconds(hosted.router_pid)


@asynccontextmanager
async def _mephisto_run(units: int) -> AsyncIterator[Hosted]:
    with tempfile.TemporaryDirectory() as folder:
        port = str(free_port())
        async with program(_HOST, str(units), folder, port, python=os.environ["MEPHISTO_PYTHON"]) as process:
            yield await process.hear(Hosted)


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("visits beside Mephisto 1.1.1", "starlette", "uvicorn", "trio-websocket")
    trio.run(measure, report, QUICK if quick else Sizes())
    return report


if __name__ == "__main__":
    sys.exit(run_benchmark("Measure visits through Mephisto and through us.", benchmark, sys.argv[1:]))
