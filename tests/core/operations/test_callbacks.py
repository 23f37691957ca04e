"""Calls to users' functions: errors that they raise or let through, and cancellation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from mephisto_es.core.abstractions.agent import Unit
from mephisto_es.core.errors import (
    AgentDisconnectedError,
    CommandRefusedError,
    ConfigError,
    LogError,
    TaskCodeDivergedError,
    UserCodeError,
)
from mephisto_es.core.operations.task_code.calls import call

from .operator_harness import HarnessTaskState, items, open_harness, work

PASSED_ON = [AgentDisconnectedError(1), TaskCodeDivergedError(1, "a", "b"), LogError("the disk is full")]
FAILURES = [
    ConfigError("no"),
    CommandRefusedError("no"),
    ValueError("no"),
    ExceptionGroup("no", [PASSED_ON[0], KeyError()]),
]


def plain(error: Exception) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


def in_a_nursery(error: Exception) -> Callable[[], object]:
    async def function() -> None:
        async with trio.open_nursery():
            raise error

    return function


@pytest.mark.parametrize("kind", [plain, in_a_nursery])
@pytest.mark.parametrize("error", PASSED_ON, ids=lambda error: type(error).__name__)
async def test_what_is_not_the_functions_fault_passes_through_it(
    kind: Callable[[Exception], Callable[[], object]], error: Exception
) -> None:
    with pytest.raises(type(error)) as raised:
        await call(kind(error))
    assert raised.value is error


@pytest.mark.parametrize("kind", [plain, in_a_nursery])
@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
async def test_anything_else_is_a_failure_of_the_function(
    kind: Callable[[Exception], Callable[[], object]], error: Exception
) -> None:
    with pytest.raises(UserCodeError, match="function raised"):
        await call(kind(error))


@pytest.mark.parametrize("error", [PASSED_ON[0], ValueError("no")], ids=lambda error: type(error).__name__)
async def test_a_function_that_is_cancelled_is_just_that_whatever_else_goes_wrong_in_it(error: Exception) -> None:
    async def function() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise error

    with trio.move_on_after(0) as scope:
        await call(function)
    assert scope.cancelled_caught


async def test_a_callback_that_is_refused_something_does_not_end_the_run(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def on_unit_submitted(_unit: Unit) -> None:
        raise CommandRefusedError("the budget does not pay for that")

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2), on_unit_submitted=on_unit_submitted))
        await work(harness.router(live_run), "ann", 2)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("task_run") == {"paused": 1}, "it can be resumed with code that works"
