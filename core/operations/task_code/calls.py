"""Calls users' functions: `async` ones on the event loop, plain ones in a limited number of worker threads."""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec, TypeVar, cast, overload

import trio

from ...abstractions.callbacks import is_quick
from ...errors import AgentLeftError, LogError, MephistoError, TaskCodeDivergedError, UserCodeError
from .code_location import name_of, plain_function, where_raised, where_thread_stands

P = ParamSpec("P")
T = TypeVar("T")

#: Plain functions that run at a time, over all runs of the process. One that is given up on does not count any more.
CALLBACK_THREADS = 16
#: Plain functions and worlds that run as long as people work, at a time; the next ones wait for one of them to end.
PEOPLE_THREADS = 400

#: Errors of this package that a user's function may let through without being at fault.
PASSED_ON = (AgentLeftError, TaskCodeDivergedError, LogError)

_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("callback_threads")
_people_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("people_threads")


class TimeLimit:
    """Seconds that a call may take, from its start or from a later moment; for one call.

    The time that a plain function waits for a free thread does not count.
    """

    def __init__(self, seconds: float, *, from_start: bool = True) -> None:
        """Set up the limit.

        Args:
            seconds: seconds that the call may take.
            from_start: True to count from the start of the function, False to count from `begin`.
        """
        self.seconds = seconds
        self.from_start = from_start
        #: Cancelled when the time is over.
        self.scope = trio.CancelScope()

    def begin(self) -> None:
        """Count from now on."""
        self.scope.deadline = trio.current_time() + self.seconds


class _Thread:
    """The thread of one call, while it is known."""

    ident: int | None = None


@overload
async def call(function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T: ...


@overload
async def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


async def call(function: Callable[P, T | Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a user's function and wait for its answer, however long that takes.

    When the caller is cancelled, a plain function continues in its thread and its answer is discarded. Errors that a
    function raises while it is being cancelled are discarded too.

    Raises:
        AgentLeftError, TaskCodeDivergedError, LogError: the function let it through, perhaps out of its own nursery.
        UserCodeError: the function raised anything else.
    """
    return await call_within(TimeLimit(math.inf), partial(function, *args, **kwargs))


async def call_within(limit: TimeLimit, function: Callable[[], T | Awaitable[T]]) -> T:
    """Call a user's function without arguments, and give it up when its time is over.

    Raises:
        AgentLeftError, TaskCodeDivergedError, LogError: the function let it through, perhaps out of its own nursery.
        UserCodeError: the function raised anything else, or did not return in time.
    """
    thread, location = _Thread(), ""
    try:
        with limit.scope:
            try:
                return await _call(limit, function, thread)
            except BaseException as error:
                if limit.scope.cancel_called:
                    location = where_thread_stands(thread.ident) or where_raised(error, function)
                raise
    except BaseExceptionGroup as group:
        _, ended = group.split(Exception)
        if ended is not None:
            raise ended from None
        passed_on, rest = group.split(PASSED_ON)
        if rest is not None or passed_on is None:
            raise UserCodeError(name_of(function), group) from group
        raise _first(passed_on) from None
    except (*PASSED_ON, UserCodeError):
        raise
    except Exception as error:
        raise UserCodeError(name_of(function), error) from error
    raise UserCodeError(name_of(function), f"did not return within {limit.seconds:g} s", location)


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
        raise UserCodeError(name_of(function), error) from error


def wait_on_loop(function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call an async function on the event loop that started this thread, and wait for its answer.

    Raises:
        RuntimeError: this thread was not started by an event loop.
    """
    return trio.from_thread.run(partial(function, *args, **kwargs))


async def run_in_thread(function: Callable[[], T]) -> T:
    """Run a plain function that takes as long as people work in a thread, from which `wait_on_loop` works.

    When cancelled, the thread is left alone; its next call of `wait_on_loop` raises.
    """
    async with _threads(_people_limiter, PEOPLE_THREADS):
        alone = trio.CapacityLimiter(1)
        return await trio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=alone)


def call_on_loop(function: Callable[[], T]) -> T:
    """Call a function of ours on the event loop, from there or from the thread of a user's function."""
    return function() if is_on_loop() else trio.from_thread.run_sync(function)


def is_on_loop() -> bool:
    """Return whether the caller runs on an event loop, where nothing may block."""
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


async def _call(limit: TimeLimit, function: Callable[[], T | Awaitable[T]], thread: _Thread) -> T:
    if is_quick(plain_function(function)):
        return cast(T, function())
    if inspect.iscoroutinefunction(function):
        if limit.from_start:
            limit.begin()
        return await cast(Awaitable[T], function())
    async with _threads_for(limit):
        if limit.from_start:
            limit.begin()
        # A thread that is given up on must not take the place of another one.
        alone = trio.CapacityLimiter(1)
        answer = await trio.to_thread.run_sync(_run_in, thread, function, abandon_on_cancel=True, limiter=alone)
        return await cast(Awaitable[T], answer) if inspect.isawaitable(answer) else answer


def _run_in(thread: _Thread, function: Callable[[], T]) -> T:
    thread.ident = threading.get_ident()
    try:
        return function()
    finally:
        thread.ident = None


def _first(group: BaseExceptionGroup[MephistoError]) -> MephistoError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _threads_for(limit: TimeLimit) -> trio.CapacityLimiter:
    """Return the limiter of short calls, or that of calls which take as long as people work."""
    if limit.from_start:
        return _threads(_limiter, CALLBACK_THREADS)
    return _threads(_people_limiter, PEOPLE_THREADS)


def _threads(variable: trio.lowlevel.RunVar[trio.CapacityLimiter], count: int) -> trio.CapacityLimiter:
    try:
        return variable.get()
    except LookupError:
        limiter = trio.CapacityLimiter(count)
        variable.set(limiter)
        return limiter
