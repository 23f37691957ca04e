"""Puts the database that the user of a call named into the commands that its messages advise."""

from __future__ import annotations

import click

from ...advice import with_database

_GIVEN = f"{__name__}.database"


def remember_database(ctx: click.Context | None, written: str) -> None:
    """Keep the database as the user wrote it, for the commands that messages of this call advise."""
    if ctx is not None:
        ctx.meta[_GIVEN] = written


def advised(text: str, ctx: click.Context | None = None) -> str:
    """Return a message whose commands name the database of this call.

    Args:
        text: a message; commands in it that name a database stay as they are.
        ctx: the call; by default the current one. If its user named no database, the message is unchanged.
    """
    ctx = ctx or click.get_current_context(silent=True)
    written = None if ctx is None else ctx.meta.get(_GIVEN)
    return with_database(text, str(written)) if written else text
