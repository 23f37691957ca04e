"""Draws the workers of a simulated crowd from a seed: their speed, and who returns work or disconnects."""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

#: The ratio between the slowest worker and the typical one, and between the typical one and the fastest.
SPEED_RANGE = 2.0
#: A worker who returns a unit does so among the first few, so that small runs see it too.
RETURNS_BY_UNIT = 2


class WorkerPlan(NamedTuple):
    """The behaviour of one worker."""

    name: str
    #: The typical time from getting a unit to submitting it.
    think_seconds: float
    #: The number of the unit, from 1 on, that the worker returns; None if there is none.
    returns_unit: int | None
    #: The number of the unit during which the worker closes the page for good; None if there is none.
    disconnects_on_unit: int | None
    #: The seed of the worker's own random numbers, which must not depend on the timing of others.
    seed: int


def plan_crowd(
    chance: Random, workers: int, *, returning: int = 2, disconnecting: int = 1, think_seconds: float = 1.0
) -> tuple[WorkerPlan, ...]:
    """Draw a crowd.

    Args:
        chance: the source of random numbers.
        workers: the number of workers.
        returning: the number of workers who return one unit; fewer if nobody else would be left.
        disconnecting: the number of workers who close the page for good; fewer if nobody else would be left.
        think_seconds: the typical time for a unit over all workers.
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
