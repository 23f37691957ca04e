"""Implements `mephisto-es demo`: run the sentence rating example with a simulated crowd."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import click
import trio
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ...core.operations.configuration.money import amount
from ...core.operations.logger_core import set_mephisto_log_format, set_mephisto_log_level
from ...core.operations.run.live_task_run import LiveTaskRun
from ..composition.log_choice import keep_log_here
from ..crowd.bot import draw_bots
from ..crowd.demo_run import DemoRun, run_demo
from ..crowd.sentence_rating import configuration, rate, sentences
from ..crowd.site_demo import SITES, SiteDemo, run_site_demo
from ..terminal import echo, make_console
from .common.output import ILLEGAL, as_json_option, print_json
from .replay import print_report

#: Seconds after which a worker whose page is closed is taken to be gone. A simulated crowd has no bad connections, and
#: nobody wants to watch the default pass.
HEARTBEAT_LIMIT_SECONDS = 3.0


@click.command("demo")
@click.option("--seed", default=0, show_default=True, help="Seed of the crowd's behaviour.")
@click.option("--workers", default=12, show_default=True, type=click.IntRange(min=1), help="Workers in the crowd.")
@click.option("--units", default=100, show_default=True, type=click.IntRange(min=1), help="Sentences to rate.")
@click.option(
    "--think",
    "think_seconds",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds that a typical worker takes for a sentence.",
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for the log.  [default: a new folder]")
@click.option(
    "--architect",
    default="local",
    show_default=True,
    type=click.Choice(["local", "heroku"]),
    help="Where the router runs: on this machine, or as an app of your Heroku account that is destroyed at the end.",
)
@click.option(
    "--server-type", type=click.Choice(["python", "node"]), help="Router to use.  [default: the architect's default]"
)
@click.option(
    "--site",
    type=click.Choice(tuple(SITES)),
    help="Let people come from a simulated crowd site, and pay them there.",
)
@as_json_option
def demo_command(
    seed: int,
    workers: int,
    units: int,
    think_seconds: float,
    data_dir: Path | None,
    architect: str,
    server_type: str | None,
    site: str | None,
    as_json: bool,
) -> None:
    """Run the sentence rating example with a simulated crowd, then prove from its log that the run was legal.

    The workers use the real server like browsers. Some of them return a unit, and one closes the page for good.

    With --site the run is published at a simulated crowd site, whose people rate one sentence each. Their work is then
    accepted and paid, and the books of both sides are compared to the cent. At sona, students get credit instead.

    Exit code 0: all units are completed and the log is legal. 1: they are not. 2: an argument cannot be used.
    """
    keep_log_here()
    set_mephisto_log_format()
    set_mephisto_log_level(level="warning")
    console = make_console(stderr=True)
    folder = data_dir or Path(tempfile.mkdtemp(prefix="mephisto-es-demo-"))
    if site is not None:
        with _progress(console, units) as (on_live, on_submitted):
            demo = partial(run_site_demo, site, units, folder, seed, server_type=server_type)
            at_site = trio.run(partial(demo, on_live=on_live, on_submitted=on_submitted))
        print_json(at_site) if as_json else _print_site(at_site)
        sys.exit(0 if at_site.is_success else ILLEGAL)
    with _progress(console, units) as (on_live, on_submitted):
        done = trio.run(
            partial(
                run_demo,
                configuration(
                    server_type,
                    architect,
                    [f"mephisto.architect.heartbeat_limit_seconds={HEARTBEAT_LIMIT_SECONDS}"],
                ),
                sentences(units),
                folder,
                draw_bots(Random(seed), workers, rate, think_seconds=think_seconds),
                on_live=on_live,
                on_submitted=on_submitted,
            )
        )
    if as_json:
        print_json(done)
    else:
        _print(done)
    sys.exit(0 if done.is_success else ILLEGAL)


@contextmanager
def _progress(console: Console, units: int) -> Iterator[tuple[Callable[[LiveTaskRun], None], Callable[[], None]]]:
    """Show a progress bar on a terminal; yield the callbacks for a live run and for each submission."""
    # Automatic refreshing would take a thread.
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        auto_refresh=False,
        disable=not console.is_terminal,
    )

    def on_live(live_run: LiveTaskRun) -> None:
        bar.console.print(f"Workers open {escape(live_run.url)}")

    with bar:
        rated = bar.add_task("sentences rated", total=units)
        yield on_live, lambda: bar.update(rated, advance=1, refresh=True)


def _print(done: DemoRun) -> None:
    """Print the outcome for people."""
    facts = Table(box=None, show_header=False, padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    crowd = done.crowd
    facts.add_row("units", ", ".join(f"{status} {count}" for status, count in done.units.items()))
    facts.add_row("workers", f"{crowd.workers}: {crowd.returned} returned a unit, {crowd.disconnected} disconnected")
    facts.add_row("visits", f"{crowd.visits}, {sum(crowd.refusals.values())} of them without work")
    facts.add_row(
        "answer time",
        f"{crowd.request_agent.p50_ms} ms (request for work), {crowd.submit_task.p50_ms} ms (submission), medians",
    )
    facts.add_row("time", f"{done.seconds:.1f} s")
    facts.add_row("events", str(done.events))
    out = make_console()
    out.print(facts)
    out.print(f"\n$ mephisto-es replay {escape(done.database)}")
    print_report(done.replay, Path(done.database))


def _print_site(done: SiteDemo) -> None:
    """Print the outcome of a demo on a site for people."""
    facts = Table(box=None, show_header=False, padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    facts.add_row("units", ", ".join(f"{count} {status}" for status, count in done.units.items()))
    if done.site == "sona":
        facts.add_row("credits by the log", f"{done.paid_cents:,}")
        facts.add_row("credits by sona's books", f"{done.site_paid_cents:,}")
    else:
        facts.add_row("paid by the log", amount(done.paid_cents))
        facts.add_row(f"paid by {done.site}'s books", amount(done.site_paid_cents))
    facts.add_row("calls to the site", f"{done.calls:,}")
    facts.add_row("time", f"{done.seconds:.1f} s")
    console = make_console()
    console.print(facts)
    for fault in done.faults:
        echo(f"✗ {fault}")
    echo(f"\n$ mephisto-es replay {done.database}")
    print_report(done.replay, Path(done.database))
