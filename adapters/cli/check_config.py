"""Implements `mephisto-es check-config`: say of configuration files which run, and what the others lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.markup import escape

from ...core.operations.configuration.file_check import FileReport, FileVerdict, check_config_file
from .common.output import as_json_option, console, print_json

_STYLES = {FileVerdict.RUNS: "green", FileVerdict.RUNS_WITH_REMARKS: "yellow", FileVerdict.DOES_NOT_RUN: "red"}
_ENDINGS = (".yaml", ".yml")


class FileReports(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for all files."""

    files: list[FileReport]
    #: Number of files that are no configurations of runs.
    others: int


@click.command("check-config")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@as_json_option
def check_config_command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check configuration files of runs, also those written for Mephisto. A PATH is a file or a folder of them.

    Exit code 0: all of them run. 1: at least one does not.

    \b
    Example:
      mephisto-es check-config hydra_configs/conf
    """
    if missing := [path for path in paths if not path.exists()]:
        raise click.UsageError(f"There is no file or folder {missing[0]}.")
    reports: list[FileReport] = []
    others = 0
    for file in _files(paths):
        report = check_config_file(file)
        others += report is None
        reports += [report] if report is not None else []
    if as_json:
        print_json(FileReports(files=reports, others=others))
    else:
        _print(reports, others)
    if any(report.verdict is FileVerdict.DOES_NOT_RUN for report in reports):
        raise click.exceptions.Exit(1)


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.suffix in _ENDINGS and file.is_file())
        else:
            yield path


def _print(reports: list[FileReport], others: int) -> None:
    out = console()
    for report in reports:
        out.print(f"{escape(report.file)}: [{_STYLES[report.verdict]}]{report.verdict.value}[/]", soft_wrap=True)
        for line in (*report.problems, *report.remarks):
            out.print(f"  {escape(line)}", soft_wrap=True, highlight=False)
    counts = Counter(report.verdict for report in reports)
    parts = ", ".join(f"{verdict.value}: {counts[verdict]}" for verdict in FileVerdict)
    rest = f"; files that configure no run: {others}" if others else ""
    out.print(f"{parts}{rest}", highlight=False)
