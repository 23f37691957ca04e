"""`mephisto-es serve`: a log in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from ..composition.clock_and_ids import SystemClock
from ..web.serving import ServerOptions, serve
from .common.arguments import log_argument

HIGHEST_PORT = 65535


@click.command("serve")
@log_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, HIGHEST_PORT), help="The port; 0: any free one."
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Holds a token that visitors are asked for. Without one, only this machine can be served.",
)
def serve_command(database: Path, host: str, port: int, token_file: Path | None) -> None:
    """Show DATABASE in a browser: runs as they go on, any past moment, timelines, explanations, review, export.

    The log is only read, beside any operator; verdicts need it for writing, when no operator is at work on it. Other
    machines should be let in through a proxy that speaks TLS. Ctrl-C ends it.

    \b
    Examples:
      mephisto-es serve mephisto_data
      mephisto-es serve mephisto_data --host 0.0.0.0 --token-file token.txt
    """
    serve(
        ServerOptions(database, host, port, token_file),
        SystemClock(),
        on_open=lambda url: click.echo(f"Open {url}"),
    )
