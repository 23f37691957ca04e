"""Calls to code that a user wrote: `async` functions on the loop, plain ones in worker threads under a limit."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar, cast, overload

import trio

P = ParamSpec("P")
T = TypeVar("T")

#: Plain callbacks that run at a time, over all runs of the process.
CALLBACK_THREADS = 16

_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("callback_threads")


@overload
async def call(function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T: ...


@overload
async def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


async def call(function: Callable[P, T | Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a user's function and wait for its answer.

    A plain function goes on in its thread when the caller is cancelled; its answer is then thrown away.

    Raises:
        Whatever the function raises.
    """
    if inspect.iscoroutinefunction(function):
        return await cast(Awaitable[T], function(*args, **kwargs))
    answer = await trio.to_thread.run_sync(
        lambda: function(*args, **kwargs), abandon_on_cancel=True, limiter=_threads()
    )
    if inspect.isawaitable(answer):
        return await cast(Awaitable[T], answer)
    return answer


def _threads() -> trio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(CALLBACK_THREADS)
        _limiter.set(limiter)
        return limiter
