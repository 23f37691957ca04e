"""Disturbs a fake site: lost answers before and after the effect, throttling, failures, lists that lag."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from random import Random

import msgspec


class Fault(Enum):
    """Fates of one call."""

    NONE = "none"
    #: The connection breaks before the site has done anything.
    LOST_BEFORE = "lost_before"
    #: The site has done it, and the connection breaks before the answer.
    LOST_AFTER = "lost_after"
    #: The site is too busy; it has done nothing.
    THROTTLED = "throttled"
    #: The site has done it, and says that it is too busy.
    THROTTLED_AFTER = "throttled_after"
    #: The server fails before it has done anything.
    FAILED_BEFORE = "failed_before"
    #: The server has done it and fails afterwards.
    FAILED_AFTER = "failed_after"


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Probabilities of faults, and faults in a fixed order for single calls."""

    lost_before: float = 0.0
    lost_after: float = 0.0
    throttled: float = 0.0
    throttled_after: float = 0.0
    failed_before: float = 0.0
    failed_after: float = 0.0
    #: Faults of the next calls that `only` matches, one each; afterwards the probabilities hold.
    script: tuple[Fault, ...] = ()
    #: The scripted faults are for calls with this text in `METHOD /path`; all others pass.
    only: str = ""
    #: Longest time until a new object shows in lists.
    list_lag_seconds: float = 0.0
    seed: int = 0


class Faults:
    """Draws the fate of each call."""

    def __init__(self, plan: FaultPlan | None = None) -> None:
        """Begin with a plan; without one nothing is disturbed."""
        self.follow(plan or FaultPlan())

    def follow(self, plan: FaultPlan) -> None:
        """Follow another plan from now on."""
        self.plan = plan
        self._random = Random(plan.seed)
        self._script = list(plan.script)

    def draw(self, call: str) -> Fault:
        """Return the fate of a call.

        Args:
            call: its method and path.
        """
        if self._script and self.plan.only in call:
            return self._script.pop(0)
        chance = self._random.random()
        for fault in Fault:
            if fault is Fault.NONE:
                continue
            probability: float = getattr(self.plan, fault.value)
            if chance < probability:
                return fault
            chance -= probability
        return Fault.NONE

    def list_lag_seconds(self) -> float:
        """Return the time until an object that is made now shows in lists."""
        return self._random.uniform(0, self.plan.list_lag_seconds)

    @property
    def jitter(self) -> Callable[[], float]:
        """Random numbers from 0 to 1, for other decisions that are to follow from the seed."""
        return self._random.random
