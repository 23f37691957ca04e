"""A method that must be awaited remembers calls that were not."""

from __future__ import annotations

import inspect

import pytest
import trio

from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations.run.awaited_calls import AwaitedCalls, must_be_awaited


class Kettle:
    """Boils when it is awaited."""

    def __init__(self) -> None:
        self.calls = AwaitedCalls()
        self.boiled: list[str] = []
        self.is_on = trio.Event()

    @must_be_awaited
    async def boil(self, what: str) -> str:
        """Boil something."""
        await trio.lowlevel.checkpoint()
        self.boiled.append(what)
        return what

    @must_be_awaited
    async def boil_over(self) -> None:
        """Never get done."""
        self.is_on.set()
        await trio.sleep_forever()


async def test_an_awaited_call_returns_its_result_and_is_not_complained_of() -> None:
    kettle = Kettle()
    assert await kettle.boil("tea") == "tea"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kettle.boil, "eggs")
        await trio.testing.wait_all_tasks_blocked()
    kettle.calls.check()
    assert kettle.boiled == ["tea", "eggs"]
    assert Kettle.boil.__doc__ == "Boil something."


async def test_a_call_that_still_goes_on_counts_as_awaited() -> None:
    kettle = Kettle()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kettle.boil_over)
        await kettle.is_on.wait()
        kettle.calls.check()
        nursery.cancel_scope.cancel()


async def test_a_forgotten_call_is_named_once() -> None:
    kettle = Kettle()
    forgotten = kettle.boil("tea")
    await kettle.boil("eggs")
    with pytest.raises(ConfigError, match=r"boil\(\.\.\.\) was called without await.*Write: await operator\.boil"):
        kettle.calls.check()
    kettle.calls.check()
    assert kettle.boiled == ["eggs"]
    assert inspect.getcoroutinestate(forgotten) == inspect.CORO_CLOSED
