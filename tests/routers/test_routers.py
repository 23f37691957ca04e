"""Whatever happens to routers elsewhere and the network to them, what was answered arrives once."""

import shutil
import signal
from pathlib import Path
from random import Random

import trio

from .scenario import restart, scene

PEOPLE = 6
#: One router in each language, where that is possible.
OPTIONS = ((), ("--node",) if shutil.which("npm") else ())


async def test_routers_die_and_the_network_is_cut_and_nothing_that_was_answered_is_lost(tmp_path: Path) -> None:
    early, late = trio.Event(), trio.Event()
    async with scene(tmp_path, PEOPLE, OPTIONS, Random(1)) as live:
        first, second = live.routers
        async with trio.open_nursery() as nursery:
            for number in range(PEOPLE):
                nursery.start_soon(live.people.work, number, early if number % 2 else late)
            await live.people.wait_until(lambda: live.people.holding == PEOPLE)
            # One router is dead, the other one is cut off from the operator, and answers for itself.
            live.links[0].cut()
            second.stop(signal.SIGKILL)
            early.set()
            await live.people.wait_until(lambda: len(live.people.answered) == PEOPLE // 2)
            await restart(second)
            # What it has not handed over survives its own death.
            first.stop(signal.SIGKILL)
            live.links[0].restore()
            await restart(first)
            late.set()
        await live.end(PEOPLE)
