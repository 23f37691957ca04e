"""`export` and `review` of a run of 7,350 and of 73,500 units: processor time, time to the first row, and memory.

Usage: python exporting.py [--quick] [--json FILE]. Each verb is a process of its own, which writes to a pipe.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.registry import PROJECTIONS
from mephisto_es.tests.benchmarks.large import peak_bytes
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark
from mephisto_es.tests.sample_log import submitted_history

WORKERS = 500
_COMMITTED_TOGETHER = 2000
_VERB = "verb"
VERBS: dict[str, Sequence[str]] = {
    "export, jsonl": ("export", "--format", "jsonl"),
    "export, csv": ("export", "--format", "csv"),
    "export, parquet": ("export", "--format", "parquet"),
    "review": ("review",),
    "review --json": ("review", "--json"),
}
MAX_CPU_SECONDS = 6.0
MAX_MEMORY_RATIO = 1.3


class Sizes(msgspec.Struct, frozen=True):
    """The numbers of units, the larger ten times the smaller."""

    small: int = 7_350
    large: int = 73_500


QUICK = Sizes(small=200, large=2_000)


class Cost(NamedTuple):
    """The cost of one verb."""

    cpu_seconds: float
    first_row_seconds: float
    peak_mib: float


def measure(report: Report, sizes: Sizes) -> None:
    """Run each verb on both runs."""
    with tempfile.TemporaryDirectory() as folder:
        logs = {units: Path(folder) / f"{units}.db" for units in (sizes.small, sizes.large)}
        for units, path in logs.items():
            _make(path, units)
        for name, words in VERBS.items():
            small, large = (_cost(words, path) for path in logs.values())
            report.tell(f"{name}, {sizes.large:,} units", large._asdict())
            report.judge(
                f"{name}: memory of ten times the units", large.peak_mib / small.peak_mib, "<=", MAX_MEMORY_RATIO
            )
            report.judge(f"{name}: seconds of CPU", large.cpu_seconds, "<=", MAX_CPU_SECONDS)


def _make(path: Path, units: int) -> None:
    """Write a log with a run whose work is all submitted and unreviewed."""
    history = submitted_history(units, WORKERS)
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        for start in range(0, len(history), _COMMITTED_TOGETHER):
            log.commit(history[start : start + _COMMITTED_TOGETHER])


def _cost(words: Sequence[str], path: Path) -> Cost:
    """Run a verb to its end, and return what it cost."""
    verb, *options = words
    began = time.perf_counter()
    command = [sys.executable, __file__, _VERB, verb, str(path), "1", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        if process.stdout is None or process.stderr is None:
            raise AssertionError("pipes were asked for")
        process.stdout.read(1)
        first = time.perf_counter() - began
        while process.stdout.read(2**20):
            pass
        cpu, peak = map(float, process.stderr.read().split())
    return Cost(cpu, first, peak)


def _run_verb(words: Sequence[str]) -> None:
    """Run a verb in this process, and write its seconds of CPU and its peak of memory in MiB to standard error."""
    main(list(words), standalone_mode=False)
    sys.stdout.flush()
    sys.stderr.write(f"{time.process_time()} {peak_bytes() / 2**20}")


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("exports and reviews of many units")
    measure(report, QUICK if quick else Sizes())
    return report


if __name__ == "__main__":
    if sys.argv[1:2] == [_VERB]:
        _run_verb(sys.argv[2:])
        sys.exit()
    sys.exit(run_benchmark("Measure exports and reviews of many units.", benchmark, sys.argv[1:]))
