"""Many simulations, one after the other: `python -m tests.simulation [COUNT] [FIRST SEED]`.

Somebody reviews, pays, blocks and so on in every second seed. Of eight, two have their log on a simulated disk, which
loses what was not synced and what a failed sync should have written, and four have two routers. In every third one
workers upload files. In two of seven items get answers until their labels are sure, and workers are screened or get
gold units. In three of five everybody is in a hurry: pages load twice, requests are repeated while they are under way,
budgets are tight, connections flicker, disks are slow, and a program writes commands that must be refused.
Every fifth seed is also that of several operators on one log; `--several` simulates these alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom

import click

from mephisto_es.core.operations.logger_core import set_mephisto_log_level

from .common_rules import COMMON_INVARIANTS
from .invariants import INVARIANTS
from .outcome import Simulated, ViolationError
from .scenes import KEPT, Scene, scene_of
from .several import simulate_several
from .simulate import simulate

#: Fresh seeds are taken below this.
SEEDS = 2**48
#: Violations after which there is no point in continuing, unless given.
VIOLATIONS_LIMIT = 10
REPORT_EVERY = 1000
#: One seed in so many is also simulated with several operators on one log.
SEVERAL_EVERY = 5


def simulations(seed: int, scene: Scene | None, folder: Path) -> Iterator[Simulated]:
    """Make the simulations of a seed: that of a scene, and now and then, or without a scene, that of several operators.

    Raises:
        ViolationError: something did not hold.
    """
    if scene is not None:
        yield simulate(seed, folder, **scene)
    if scene is None or seed % SEVERAL_EVERY == 0:
        yield simulate_several(seed, folder)


def main() -> int:
    """Run as many seeds as asked for; 1 if any of them shows a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("count", nargs="?", type=int, default=100)
    parser.add_argument("first", nargs="?", type=int, help="the first seed; a fresh one unless given")
    parser.add_argument("--several", action="store_true", help="simulate several operators on one log only")
    parser.add_argument("--violations", type=int, default=VIOLATIONS_LIMIT, help="stop after so many")
    parser.add_argument("--kept", action="store_true", help="simulate the seeds first that are kept")
    given = parser.parse_args()
    set_mephisto_log_level(level="critical")
    first = SystemRandom().randrange(SEEDS) if given.first is None else given.first
    kept: list[tuple[int, Scene]] = [(one.seed, one.scene) for one in KEPT]
    fresh = [(seed, scene_of(seed)) for seed in range(first, first + given.count)]
    began = time.monotonic()
    faults: Counter[str] = Counter()
    requests: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    events = lives = violations = done = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed, scene in (*(kept if given.kept else ()), *fresh):
            try:
                for simulated in simulations(seed, None if given.several else scene, Path(folder)):
                    events, lives = events + simulated.head.seq, lives + simulated.lives
                    faults, requests = faults + simulated.faults, requests + simulated.requested
                    judged += simulated.judged
            except ViolationError as violation:
                violations += 1
                click.echo(f"VIOLATION {violation}")
                if violations >= given.violations:
                    break
            done += 1
            if done % REPORT_EVERY == 0:
                click.echo(f"{done} seeds, {violations} violations")
    seconds = time.monotonic() - began
    click.echo(
        f"{done} seeds from {first}, {violations} violations, {seconds:.0f} s ({1000 * seconds / done:.0f} ms a seed)"
    )
    click.echo(f"{events} events, {lives} operators")
    click.echo("faults: " + ", ".join(f"{fault} {count}" for fault, count in sorted(faults.items())))
    click.echo("requester: " + ", ".join(f"{kind} {count}" for kind, count in sorted(requests.items())))
    click.echo("quality: " + ", ".join(f"{kind} {count}" for kind, count in sorted(judged.items())))
    for invariant in (*INVARIANTS, *COMMON_INVARIANTS):
        click.echo(f"held: {invariant}" if not violations else f"checked: {invariant}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
