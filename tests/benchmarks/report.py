"""The report of a benchmark: figures with their required values, as tables for people and as JSON for programs."""

from __future__ import annotations

import argparse
import platform
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table


class Verdict(msgspec.Struct, frozen=True):
    """A figure beside what it must be."""

    what: str
    figure: float
    #: `<=` or `>=`.
    must_be: str
    bar: float
    #: The same figure for a peer, where it has one.
    peer: float | None = None

    @property
    def met(self) -> bool:
        """True if the bar is met."""
        return self.figure <= self.bar if self.must_be == "<=" else self.figure >= self.bar


class Report(msgspec.Struct):
    """All figures of a run of a benchmark."""

    title: str
    versions: dict[str, str]
    #: Who the peer is that some figures have beside them.
    peer: str | None = None
    verdicts: list[Verdict] = []
    details: dict[str, dict[str, float]] = {}

    def judge(self, what: str, figure: float, must_be: str, bar: float, peer: float | None = None) -> None:
        """Put a figure beside its bar, and say so on standard error, as what follows may take minutes."""
        verdict = Verdict(what, round(figure, 3), must_be, bar, None if peer is None else round(peer, 3))
        self.verdicts.append(verdict)
        sys.stderr.write(f"{what}: {verdict.figure:,} (must be {must_be} {bar:,})\n")

    def tell(self, title: str, figures: Mapping[str, float]) -> None:
        """Keep figures that have no bar."""
        self.details[title] = {name: round(figure, 3) for name, figure in figures.items()}

    @property
    def all_met(self) -> bool:
        """True if every bar is met."""
        return all(verdict.met for verdict in self.verdicts)


def new_report(title: str, *libraries: str, peer: str | None = None) -> Report:
    """An empty report that names the versions of what it measures.

    Args:
        title: what is measured.
        libraries: distributions, beside this project and trio, whose versions matter.
        peer: who is compared, if anybody is.
    """
    versions = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    versions |= {name: version(name) for name in ("mephisto-es", "trio", "msgspec", *libraries)}
    return Report(title, versions, peer)


def print_details(report: Report, console: Console) -> None:
    """Print the figures that have no bar."""
    console.print(f"[bold]{report.title}[/]  [dim]{', '.join(f'{k} {v}' for k, v in report.versions.items())}[/]")
    for title, figures in report.details.items():
        table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2))
        for name, figure in figures.items():
            table.add_row(name, f"{figure:,.2f}")
        console.print(table)


def print_bars(reports: Sequence[Report], console: Console) -> None:
    """Print what was figured beside what it must be."""
    if not any(report.verdicts for report in reports):
        return
    peers = [report.peer for report in reports if report.peer]
    bars = Table("", box=None, padding=(0, 2, 0, 0), title="Bars", title_justify="left")
    for heading in ("figure", "must be", *peers[:1]):
        bars.add_column(heading, justify="right")
    bars.add_column()
    for report in reports:
        for verdict in report.verdicts:
            peer = "" if verdict.peer is None else f"{verdict.peer:,}"
            bars.add_row(
                "[green]met[/]" if verdict.met else "[red]not met[/]",
                f"{verdict.figure:,}",
                f"{verdict.must_be} {verdict.bar:,}",
                *([peer] if peers else []),
                verdict.what,
            )
    console.print(bars)


def run_benchmark(about: str, measure: Callable[[bool], Report], arguments: Sequence[str]) -> int:
    """Measure, print, and say by the exit code whether every bar was met.

    Args:
        about: what `--help` says.
        measure: makes the report; told whether it is to be quick.
        arguments: the command line's.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs; its figures say little")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    chosen = parser.parse_args(arguments)
    report = measure(chosen.quick)
    console = Console()
    print_details(report, console)
    print_bars([report], console)
    if chosen.json is not None:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    return 0 if report.all_met else 1
