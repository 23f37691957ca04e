"""Calls users' functions: `async` ones on the event loop, plain ones in a limited number of worker threads."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec, TypeVar, cast, overload

import trio

from ...errors import AgentLeftError, LogError, MephistoError, TaskCodeDivergedError, UserCodeError
from ..logger_core import get_logger

P = ParamSpec("P")
T = TypeVar("T")

#: Plain functions that run at a time, over all runs of the process.
CALLBACK_THREADS = 16

#: Errors of this package that a user's function may let through without being at fault.
PASSED_ON = (AgentLeftError, TaskCodeDivergedError, LogError)

logger = get_logger(__name__)

_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("callback_threads")


@overload
async def call(function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T: ...


@overload
async def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


async def call(function: Callable[P, T | Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a user's function and wait for its answer.

    When the caller is cancelled, a plain function continues in its thread and its answer is discarded. Errors that a
    function raises while it is being cancelled are discarded too.

    Raises:
        AgentLeftError, TaskCodeDivergedError, LogError: the function let it through, perhaps out of its own nursery.
        UserCodeError: the function raised anything else.
    """
    try:
        return await _call(function, *args, **kwargs)
    except BaseExceptionGroup as group:
        _, ended = group.split(Exception)
        if ended is not None:
            raise ended from None
        passed_on, rest = group.split(PASSED_ON)
        if rest is not None or passed_on is None:
            raise UserCodeError(_name(function), group) from group
        raise _first(passed_on) from None
    except PASSED_ON:
        raise
    except Exception as error:
        raise UserCodeError(_name(function), error) from error


def call_nowait(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a user's function that takes no time, on the event loop.

    Raises:
        AgentLeftError, TaskCodeDivergedError, LogError: the function let it through.
        UserCodeError: the function raised anything else.
    """
    try:
        return function(*args, **kwargs)
    except PASSED_ON:
        raise
    except Exception as error:
        raise UserCodeError(_name(function), error) from error


async def clean_up(function: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call a user's function that cleans up after unfinished work; its failure is only logged."""
    try:
        await call(function, *args, **kwargs)
    except MephistoError:
        logger.exception("the cleanup failed")


async def _call(function: Callable[P, T | Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    if inspect.iscoroutinefunction(function):
        return await cast(Awaitable[T], function(*args, **kwargs))
    answer = await trio.to_thread.run_sync(
        lambda: function(*args, **kwargs), abandon_on_cancel=True, limiter=_threads()
    )
    if inspect.isawaitable(answer):
        return await cast(Awaitable[T], answer)
    return answer


def _first(group: BaseExceptionGroup[MephistoError]) -> MephistoError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _name(function: Callable[..., object]) -> str:
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__name__)


def _threads() -> trio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(CALLBACK_THREADS)
        _limiter.set(limiter)
        return limiter
