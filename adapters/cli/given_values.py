"""Values that verbs are given without a command line showing them."""

from __future__ import annotations

import sys

import click

#: Stands for a value that is asked for.
ASKED_FOR = "-"


def read_value(name: str, written: str) -> str:
    """A value from the command line; `-`: from standard input, hidden where somebody types it."""
    if written != ASKED_FOR:
        return written
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True))
    return sys.stdin.readline().rstrip("\n")
