"""Workers whose live pages are open and quiet, on one router: are they answered, and what do they cost?

Usage: python idle_sockets.py [--quick] [--json FILE]. Needs as many open files as there are workers.
"""

from __future__ import annotations

import sys
import time
from statistics import median, quantiles

import msgspec
import trio

from mephisto_es.tests.benchmarks import idle_clients as watchers
from mephisto_es.tests.benchmarks.hosted_run import hosted_run
from mephisto_es.tests.benchmarks.processes import cpu_seconds, program, resident_mib
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark

_GIVE_UP_SECONDS = 600
#: The run must not end while its last workers come.
_SPARE_UNITS = 100


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    workers: int = 5000
    seconds: float = 30


QUICK = Sizes(workers=50, seconds=7)


async def measure(report: Report, sizes: Sizes, server_type: str) -> None:
    """Measure one router."""
    async with (
        hosted_run(sizes.workers + _SPARE_UNITS, server_type) as hosted,
        program(watchers.PROGRAM, hosted.url) as crowd,
    ):
        with trio.fail_after(_GIVE_UP_SECONDS):
            await crowd.tell(watchers.IdleRequest(sizes.workers, sizes.seconds))
            await crowd.hear(watchers.IdleReply)
            pids = {"router": hosted.router_pid, "operator": hosted.operator_pid, "who measures": crowd.pid}
            began, before = time.perf_counter(), {who: cpu_seconds(pid) for who, pid in pids.items()}
            reply = await crowd.hear(watchers.IdleReply)
            seconds = time.perf_counter() - began
            memory = resident_mib(hosted.router_pid)
            shares = {who: (cpu_seconds(pid) - before[who]) / seconds for who, pid in pids.items()}
    p99 = quantiles(reply.answer_seconds, n=100)[98]
    title = f"{sizes.workers:,} idle workers on a {server_type} router"
    report.tell(
        title,
        {
            "heartbeats": len(reply.answer_seconds),
            "answered within, median ms": median(reply.answer_seconds) * 1e3,
            "answered within, p99 ms": p99 * 1e3,
            "router, memory MiB": memory,
            **{f"{who}, share of a CPU": share for who, share in shares.items()},
        },
    )
    report.judge(f"{title}: sockets lost", reply.lost_sockets, "<=", 0)
    report.judge(f"{title}: heartbeats unanswered after 6 s", reply.unanswered, "<=", 0)
    report.judge(f"{title}: heartbeats answered, p99 s", p99, "<=", 1)
    report.judge(f"{title}: memory of the router, MiB", memory, "<=", 1024)


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("idle sockets", "starlette", "uvicorn", "websockets")
    trio.run(measure, report, QUICK if quick else Sizes(), "python")
    return report


if __name__ == "__main__":
    sys.exit(run_benchmark("Measure quiet live pages on a router.", benchmark, sys.argv[1:]))
