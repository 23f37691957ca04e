"""Runs parts of a measurement at once, each in a process of its own, which all begin at the same moment."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from threading import Event
from typing import TypeVar

#: Seconds after which a process that does not come to a meeting is given up.
GIVE_UP_SECONDS = 600

_FORK = multiprocessing.get_context("fork")
T = TypeVar("T")


class PartFailedError(Exception):
    """A part of a measurement failed; it has printed why."""


class Meeting:
    """The place at which the processes of a measurement wait for each other."""

    barrier: Barrier | None = None


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make calls, each in a process of its own; return their results. They may wait for each other with `meet`.

    Raises:
        PartFailedError: one of them failed; the others were killed.
    """
    Meeting.barrier = _FORK.Barrier(len(calls))
    done: SimpleQueue[tuple[int, list[T]]] = _FORK.SimpleQueue()
    processes = [_FORK.Process(target=_make, args=(call, number, done)) for number, call in enumerate(calls)]
    for process in processes:
        process.start()
    results = dict[int, T]()
    try:
        while len(results) < len(calls):
            number, result = done.get()
            if not result:
                raise PartFailedError
            results[number] = result[0]
    except BaseException:
        for process in processes:
            process.kill()
        raise
    finally:
        for process in processes:
            process.join()
    return [results[number] for number in range(len(calls))]


def _make(call: Callable[[], T], number: int, done: SimpleQueue[tuple[int, list[T]]]) -> None:
    """Make a call and report its result, or that there is none."""
    try:
        done.put((number, [call()]))
    except BaseException:
        done.put((number, []))
        raise


def meet() -> None:
    """Wait until all processes of a measurement have come so far."""
    assert Meeting.barrier is not None
    Meeting.barrier.wait(GIVE_UP_SECONDS)


def rest(seconds: float) -> None:
    """Let time pass."""
    Event().wait(seconds)
