"""What the verbs over a log file share: the argument, `--json`, the exit code of a fault."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

#: Exit code: the file was read, and something in it is not as it must be. A file that is no log ends in 2.
ILLEGAL = 1

log_argument = click.argument("database", type=click.Path(path_type=Path))
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")


def print_json(value: msgspec.Struct | dict[str, object]) -> None:
    """Print one object, laid out so that people can read it too."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
