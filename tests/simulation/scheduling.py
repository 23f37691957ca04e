"""Makes trio's scheduling deterministic, and notices loops that do not wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoints

import trio
import trio.testing

from mephisto_es.core.operations import registry

from .outcome import ViolationError, described

#: Steps of tasks without any time going by: more of them are a loop that does not wait.
STEPS_AT_ONCE_LIMIT = 200_000


class SpinGuard(trio.abc.Instrument):
    """Notices a loop that does not wait: on a clock that only jumps, such a loop never ends."""

    def __init__(self, clock: trio.abc.Clock, stop: Callable[[], None]) -> None:
        self._clock = clock
        self._stop = stop
        self._time = 0.0
        self._steps = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        now = self._clock.current_time()
        self._steps = self._steps + 1 if now == self._time else 0
        self._time = now
        if self._steps == STEPS_AT_ONCE_LIMIT:
            self._stop()


@contextmanager
def nothing_installed() -> Iterator[None]:
    """Look for no plugins: what a simulation needs is registered, and looking takes longer than a simulation."""
    look = vars(registry)["entry_points"]
    vars(registry)["entry_points"] = EntryPoints
    try:
        yield
    finally:
        vars(registry)["entry_points"] = look


def run_seeded(seed: int, run: Callable[[], Awaitable[None]], spin: Callable[[], None]) -> None:
    """Run a simulation to its end: on a clock that jumps, without plugins, in an order that follows from the seed.

    Args:
        seed: the seed.
        run: the simulation.
        spin: called if it runs in circles; ends it.

    Raises:
        ViolationError: something did not hold.
    """
    with nothing_installed(), deterministic(seed):
        try:
            clock = trio.testing.MockClock(autojump_threshold=0)
            trio.run(run, clock=clock, instruments=[SpinGuard(clock, spin)])
        except* Exception as group:
            raise ViolationError(seed, described(group)) from group


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Let trio choose the order of its tasks by the seed."""
    scheduling = trio._core._run
    before = scheduling._ALLOW_DETERMINISTIC_SCHEDULING
    vars(scheduling)["_ALLOW_DETERMINISTIC_SCHEDULING"] = True
    scheduling._r.seed(seed)
    try:
        yield
    finally:
        vars(scheduling)["_ALLOW_DETERMINISTIC_SCHEDULING"] = before
