"""Measures the cost of an operator with a small and a large run, with many people at work, and at a launch.

Usage: python operator_bench.py [--quick] [--json FILE]. Each operator is a process of its own; the small and the large
run take turns, so that what else the machine does hits both.
"""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from statistics import median, quantiles

import msgspec
import trio

from mephisto_es.tests.benchmarks.bench_server import BenchReply, BenchRequest
from mephisto_es.tests.benchmarks.processes import Program, program
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark

_GIVE_UP_SECONDS = 900


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    small_run: int = 100
    large_run: int = 10_000
    rounds: int = 11
    visits: int = 40
    agents: int = 10_000
    newcomers: int = 300


QUICK = Sizes(large_run=500, rounds=2, visits=10, agents=300, newcomers=20)


async def measure(report: Report, sizes: Sizes) -> None:
    """Measure everything."""
    with trio.fail_after(_GIVE_UP_SECONDS):
        await _small_and_large(report, sizes)
        await _many_at_work(report, sizes)


async def _small_and_large(report: Report, sizes: Sizes) -> None:
    """Visits one after the other, at a small run and at a large one in turn."""
    reply: dict[int, list[BenchReply]] = {sizes.small_run: [], sizes.large_run: []}
    async with _station(sizes.small_run) as small, _station(sizes.large_run) as large:
        for number in range(sizes.rounds + 1):
            for units, operator in ((sizes.small_run, small), (sizes.large_run, large)):
                done = await _do(operator, BenchRequest(visits=sizes.visits))
                if number:  # the first round warms up
                    reply[units].append(done)
    medians = {
        units: median([s for done in turns for s in done.registration_seconds]) for units, turns in reply.items()
    }
    for units, turns in reply.items():
        cpu = median([done.cpu_seconds / sizes.visits for done in turns]) * 1e3
        figures = {"registration, median ms": medians[units] * 1e3, "cpu ms a visit": cpu}
        report.tell(f"visits one after the other at a run of {units:,} units", figures)
        report.judge(f"operator CPU for a visit at {units:,} units, ms", cpu, "<=", 2)
    ratio = medians[sizes.large_run] / medians[sizes.small_run]
    report.judge(f"registration answered at {sizes.large_run:,} units as a multiple", ratio, "<=", 1.3)


async def _many_at_work(report: Report, sizes: Sizes) -> None:
    """Newcomers beside many who are at work."""
    async with _station(sizes.agents + sizes.newcomers) as operator:
        before = await _do(operator, BenchRequest(visits=1))
        launched = sizes.agents + sizes.newcomers
        report.judge(f"launch of {launched:,} units, s", before.launch_seconds, "<=", 10)
        beside = await _do(operator, BenchRequest(stay=sizes.agents, come=sizes.newcomers))
    p99 = quantiles(beside.registration_seconds, n=100)[98] * 1e3
    report.tell(
        f"{sizes.agents:,} agents at work",
        {
            "memory without them, MiB": before.resident_mib,
            "memory with them, MiB": beside.resident_mib,
            "registration, median ms": median(beside.registration_seconds) * 1e3,
            "registration, p99 ms": p99,
        },
    )
    report.judge(f"memory of an operator with {sizes.agents:,} agents at work, MiB", beside.resident_mib, "<=", 1024)
    report.judge(f"registration beside {sizes.agents:,} agents, p99 ms", p99, "<=", 50)


def _station(units: int) -> AbstractAsyncContextManager[Program]:
    return program(Path(__file__).with_name("bench_server.py"), str(units))


async def _do(server: Program, request: BenchRequest) -> BenchReply:
    await server.tell(request)
    return await server.hear(BenchReply)


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("operator", "structlog")
    trio.run(measure, report, QUICK if quick else Sizes())
    return report


if __name__ == "__main__":
    sys.exit(run_benchmark("Measure an operator.", benchmark, sys.argv[1:]))
