"""Implements `mephisto-es completion`: print the script with which a shell completes verbs, options, runs and ids."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ..terminal import echo

PROGRAM = "mephisto-es"
SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print what SHELL runs to complete verbs, options, and the runs, units, agents and workers of a log.

    The database that is named before an id is the one whose ids are offered; without one, it is that of the default
    data folder.

    \b
    Examples:
      eval "$(mephisto-es completion bash)"   # in ~/.bashrc
      eval "$(mephisto-es completion zsh)"    # in ~/.zshrc
      mephisto-es completion fish > ~/.config/fish/completions/mephisto-es.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    variable = f"_{PROGRAM}_COMPLETE".replace("-", "_").upper()
    echo(found(ctx.find_root().command, {}, PROGRAM, variable).source())
