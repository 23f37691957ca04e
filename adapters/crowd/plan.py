"""Who comes, how fast they are, and what they do that is not work: drawn once, from a seed."""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

#: The slowest worker takes up to this much longer than the typical one; the fastest as much less.
SPEED_RANGE = 2.0
#: Work is given back among the first units of a worker, so that small runs see it too.
RETURNS_BY_UNIT = 2


class WorkerPlan(NamedTuple):
    """One worker's habits."""

    name: str
    #: Typical time from getting a unit to handing it in.
    think_seconds: float
    #: Which of the worker's units, from 1 on, is given back undone; None: none.
    returns_unit: int | None
    #: On which unit the page is closed for good in the middle of the work; None: on none.
    disconnects_on_unit: int | None
    #: What the worker's own chance starts from: no worker's luck depends on another's timing.
    seed: int


def plan_crowd(
    chance: Random, workers: int, *, returning: int = 2, disconnecting: int = 1, think_seconds: float = 1.0
) -> tuple[WorkerPlan, ...]:
    """Draw a crowd.

    Args:
        chance: where all of it comes from.
        workers: how many.
        returning: how many of them give a unit back once; fewer in a crowd that would have nobody else left.
        disconnecting: how many of them close the page once and do not come back; fewer likewise.
        think_seconds: typical time for a unit over all workers.
    """
    names = [f"worker-{number:02}" for number in range(1, workers + 1)]
    peculiar = chance.sample(names, min(returning + disconnecting, max(workers - 1, 0)))
    leavers, returners = peculiar[:disconnecting], peculiar[disconnecting:]
    return tuple(
        WorkerPlan(
            name=name,
            think_seconds=think_seconds * math.exp(chance.uniform(-1, 1) * math.log(SPEED_RANGE)),
            returns_unit=chance.randint(1, RETURNS_BY_UNIT) if name in returners else None,
            disconnects_on_unit=1 if name in leavers else None,
            seed=chance.getrandbits(64),
        )
        for name in names
    )
