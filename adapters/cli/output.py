"""What the verbs over a log file share: the argument, `--json`, the exit code of a fault."""

from __future__ import annotations

import click
import msgspec

from .database import log_argument as log_argument

#: Exit code: the file was read, and something in it is not as it must be. A file that is no log ends in 2.
ILLEGAL = 1

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")


def print_json(value: msgspec.Struct | dict[str, object]) -> None:
    """Print one object, laid out so that people can read it too."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
