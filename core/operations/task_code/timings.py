"""What takes an operator time, told to whoever measures it; unless somebody does, nothing is measured."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Protocol

import trio

from ...packets import Inbound


class UserFunction(Enum):
    """Code of the user's that an operator waits for, under Mephisto's names where it has one."""

    INIT_DATA = "get_init_data_for_agent"
    VALIDATE_ONBOARDING = "validate_onboarding"
    FILTER_UNITS = "filter_units_for_worker"
    CAN_DO_UNIT = "worker_can_do_unit"
    SCREENING_DATA = "get_screening_unit_data"
    GOLD_DATA = "get_gold_unit_data_for_worker"
    QUALIFIES = "worker_qualifies"
    REMOTE_PROCEDURE = "remote_procedure"


class Timings(Protocol):
    """Measures."""

    def packet(self, packet: Inbound) -> Callable[[], None]:
        """A packet has come; what this returns is called when it is done with: durable, answered or taken note of."""

    def function(self, function: UserFunction) -> AbstractContextManager[None]:
        """Code of the user's runs for as long as the block does."""


class _NullTimings:
    def packet(self, packet: Inbound) -> Callable[[], None]:  # noqa: ARG002 - the protocol's
        return _nothing

    def function(self, function: UserFunction) -> AbstractContextManager[None]:  # noqa: ARG002 - the protocol's
        return nullcontext()


_stopwatch: trio.lowlevel.RunVar[Timings] = trio.lowlevel.RunVar("stopwatch", default=_NullTimings())


def measure_with(timings: Timings) -> None:
    """Have a stopwatch told of everything until `trio.run` ends."""
    _stopwatch.set(timings)


def timings() -> Timings:
    """Who measures."""
    return _stopwatch.get()


def _nothing() -> None:
    """Nobody wants to know."""
