"""The review desk on 10,000 pieces of unreviewed work: how long each filter, each order and the next page take.

Usage: python review_desk.py [--quick] [--json FILE].
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import httpx
import msgspec
import trio

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.registry import PROJECTIONS
from mephisto_es.tests.adapters.web.process import served
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark
from mephisto_es.tests.sample_log import RUN, submitted_history

#: The most that a page of the desk may take, in milliseconds.
BAR_MS = 300.0
WORKERS = 50
#: Requests of each kind; the first one, which fills caches, does not count.
REPEATS = 7
#: Query of the desk by what it does.
PAGES = {
    "first page": "",
    "a unit in the middle": "?unit={middle}",
    "one worker": "?worker=worker-7",
    "words that a third has": "?text=bees",
    "words that nobody has": "?text=no+such+words",
    "words with other letters": "?text=na%C3%AFve",
    "the fastest first": "?order=fastest",
    "one kind, some seconds": "?kind=work&min_seconds=1&order=worker",
}


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    units: int = 10_000


QUICK = Sizes(units=300)


async def measure(report: Report, sizes: Sizes) -> None:
    """Load each page several times."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "mephisto.db"
        with SqliteLog.create_or_open(database, PROJECTIONS) as log:
            log.commit(submitted_history(sizes.units, WORKERS))
        async with served(database) as (_, address), httpx.AsyncClient(timeout=60) as client:
            for name, query in PAGES.items():
                page = f"{address}/runs/{RUN}/review/desk{query.format(middle=sizes.units // 2)}"
                times = [await _load(client, page) for _ in range(REPEATS)][1:]
                report.judge(f"{name}, median ms", median(times), "<=", BAR_MS)


async def _load(client: httpx.AsyncClient, page: str) -> float:
    began = perf_counter()
    (await client.get(page)).raise_for_status()
    return (perf_counter() - began) * 1e3


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("review desk", "httpx")
    trio.run(measure, report, QUICK if quick else Sizes())
    return report


if __name__ == "__main__":
    sys.exit(run_benchmark("Measure the review desk on much work.", benchmark, sys.argv[1:]))
