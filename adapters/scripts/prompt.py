"""Questions to the person who started a script."""

from __future__ import annotations

import sys

import click
import trio

_YES = frozenset({"", "y", "yes"})


async def ask_on_terminal(question: str) -> bool:
    """Put a question on the terminal and wait for a line; an empty one means yes, the end of input means no.

    Cancelled, it leaves the question standing.
    """
    click.echo(f"{question} [Y/n] ", nl=False, err=True)
    # A terminal becomes readable when a line is complete, so that reading it does not hold up the loop.
    await trio.lowlevel.wait_readable(sys.stdin)
    line = sys.stdin.readline()
    return line.endswith("\n") and line.strip().lower() in _YES
