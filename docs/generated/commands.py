"""Generates the help texts of all verbs."""

from __future__ import annotations

import click

from mephisto_es.adapters.cli.main import VERBS, main

PROGRAM = "mephisto-es"
#: Columns of the imaginary terminal.
WIDTH = 88


def all_commands() -> str:
    """Return a section for each verb."""
    return "\n\n".join(_section(verb) for verb in sorted(VERBS))


def _section(verb: str) -> str:
    command = main.get_command(click.Context(main), verb)
    if command is None:
        raise LookupError(f"there is no verb {verb}")
    helps = [_help(command, f"{PROGRAM} {verb}")]
    if isinstance(command, click.Group):
        helps += [_help(each, f"{PROGRAM} {verb} {name}") for name, each in sorted(command.commands.items())]
    return "\n\n".join([f"## {verb}", VERBS[verb].about, *helps])


def _help(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    return f"```text\n{command.get_help(context)}\n```"
