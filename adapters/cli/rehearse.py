"""Implements `mephisto-es rehearse`: run a launch script with simulated workers before people come."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import trio
from rich.console import Console
from rich.markup import escape

from ...core.errors import ConfigError
from ...core.operations.configuration.money import amount
from ..composition.data_dir import DATABASE_FILE
from ..composition.log_choice import keep_log_here
from ..rehearsal.chromium import find_chromium
from ..rehearsal.rehearsal import rehearse
from ..rehearsal.report import HourlyPay, RehearsalReport, RunReport
from ..rehearsal.settings import RehearsalSettings
from ..terminal import echo
from ..text import format_counts
from .common.output import ILLEGAL, as_json_option, console, facts, print_json

_FILE = click.Path(resolve_path=True, path_type=Path)


@click.command("rehearse")
@click.argument("script", type=_FILE)
@click.argument("overrides", nargs=-1, metavar="[GROUP=NAME | SETTING=VALUE]...")
@click.option("--workers", default=30, show_default=True, type=click.IntRange(min=1), help="Simulated workers.")
@click.option("--units", default=50, show_default=True, type=click.IntRange(min=1), help="Units of work, about.")
@click.option("--seed", default=0, show_default=True, help="Seed of the workers' behaviour.")
@click.option(
    "--answers", type=_FILE, help="Python file with answer(unit_data, rng), which returns the work for a unit."
)
@click.option(
    "--browser/--no-browser",
    default=None,
    help="Look at the pages in headless Chromium.  [default: if it is installed]",
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for the log.  [default: a new folder]")
@as_json_option
def rehearse_command(
    script: Path,
    overrides: tuple[str, ...],
    workers: int,
    units: int,
    seed: int,
    answers: Path | None,
    browser: bool | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Run SCRIPT with its own configuration and simulated workers, and report what went wrong.

    Nobody outside is reached: the rehearsal has a log of its own, a server on this machine, and the mock provider. The
    workers go through onboarding, screening and gold units, chats and uploads; some of them return their unit, leave,
    come back, let their time run out, or press the button twice.

    \b
    Examples:
      mephisto-es rehearse run_task.py
      mephisto-es rehearse run_task.py mephisto.task.task_reward=0.10 --workers 10 --units 20
      mephisto-es rehearse run_task.py --answers my_bots.py --seed 7

    Exit code 0: nothing was found. 1: something needs a look, and is listed. 2: an argument cannot be used.
    """
    keep_log_here()
    if not script.is_file():
        raise ConfigError(f"there is no script {script}", key="SCRIPT", hint="Name the launch script, run_task.py")
    folder = (data_dir or Path(tempfile.mkdtemp(prefix="mephisto-es-rehearsal-"))).absolute()
    if (folder / DATABASE_FILE).exists():
        raise ConfigError(f"{folder} has a log already", key="--data-dir", hint="Name another folder")
    settings = RehearsalSettings(
        script=script,
        overrides=overrides,
        data_dir=folder,
        workers=workers,
        units=units,
        seed=seed,
        answers=answers,
        chromium=None if browser is False else find_chromium(),
    )
    if browser and settings.chromium is None:
        raise ConfigError("Chromium is not installed", key="--browser", hint="Install it, or leave --browser out")
    echo(f"rehearsing {script.name} in {folder}", err=True)
    report = trio.run(partial(rehearse, settings))
    if as_json:
        print_json(report)
    else:
        _print(report)
    sys.exit(ILLEGAL if any(report.findings()) else 0)


def _print(report: RehearsalReport) -> None:
    out = console()
    for run in report.runs:
        out.print(f"[bold]{escape(run.task_name)}[/]")
        table = facts()
        for name, text in _facts_of(run):
            table.add_row(name, escape(text))
        out.print(table)
    _print_findings(report, out)
    out.print(f"the log is {escape(report.database)}; the script printed {escape(report.script_output)}")


def _print_findings(report: RehearsalReport, out: Console) -> None:
    found = list(report.findings())
    for finding in found:
        out.print(f"[red]✗[/] {escape(finding)}")
    if not found:
        how = "with" if report.used_browser else "without"
        out.print(f"[green]✓[/] nothing was found, {how} a browser, in {report.seconds:.0f} s")


def _facts_of(run: RunReport) -> Iterator[tuple[str, str]]:
    """Yield the lines about one run: a name and a text."""
    crowd = run.crowd
    yield "units", format_counts(run.units) or "none"
    if run.is_chat:
        yield "", f"a unit is the part of one worker in a chat for {run.workers_per_assignment}"
        if "expired" in run.units:
            yield "", "expired: nobody came, or a worker left the chat and it was offered again as new units"
    evaluations = f", {run.screening_units} of them screening and {run.gold_units} gold units"
    yield "submissions", f"{run.submissions}{evaluations if run.screening_units or run.gold_units else ''}"
    if run.onboarded or run.onboarding_failed:
        yield "onboarding", f"{run.onboarded} passed, {run.onboarding_failed} failed"
    yield (
        "workers",
        f"{crowd.workers}: {crowd.returned} returned a unit, {crowd.disconnected} left, {crowd.reloaded} came back, "
        f"{crowd.timed_out} ran out of time, {crowd.double_clicked} submitted twice",
    )
    yield "duration", f"{run.seconds:.1f} s"
    planned = "" if run.planned_cents is None else f"; the whole run at most {amount(run.planned_cents)}"
    yield "cost", f"{amount(run.cost_cents)} if everything was accepted{planned}"
    for pay in run.pay:
        yield f"{pay.kind} worker", _pay_text(pay)


def _pay_text(pay: HourlyPay) -> str:
    if pay.cents_per_hour is None:
        return "submitted nothing"
    return f"about {amount(pay.cents_per_hour)} an hour, at an estimated {pay.seconds_per_unit:.0f} s for a unit"
