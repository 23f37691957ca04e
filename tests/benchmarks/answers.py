"""Measures how long verbs take on a terminal: each as a process of its own, on the demo's log and on a long job's.

Usage: python answers.py [--quick] [--json FILE].
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec

from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.tests.benchmarks import long_job
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark

_COMMAND = str(Path(sys.executable).parent / "mephisto-es")
_GIVE_UP_SECONDS = 900
_DEMO_SECONDS, _LARGE_SECONDS = 1, 2
#: Where in the log the past moment is that is asked about: midway between two snapshots.
_PAST_PART = 0.55

#: Stands for the database in a command line.
_DATABASE = "DATABASE"
_ON_THE_DEMO = (
    "runs DATABASE",
    "status DATABASE 1",
    "timeline DATABASE unit-1",
    "explain DATABASE agent-1",
    "explain DATABASE worker-1",
    "blockers DATABASE 1",
    "ledger DATABASE 1",
    "ledger DATABASE 1 verify",
    "review DATABASE 1",
    "export DATABASE 1",
    "show DATABASE",
    "show DATABASE --seq 300",
    "diff DATABASE 100 120",
    "replay DATABASE",
    "verify DATABASE",
    "resources list DATABASE",
    "requesters DATABASE",
    "projections DATABASE list",
)


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    rounds: int = 5
    demo_units: int = 100
    large_events: int = 1_000_000


QUICK = Sizes(rounds=1, demo_units=40, large_events=20_000)


def measure(report: Report, sizes: Sizes, folder: Path) -> None:
    """Measure everything."""
    demo = ("demo", "--units", str(sizes.demo_units), "--think", "0.1", "--data-dir", str(folder))
    _run(*demo)
    for line in _ON_THE_DEMO:
        _judge(report, line, folder, "the demo's log", sizes.rounds, _DEMO_SECONDS)
    large = folder / "large.db"
    long_job.make(str(large), sizes.large_events)
    with open_as_of(large) as moment:
        unit, agent = moment.db.execute("SELECT unit_id, agent_id FROM agents ORDER BY agent_id").fetchone()
        head = moment.seq
    # Keeps snapshots, without which a past moment takes as long as reading all events before it.
    _run("projections", str(large), "rebuild")
    past = f"--seq {int(head * _PAST_PART)}"
    for line in (
        "status DATABASE 1",
        f"timeline DATABASE unit-{unit}",
        "timeline DATABASE worker-1",
        f"explain DATABASE agent-{agent}",
        "explain DATABASE worker-1",
    ):
        for asked in (line, f"{line} {past}"):
            _judge(report, asked, large, f"{head:,} events", sizes.rounds, _LARGE_SECONDS)


def _judge(report: Report, line: str, database: Path, where: str, rounds: int, bar: int) -> None:
    """Judge the median of a few rounds; a first one, which brings the file into memory, is not counted."""
    words = [str(database) if word == _DATABASE else word for word in line.split()]
    seconds = [_run(*words) for _ in range(rounds + 1)][1:]
    report.judge(f"{line.replace(f' {_DATABASE}', '')} on {where}, s", median(seconds), "<=", bar)


def _run(*words: str) -> float:
    """Seconds that a command takes."""
    began = time.perf_counter()
    subprocess.run([_COMMAND, *words], check=True, capture_output=True, timeout=_GIVE_UP_SECONDS)
    return time.perf_counter() - began


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("answers at a terminal", "click", "rich")
    with tempfile.TemporaryDirectory() as folder:
        measure(report, QUICK if quick else Sizes(), Path(folder))
    return report


if __name__ == "__main__":
    sys.exit(run_benchmark("Measure how long verbs take to answer.", benchmark, sys.argv[1:]))
