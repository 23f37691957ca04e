"""What `mephisto-es VERB --help` prints, for every verb."""

from __future__ import annotations

import click

from mephisto_es.adapters.cli.main import VERBS, main

PROGRAM = "mephisto-es"
#: Columns of the terminal that is pretended.
WIDTH = 88


def all_commands() -> str:
    """A section for each verb."""
    return "\n\n".join(_section(verb) for verb in sorted(VERBS))


def _section(verb: str) -> str:
    command = main.get_command(click.Context(main), verb)
    if command is None:
        raise LookupError(f"there is no verb {verb}")
    context = click.Context(command, info_name=f"{PROGRAM} {verb}", terminal_width=WIDTH, max_content_width=WIDTH)
    return f"## {verb}\n\n{VERBS[verb].about}\n\n```text\n{command.get_help(context)}\n```"
