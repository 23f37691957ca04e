"""Measures how long workers wait for a killed operator: from its restart until a request of theirs is answered.

Usage: python restart.py [--quick] [--json FILE]. Operators are processes of their own, killed and resumed as users do
it; a worker who comes meanwhile is held by the router until the operator is there.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx
import msgspec
import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.adapters.crowd.page_client import PageClient, Visit
from mephisto_es.adapters.crowd.sentence_rating import configuration
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.operations.logger_core import set_mephisto_log_level
from mephisto_es.tests.benchmarks.launching import launch
from mephisto_es.tests.benchmarks.processes import cpu_seconds
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark
from mephisto_es.tests.processes import COMMAND, operator_process, resumed

_HOST = "host"
_RESTART_SECONDS = 2
#: What a unit leaves in the log until it is on offer.
_EVENTS_OF_A_UNIT = 3


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    events: int = 100_000
    rounds: int = 9
    #: People who have done a unit each before the first kill.
    visits: int = 100


QUICK = Sizes(events=3_000, rounds=1, visits=5)


class _Restart(NamedTuple):
    """The duration of one restart."""

    seconds: float
    cpu_seconds: float


async def measure(report: Report, sizes: Sizes) -> None:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        try:
            restarts = await _restarts(data_dir, sizes)
        finally:
            with trio.CancelScope(shield=True):
                await trio.run_process(
                    [COMMAND, "resources", "release", str(data_dir), "1"], check=False, capture_stdout=True
                )
        with LogReader(data_dir / DATABASE_FILE) as log:
            events = log.head().seq
    seconds = [restart.seconds for restart in restarts]
    report.tell(
        f"restarts with a log of {events:,} events",
        {
            "fastest, s": min(seconds),
            "median, s": median(seconds),
            "slowest, s": max(seconds),
            "operator's CPU time, s": median([restart.cpu_seconds for restart in restarts]),
        },
    )
    # The fastest: nearly all of it is one process at work, and what else the machine does can only add to that.
    what = f"from restart to the first request served, log of {sizes.events:,} events, s"
    report.judge(what, min(seconds), "<=", _RESTART_SECONDS)


async def _restarts(data_dir: Path, sizes: Sizes) -> list[_Restart]:
    units = sizes.events // _EVENTS_OF_A_UNIT
    command = [sys.executable, __file__, _HOST, str(data_dir), str(units)]
    async with operator_process(command) as operator, _browser(operator.url) as browser:
        for number in range(sizes.visits):
            await _visit(browser, f"early-{number}", hands_in=True)
        await operator.kill()
        return [await _restart(data_dir, browser, f"late-{number}") for number in range(sizes.rounds)]


async def _restart(data_dir: Path, browser: httpx.AsyncClient, worker: str) -> _Restart:
    """Restart an operator beside a worker who waits."""
    began_at = time.perf_counter()
    served = trio.Event()
    seconds = 0.0

    async def wait() -> None:
        nonlocal seconds
        await _visit(browser, worker)
        seconds = time.perf_counter() - began_at
        served.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        async with resumed(data_dir) as operator:
            await served.wait()
            cpu = cpu_seconds(operator.process.pid)
            await operator.kill()
    return _Restart(seconds, cpu)


async def _visit(browser: httpx.AsyncClient, worker: str, *, hands_in: bool = False) -> None:
    page = PageClient(browser, Visit(worker, "1"), time.time)
    agent = (await page.request_agent()).agent_id
    if agent is None:
        raise LookupError("there is no work")
    if hands_in:
        await page.submit_task(agent, {"rating": 3, "comment": None})


def _browser(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=60, trust_env=False)


def _write_sentences(data_dir: Path, units: int) -> Path:
    data_dir.mkdir(parents=True)
    csv = data_dir / "sentences.csv"
    csv.write_text("sentence\n" + "".join(f"Sentence {number} is like the others.\n" for number in range(units)))
    return csv


async def _host(data_dir: Path, units: int) -> None:
    """Be the operator that is killed first: with all units on offer."""
    set_mephisto_log_level(level="error")
    cfg = configuration("python").mephisto
    cfg.blueprint.data_csv = str(_write_sentences(data_dir, units))
    async with open_operator(data_dir) as operator:
        live_run = await launch(operator, cfg, None, units)
        sys.stdout.write(f"Open {live_run.url}\n")
        sys.stdout.flush()
        await trio.sleep_forever()


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("restart")
    trio.run(measure, report, QUICK if quick else Sizes())
    return report


if __name__ == "__main__":
    if sys.argv[1:2] == [_HOST]:
        trio.run(partial(_host, Path(sys.argv[2]), int(sys.argv[3])))
    else:
        sys.exit(run_benchmark("Measure how soon a killed operator serves again.", benchmark, sys.argv[1:]))
