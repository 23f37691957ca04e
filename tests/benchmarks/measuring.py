"""Turns, pairs and medians: figures that hold on a machine that others use too."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class Cost(NamedTuple):
    """The cost of one turn."""

    wall_seconds: float
    cpu_seconds: float


def cost_of(turn: Callable[[], object]) -> Cost:
    """Take a turn."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    turn()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def interleaved(turns: Mapping[str, Callable[[int], object]], rounds: int) -> dict[str, list[Cost]]:
    """Let everybody take one turn a round, in rotating order; a first round that warms up is not counted.

    Args:
        turns: by name; each is told the number of its turn, from 0 on.
        rounds: how many are counted.
    """
    names = list(turns)
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    for number in range(rounds + 1):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            turn = turns[name]
            cost = cost_of(lambda turn=turn, number=number: turn(number))  # type: ignore[misc]  # mypy cannot infer it
            if number:
                costs[name].append(cost)
    return costs


def median(figures: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(figures)


def cpu_ratio(mine: Sequence[Cost], theirs: Sequence[Cost]) -> float:
    """The median, over the rounds, of the CPU time of one as a multiple of another's."""
    return median([one.cpu_seconds / other.cpu_seconds for one, other in zip(mine, theirs, strict=True)])


def cpu_us(costs: Sequence[Cost], events: int) -> float:
    """Microseconds of CPU time an event."""
    return median([cost.cpu_seconds for cost in costs]) / events * 1e6


def wall_rate(costs: Sequence[Cost], events: int) -> float:
    """Events a second by the clock on the wall."""
    return events / median([cost.wall_seconds for cost in costs])
