"""All benchmarks, one after the other, and their bars together: what `make bench` runs.

Usage: python everything.py [--quick] [--json FILE].
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from mephisto_es.tests.benchmarks.report import Report, print_bars

BENCHMARKS = (
    *("log_bench.py", "operator_bench.py", "visits.py", "reviewing.py", "idle_sockets.py", "answers.py"),
    *("restart.py", "decisions.py", "growth.py", "bystanders.py", "review_desk.py", "exporting.py"),
    "adjudication.py",
)


def run(name: str, quick: bool) -> Report | None:
    """Run one benchmark in a process of its own; None: it broke."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, str(Path(__file__).with_name(name)), "--json", str(report)]
        subprocess.run([*command, *(["--quick"] if quick else [])], check=False)
        return msgspec.json.decode(report.read_bytes(), type=Report) if report.exists() else None


def main(arguments: Sequence[str]) -> int:
    """Run them all; the exit code is 0 if none broke and, unless they were quick, every bar was met."""
    parser = argparse.ArgumentParser(description="Run all benchmarks.")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that they run: bars are not held")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    chosen = parser.parse_args(arguments)
    reports = {name: run(name, chosen.quick) for name in BENCHMARKS}
    whole = [report for report in reports.values() if report is not None]
    console = Console()
    console.rule("All bars")
    print_bars(whole, console)
    for name, report in reports.items():
        if report is None:
            console.print(f"[red]{name} broke[/]")
    if chosen.json is not None:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=2))
    return 0 if len(whole) == len(BENCHMARKS) and (chosen.quick or all(report.all_met for report in whole)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
