"""The adjudication page on 10,000 items: how long the page, one item, one decision and the list take.

Usage: python adjudication.py [--quick] [--json FILE].
"""

from __future__ import annotations

import re
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
from mephisto_es.tests.sample_log import RUN, judged_history

#: The most that a page or a decision may take, in milliseconds.
BAR_MS = 300.0
WORKERS = 50
JUDGMENTS = 2
#: Requests of each kind; the first one, which fills caches, does not count.
REPEATS = 7


class Sizes(msgspec.Struct, frozen=True):
    """The number of items that are measured."""

    items: int = 10_000


QUICK = Sizes(items=300)


def answer(worker: int, item: int) -> dict[str, object]:
    """Return an answer; those to every tenth item differ."""
    return {"label": "dog" if item % 10 == 0 and worker % 2 else "cat", "why": f"seen by {worker} in {item}"}


async def measure(report: Report, sizes: Sizes) -> None:
    """Look at items, and decide some, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "mephisto.db"
        with SqliteLog.create_or_open(database, PROJECTIONS) as log:
            log.commit(judged_history(sizes.items, JUDGMENTS, WORKERS, answer))
        async with served(database) as (_, address), httpx.AsyncClient(timeout=120) as client:
            page = f"{address}/runs/{RUN}/adjudicate"
            looks, decisions = [], []
            for number in range(1, REPEATS + 1):
                began = perf_counter()
                text = (await client.get(page, params={"assignment": str(10 * number)})).raise_for_status().text
                looks.append((perf_counter() - began) * 1e3)
                token = re.search(r'name="form_token" value="([^"]*)"', text)
                fields = {
                    "form_token": token[1] if token else "",
                    "assignment": str(10 * number),
                    "question": "label",
                    "after": "0",
                    "label": "cat",
                }
                began = perf_counter()
                done = await client.post(page, data=fields, headers={"origin": address})
                decisions.append((perf_counter() - began) * 1e3)
                if done.status_code != httpx.codes.SEE_OTHER:
                    raise AssertionError(f"{done.status_code}: {done.text[:200]}")
            report.judge("an item and the list, median ms", median(looks[1:]), "<=", BAR_MS)
            report.judge("one decision, median ms", median(decisions[1:]), "<=", BAR_MS)


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("adjudication", "httpx")
    trio.run(measure, report, QUICK if quick else Sizes())
    return report


if __name__ == "__main__":
    sys.exit(run_benchmark("Measure the adjudication of many items.", benchmark, sys.argv[1:]))
