"""Implements `mephisto-es serve`: show a log in a browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from ..composition.clock_and_ids import SystemClock
from ..control.protocol import author_of
from ..terminal import echo
from ..web.access import WebReviewer
from ..web.serving import ServerOptions, serve
from .common.arguments import author_option, log_argument, pseudonyms_option

MAX_PORT = 65535


@click.command("serve")
@log_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, MAX_PORT), help="The port; 0 picks a free one."
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A file with the token that visitors must enter. Without it, only this machine can be served.",
)
@click.option(
    "--reviewer",
    "reviewers",
    multiple=True,
    metavar="NAME[:ROLE]",
    help="Let somebody log in under a name, with a token that is printed. ROLE: view, review (default) or pay.",
)
@author_option
@pseudonyms_option
def serve_command(
    database: Path,
    host: str,
    port: int,
    token_file: Path | None,
    reviewers: tuple[str, ...],
    author: str | None,
    pseudonyms: bool,
) -> None:
    """Show DATABASE in a browser: live runs, any earlier state, timelines, decisions, review, export.

    This works next to a running operator, which then records what is decided here. Let other machines in through a
    proxy that provides TLS. Press Ctrl-C to stop.

    With --reviewer everybody logs in, and the log records who decided. A token stays the same for a name and a log;
    whoever is no longer named is out. The roles: `view` looks, `review` also gives verdicts, blocks and grants, `pay`
    also gives bonuses and pays.

    \b
    Examples:
      mephisto-es serve mephisto_data
      mephisto-es serve mephisto_data --host 0.0.0.0 --token-file token.txt
      mephisto-es serve mephisto_data --reviewer ann --reviewer bob:view
    """
    serve(
        ServerOptions(database, host, port, token_file, author_of(author), not pseudonyms, reviewers),
        SystemClock(),
        on_open=_say_where,
    )


def _say_where(url: str, reviewers: Mapping[str, WebReviewer]) -> None:
    for token, reviewer in reviewers.items():
        echo(f"{reviewer.author.removeprefix('user/')} ({reviewer.role.value}) logs in with {token}")
    echo(f"Open {url}")
