"""Two routers with many people, one of them killed and started again and again: nobody is lost, and no work.

python -m tests.routers                           # 200 people, 20 kills, both routers in Python
python -m tests.routers --people 50 --kills 5 --node --seed 7
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from functools import partial
from pathlib import Path
from random import Random

import click
import trio

from .scenario import restart, scene

#: Longest time for which a router stays dead, or the network cut.
AWAY_SECONDS = 5.0
#: Longer than a router waits for the pages that it had before it died: so it misses those that have moved.
MISSED_SECONDS = 17.0
#: The share of deaths after which it gets that time.
MISSING_SHARE = 0.5


async def play(folder: Path, people: int, kills: int, options: tuple[str, ...], seed: int) -> None:
    """Play the scene once.

    Raises:
        AssertionError: something that was answered is lost or there twice, or somebody was thought to have left.
    """
    chance = Random(seed)
    started_at = time.monotonic()
    may_submit = [trio.Event() for _ in range(people)]
    async with scene(folder, people, (options, options), chance) as live:
        async with trio.open_nursery() as nursery:
            for number, event in enumerate(may_submit):
                nursery.start_soon(live.people.work, number, event)
            await live.people.wait_until(lambda: live.people.holding == people)
            for kill in range(kills):
                router, link = chance.choice(live.routers), chance.choice(live.links)
                router.stop(signal.SIGKILL)
                if is_cut := chance.random() < 0.5:
                    link.cut()
                # Some submit now: a part of them through a router that no operator reaches.
                for event in may_submit[kill * people // kills // 2 : (kill + 1) * people // kills // 2]:
                    event.set()
                await trio.sleep(chance.uniform(0, AWAY_SECONDS))
                await restart(router)
                link.restore()
                if chance.random() < MISSING_SHARE:
                    await trio.sleep(MISSED_SECONDS)
                done, at_work = len(live.people.answered), live.people.holding
                click.echo(f"kill {kill + 1:2}{' and cut' * is_cut}: {done} have submitted, {at_work} are at work")
            for event in may_submit:
                event.set()
        await live.end(people)
    click.echo(f"{people} people, {kills} kills, {time.monotonic() - started_at:.0f} s: nobody gone, nothing lost")


def main() -> None:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--node", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    options = ("--node",) if args.node else ()
    with tempfile.TemporaryDirectory() as folder:
        trio.run(partial(play, Path(folder), args.people, args.kills, options, args.seed))


if __name__ == "__main__":
    main()
