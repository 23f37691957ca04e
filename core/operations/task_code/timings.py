"""Timing hooks; a no-op unless a metrics adapter is installed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Protocol

import trio

from ...packets import Inbound


class UserFunction(Enum):
    """A user's function that the operator waits for, by Mephisto's name where there is one."""

    INIT_DATA = "get_init_data_for_agent"
    VALIDATE_ONBOARDING = "validate_onboarding"
    FILTER_UNITS = "filter_units_for_worker"
    CAN_DO_UNIT = "worker_can_do_unit"
    SCREENING_DATA = "get_screening_unit_data"
    GOLD_DATA = "get_gold_unit_data_for_worker"
    QUALIFIES = "worker_qualifies"
    REMOTE_PROCEDURE = "remote_procedure"


class Timings(Protocol):
    """Measures the time that packets and users' functions take."""

    def packet(self, packet: Inbound) -> Callable[[], None]:
        """Note that a packet has arrived.

        Returns:
            A function to call once the packet is dealt with: durable, answered or noted.
        """

    def function(self, function: UserFunction) -> AbstractContextManager[None]:
        """Measure a block in which a user's function runs."""


class _NullTimings:
    def packet(self, packet: Inbound) -> Callable[[], None]:  # noqa: ARG002 - the protocol's
        return _do_nothing

    def function(self, function: UserFunction) -> AbstractContextManager[None]:  # noqa: ARG002 - the protocol's
        return nullcontext()


_timings: trio.lowlevel.RunVar[Timings] = trio.lowlevel.RunVar("timings", default=_NullTimings())


def measure_with(timings: Timings) -> None:
    """Install timings until `trio.run` ends."""
    _timings.set(timings)


def timings() -> Timings:
    """Return the installed timings."""
    return _timings.get()


def _do_nothing() -> None:
    pass
