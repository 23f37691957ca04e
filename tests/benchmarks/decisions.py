"""What people wait for when they decide: many verdicts, many payments, and one click, beside a raw SQLite commit.

Usage: python decisions.py [--quick] [--json FILE].
"""

from __future__ import annotations

import re
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.adapters.control.client import open_control
from mephisto_es.adapters.control.reviews import record_verdicts
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.access import Access
from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.operations.control.requests import PayRequest, VerdictRequest
from mephisto_es.events.ids import AgentId, PaymentId, TaskRunId
from mephisto_es.projections.queries.money.pay_ledger import pay_ledger
from mephisto_es.projections.registry import PROJECTIONS
from mephisto_es.tests.adapters.web.visitor import Visitor
from mephisto_es.tests.benchmarks.measuring import median
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark
from mephisto_es.tests.sample_log import submitted_history

RUN = TaskRunId(1)
AUTHOR = "user/ann"
REVIEW = "/runs/1/review"
_VERDICT = re.compile(r'name="verdict-(\d+)"')


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    verdicts: int = 3000
    payments: int = 500
    #: Submitted units of the log on which somebody clicks; seven events each.
    clicked_units: int = 14_300
    clicks: int = 40


QUICK = Sizes(verdicts=60, payments=20, clicked_units=100, clicks=4)


def make_log(folder: Path, units: int, workers: int) -> Path:
    """Write a log in which everything is submitted."""
    database = folder / DATABASE_FILE
    requests = submitted_history(units, workers)
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        for start in range(0, len(requests), 500):
            log.commit(requests[start : start + 500])
    return database


def measure_batches(report: Report, sizes: Sizes, folder: Path) -> None:
    """Accept everything, and pay a part of it, each as one command does."""
    database = make_log(folder, sizes.verdicts, sizes.payments)
    verdicts = [
        VerdictRequest(agent=AgentId(agent), verdict=Verdict.APPROVED) for agent in range(1, sizes.verdicts + 1)
    ]
    began = time.perf_counter()
    assert trio.run(record_verdicts, database, AUTHOR, verdicts).recorded == sizes.verdicts
    seconds = time.perf_counter() - began
    report.judge(f"seconds to accept {sizes.verdicts:,} units", seconds, "<=", 3)
    with open_as_of(database) as moment:
        owed = [PaymentId(one.payment) for one in pay_ledger(moment, RUN).payments][: sizes.payments]

    async def pay() -> int:
        async with open_control(database, AUTHOR) as control:
            return (await control.execute(PayRequest(task_run=RUN, payments=tuple(owed)))).paid

    began = time.perf_counter()
    assert trio.run(pay) == len(owed)
    seconds = time.perf_counter() - began
    report.judge(f"seconds to pay {len(owed):,} payments", seconds, "<=", 5)


async def click(visitor: Visitor, count: int, raw: sqlite3.Connection) -> tuple[list[float], list[float]]:
    """Accept units in the browser, one by one; return the milliseconds of each, and of a raw commit beside it."""
    clicks, commits = list[float](), list[float]()
    for number in range(count + 1):
        page = await visitor.get(REVIEW)
        fields = {f"verdict-{_first(page.text)}": "approved"}
        token = re.search(r'name="form_token" value="(\w+)"', page.text)
        assert token is not None
        began = time.perf_counter()
        answer = await visitor.client.post(REVIEW, data={**fields, "form_token": token[1]})
        took = time.perf_counter() - began
        assert answer.status_code == 303, answer.text
        began = time.perf_counter()
        raw.execute("INSERT INTO events(data) VALUES (?)", ("x" * 300,))
        committed = time.perf_counter() - began
        if number:  # the first one opens the log
            clicks.append(took * 1000)
            commits.append(committed * 1000)
    return clicks, commits


def _first(page: str) -> str:
    found = _VERDICT.search(page)
    assert found is not None, "there is nothing to review"
    return found[1]


@contextmanager
def operator_beside(folder: Path) -> Iterator[None]:
    """Run an operator on a log in a thread, without any run."""
    opened, ended = threading.Event(), threading.Event()

    async def operate() -> None:
        async with open_operator(folder):
            opened.set()
            await trio.to_thread.run_sync(ended.wait)

    thread = threading.Thread(target=trio.run, args=(operate,))
    thread.start()
    opened.wait()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def measure_clicks(report: Report, sizes: Sizes, folder: Path) -> None:
    """Click in the web view, with and without an operator, each beside raw commits in the same turns."""
    database = make_log(folder, sizes.clicked_units, 500)
    with closing(sqlite3.connect(folder / "raw.db", isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute("CREATE TABLE events(seq INTEGER PRIMARY KEY, data TEXT)")
        for where in ("without an operator", "with an operator"):
            visitor = Visitor(database, Access(None), "127.0.0.1", wait_seconds=60)
            if where == "with an operator":
                with operator_beside(folder):
                    clicks, commits = trio.run(click, visitor, sizes.clicks, raw)
            else:
                clicks, commits = trio.run(click, visitor, sizes.clicks, raw)
                visitor.log.close()
            with open_as_of(database) as moment:
                events = moment.seq
            figure, beside = median(clicks), median(commits)
            report.judge(f"ms for a verdict in the browser {where}, {events:,} events, p50", figure, "<=", 50, beside)


def measure(quick: bool) -> Report:
    """Measure everything."""
    report, sizes = new_report("decisions", "starlette", peer="a raw commit, ms"), QUICK if quick else Sizes()
    for part in (measure_batches, measure_clicks):
        with tempfile.TemporaryDirectory() as folder:
            part(report, sizes, Path(folder))
    return report


if __name__ == "__main__":
    sys.exit(run_benchmark("Measure what people wait for when they decide.", measure, sys.argv[1:]))
