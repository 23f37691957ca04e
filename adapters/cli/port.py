"""Implements `mephisto-es port`: show how a script written for Mephisto has to be changed."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from ..porting.script import port_script
from ..terminal import echo


@click.command("port")
@click.argument("script", type=click.Path(path_type=Path), metavar="SCRIPT")
@click.option("--plain", is_flag=True, help="Leave plain functions as they are; change imports and names only.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the changed script to a file.")
def port_command(script: Path, plain: bool, output: Path | None) -> None:
    """Port a launch script or task code of Mephisto: imports, names, async and await. Prints the changes as a diff.

    What cannot be changed is listed on standard error, with the lines of SCRIPT and what to do. SCRIPT itself stays as
    it is.

    Exit code 0: everything was changed. 1: something is left to do by hand.

    \b
    Examples:
      mephisto-es port run_task.py
      mephisto-es port run_task.py -o ported/run_task.py
    """
    if not script.is_file():
        raise click.UsageError(f"There is no file {script}.")
    before = script.read_text(encoding="utf-8")
    ported = port_script(before, str(script), keeps_plain=plain)
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), ported.text.splitlines(keepends=True), str(script), f"{script} (ported)"
    )
    diff = "".join(lines)
    echo(diff, nl=False)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(ported.text, encoding="utf-8")
    if not diff and not ported.obstacles:
        echo(f"{script} needs no changes: it uses nothing that is different here", err=True)
    for obstacle in ported.obstacles:
        echo(f"{script}, {obstacle}", err=True)
    if ported.obstacles:
        raise click.exceptions.Exit(1)
