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

#: Verbs and what follows the database.
_ON_THE_DEMO = (
    ("runs",),
    ("status", "1"),
    ("timeline", "unit-1"),
    ("explain", "agent-1"),
    ("explain", "worker-1"),
    ("blockers", "1"),
    ("ledger", "1"),
    ("ledger", "1", "verify"),
    ("review", "1"),
    ("export", "1"),
    ("show",),
    ("show", "--seq", "300"),
    ("diff", "100", "120"),
    ("replay",),
    ("verify",),
    ("resources", "list"),
    ("requesters",),
    ("projections", "list"),
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
    for verb, *rest in _ON_THE_DEMO:
        _judge(report, (verb, str(folder), *rest), "the demo's log", sizes.rounds, _DEMO_SECONDS)
    large = folder / "large.db"
    long_job.make(str(large), sizes.large_events)
    with open_as_of(large) as moment:
        unit, agent = moment.db.execute("SELECT unit_id, agent_id FROM agents ORDER BY agent_id").fetchone()
        head = moment.seq
    # Keeps snapshots, without which a past moment takes as long as reading all events before it.
    _run("projections", str(large), "rebuild")
    past = ("--seq", str(int(head * _PAST_PART)))
    for verb, about in (
        ("status", "1"),
        ("timeline", f"unit-{unit}"),
        ("timeline", "worker-1"),
        ("explain", f"agent-{agent}"),
        ("explain", "worker-1"),
    ):
        for then in ((), past):
            _judge(report, (verb, str(large), about, *then), f"{head:,} events", sizes.rounds, _LARGE_SECONDS)


def _judge(report: Report, words: tuple[str, ...], where: str, rounds: int, bar: int) -> None:
    """The median of a few rounds beside the bar; a first one that fetches the file is not counted."""
    verb, _, *rest = words
    seconds = [_run(*words) for _ in range(rounds + 1)][1:]
    report.judge(f"{' '.join((verb, *rest))} on {where}, s", median(seconds), "<=", bar)


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
