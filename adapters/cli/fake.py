"""`mephisto-es fake`: a simulated crowd site for trying a provider out without an account."""

from __future__ import annotations

import time
from functools import partial

import click
import trio

from ..fakes.program import SITES, make_fake, run_fake
from ..terminal import echo
from .common.arguments import TimestampType

HIGHEST_PORT = 65535
MICROSECONDS = 1_000_000


@click.command("fake")
@click.argument("site", type=click.Choice(SITES))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8020, show_default=True, type=click.IntRange(0, HIGHEST_PORT), help="The port; 0: any free one."
)
@click.option("--seed", default=0, show_default=True, help="Ids, lags and faults are drawn from it.")
@click.option("--flip", "flipped", multiple=True, metavar="GUESS", help="A guess that is to go the other way.")
@click.option("--start", type=TimestampType(), metavar="TIME", help="The site's time at first (UTC).  [default: now]")
def fake_command(site: str, host: str, port: int, seed: int, flipped: tuple[str, ...], start: int | None) -> None:
    """Run a simulation of a crowd SITE: its API, pages on which people or bots take part, and money that is not real.

    Its time begins now and passes like the real one. POST {"seconds": 3600} to /fake/clock to move it, a fault plan to
    /fake/faults; GET /fake/state shows its books. What no document says about the real site is a guess; GUESSES.md of
    the site lists them. The documentation of providers has the requests by which people take part. Ctrl-C ends it.

    \b
    Examples:
      mephisto-es fake prolific
      mephisto-es fake prolific --port 0 --flip unreject_is_refused
    """
    start_seconds = time.time() if start is None else start / MICROSECONDS
    program = make_fake(site, time.monotonic, flipped, seed, start_seconds)

    def announce(address: str) -> None:
        echo(f"{site} is simulated at {address}, {program.access}")

    trio.run(partial(run_fake, program, host, port, announce))
