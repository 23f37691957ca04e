"""Whole visits through a real router: how many a second, how long workers wait, and what they cost.

Usage: python visits.py [--quick] [--json FILE]. Router, operator and those who visit are processes of their own, and
share the machine. A submission is acknowledged when it is on the router's disk; the run it belongs to is in the log.
"""

from __future__ import annotations

import sys
from statistics import median, quantiles

import msgspec
import trio

from mephisto_es.tests.benchmarks import visitors
from mephisto_es.tests.benchmarks.hosted_run import Hosted, hosted_run
from mephisto_es.tests.benchmarks.processes import Program, cpu_seconds, program
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark

_GIVE_UP_SECONDS = 1800
#: Of a run's units, so many are worked on; the run must not end while it is measured.
_SHARE_VISITED = 0.9
_WARMING_UP = 5
_OPERATOR_CPU = "operator, cpu ms a visit"


class Case(msgspec.Struct, frozen=True):
    """A run that is visited."""

    server_type: str
    units: int
    workers: int

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.server_type} router, {self.units:,} units, {self.workers} workers"


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    rounds: int = 3
    visits: int = 1000
    cases: tuple[Case, ...] = tuple(
        Case(server_type, units, workers)
        for server_type in ("python", "node")
        for units in (100, 1000, 5000, 10_000)
        for workers in (16, 64)
    )


QUICK = Sizes(rounds=1, visits=50, cases=(Case("python", 100, 16),))


class Turn(msgspec.Struct):
    """One round of visits."""

    visits: int
    reply: visitors.VisitsReply
    operator_cpu_seconds: float
    router_cpu_seconds: float


async def measure(report: Report, sizes: Sizes) -> None:
    """Measure every case in turn, as often as there are rounds."""
    turns: dict[Case, list[Turn]] = {case: [] for case in sizes.cases}
    with trio.fail_after(_GIVE_UP_SECONDS):
        for number in range(sizes.rounds):
            for case in sizes.cases:
                sys.stderr.write(f"round {number + 1}: {case.title}\n")
                turns[case].append(await _turn(case, sizes.visits))
    for case, done in turns.items():
        figures = _figures(done)
        report.tell(case.title, figures)
        report.judge(f"operator CPU for a visit ({case.title}), ms", figures[_OPERATOR_CPU], "<=", 2)


async def _turn(case: Case, most: int) -> Turn:
    visits = min(most, int(case.units * _SHARE_VISITED)) - _WARMING_UP
    async with (
        hosted_run(case.units, case.server_type) as hosted,
        program(visitors.PROGRAM, hosted.url) as crowd,
    ):
        await _visit(crowd, _WARMING_UP, 1)
        operator, router = _cpu(hosted)
        reply = await _visit(crowd, visits, case.workers)
        operator_after, router_after = _cpu(hosted)
    return Turn(visits, reply, operator_after - operator, router_after - router)


async def _visit(crowd: Program, visits: int, workers: int) -> visitors.VisitsReply:
    await crowd.tell(visitors.VisitsRequest(visits, workers))
    return await crowd.hear(visitors.VisitsReply)


def _cpu(hosted: Hosted) -> tuple[float, float]:
    return cpu_seconds(hosted.operator_pid), cpu_seconds(hosted.router_pid)


def _figures(turns: list[Turn]) -> dict[str, float]:
    """The medians over the rounds."""

    def p99(seconds: list[float]) -> float:
        return quantiles(seconds, n=100)[98] * 1e3

    return {
        "visits/s": median([turn.visits / turn.reply.seconds for turn in turns]),
        "request_agent, median ms": median([median(turn.reply.request_agent_seconds) * 1e3 for turn in turns]),
        "request_agent, p99 ms": median([p99(turn.reply.request_agent_seconds) for turn in turns]),
        "submit_task, p99 ms": median([p99(turn.reply.submit_task_seconds) for turn in turns]),
        _OPERATOR_CPU: median([turn.operator_cpu_seconds / turn.visits * 1e3 for turn in turns]),
        "router, cpu ms a visit": median([turn.router_cpu_seconds / turn.visits * 1e3 for turn in turns]),
    }


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("visits through a router", "starlette", "uvicorn", "trio-websocket")
    trio.run(measure, report, QUICK if quick else Sizes())
    return report


if __name__ == "__main__":
    sys.exit(run_benchmark("Measure visits through real routers.", benchmark, sys.argv[1:]))
