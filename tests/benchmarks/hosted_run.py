"""A run in a process of its own, with a real router, as a launch script would have it; and how to start one.

Usage: hosted_run.py UNITS python|node. Answers where workers come to, and ends when standard input does.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import trio

from mephisto_es.adapters.architects.router.process import PID_FILE
from mephisto_es.adapters.crowd.sentence_rating import configuration, sentences
from mephisto_es.tests.benchmarks.launching import launch, open_bench_operator
from mephisto_es.tests.benchmarks.processes import answer, program, standard_input


class Hosted(msgspec.Struct):
    """A run that workers can come to."""

    url: str
    operator_pid: int
    router_pid: int
    #: Folder with the log.
    data_dir: str


@asynccontextmanager
async def hosted_run(units: int, server_type: str) -> AsyncIterator[Hosted]:
    """A run with so many units on offer."""
    async with program(Path(__file__), str(units), server_type) as process:
        hosted = await process.hear(Hosted)
        hosted.operator_pid = process.pid
        yield hosted


async def _host(units: int, server_type: str) -> None:
    async with open_bench_operator() as bench:
        live_run = await launch(bench.operator, configuration(server_type).mephisto, sentences(units), units)
        router_pid = int((bench.runs / str(live_run.task_run) / PID_FILE).read_text())
        answer(Hosted(live_run.url, 0, router_pid, str(bench.runs.parent)))
        async for _ in standard_input():
            pass


if __name__ == "__main__":
    trio.run(_host, int(sys.argv[1]), sys.argv[2])
