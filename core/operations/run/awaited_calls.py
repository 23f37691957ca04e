"""Finds calls of asynchronous methods that a launch script forgot to await: nothing happens then, and nothing fails."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from ...errors import ConfigError

P = ParamSpec("P")
T = TypeVar("T")


class AwaitedCalls:
    """The calls of one object's methods, as far as they were not awaited yet."""

    def __init__(self) -> None:
        self._pending: list[tuple[str, Coroutine[object, object, object]]] = []

    def add(self, name: str, coroutine: Coroutine[object, object, object]) -> None:
        """Remember a call until it is awaited."""
        self._pending = [*self._not_started(), (name, coroutine)]

    def check(self) -> None:
        """Check that all calls were awaited, and forget those that were not.

        Raises:
            ConfigError: naming the first one that was not.
        """
        forgotten, self._pending = self._not_started(), []
        for _, coroutine in forgotten:
            coroutine.close()  # so that Python does not warn about it as well
        for name, _ in forgotten:
            raise ConfigError(
                f"{name}(...) was called without await, so it did nothing",
                key=name,
                hint=f"Write: await operator.{name}(...)",
            )

    def _not_started(self) -> list[tuple[str, Coroutine[object, object, object]]]:
        return [call for call in self._pending if inspect.getcoroutinestate(call[1]) == inspect.CORO_CREATED]


class HasAwaitedCalls(Protocol):
    """An object whose calls are to be awaited."""

    calls: AwaitedCalls


S = TypeVar("S", bound=HasAwaitedCalls)


def must_be_awaited(
    method: Callable[Concatenate[S, P], Coroutine[object, object, T]],
) -> Callable[Concatenate[S, P], Coroutine[object, object, T]]:
    """Make a method remember each of its calls until it is awaited."""

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, object, T]:
        coroutine = method(self, *args, **kwargs)
        self.calls.add(method.__name__, coroutine)
        return coroutine

    return call
