"""Implements `mephisto-es new`: write the files that a new task starts from."""

from __future__ import annotations

from pathlib import Path

import click

from ..starters.starter import StarterKind, write_starter
from ..terminal import echo


@click.command("new")
@click.argument("folder", metavar="NAME", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in StarterKind]),
    default=StarterKind.FORM.value,
    show_default=True,
    help="form: the stock page. html: a page of one HTML file. react: a page with npm. chat: pairs.",
)
def new_command(folder: Path, kind: str) -> None:
    """Write a new task into a folder: a launch script, its configuration, items, and a page.

    The last part of NAME becomes the name of the task. The task works as it is: rehearse it, then change it. With
    config.schema.json, editors complete and check the configuration.

    \b
    Examples:
      mephisto-es new my_task
      mephisto-es new tasks/interviews --kind chat
    """
    files = write_starter(StarterKind(kind), folder)
    for file in files:
        echo(f"  {folder / file}")
    answers = " --answers answers.py" if Path("answers.py") in files else ""
    echo(f"\nNow: cd {folder} && mephisto-es rehearse run_task.py{answers}")
