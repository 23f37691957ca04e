"""Runs plain code beside an event loop, and jobs of plain code on a loop of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import trio

from ...core.errors import ConfigError
from ...core.operations.task_code.calls import is_on_loop

T = TypeVar("T")


def run_apart(prepare: Callable[[], None], job: Callable[[], Awaitable[T]], name: str) -> T:
    """Run a job on an event loop of its own in another thread, and wait for it. Also works in notebooks.

    Args:
        prepare: blocks; called in that thread before its loop starts.
        job: what to run.
        name: the caller's name, for the error.

    Raises:
        ConfigError: the caller itself runs on the event loop, which must not block.
    """
    if is_on_loop():
        raise ConfigError(
            f"{name} blocks, and was called on the event loop",
            key=name,
            hint="Call it in a plain function; in an async one use operator.reviewer() or operator.directory()",
        )

    def run() -> T:
        prepare()
        return trio.run(job)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix=name) as pool:
        return pool.submit(run).result()


async def run_plain(function: Callable[[], T]) -> T:
    """Run a plain function in a thread of its own, from which `wait_on_loop` works.

    When cancelled, the thread is left alone; its next call of `wait_on_loop` raises.
    """
    alone = trio.CapacityLimiter(1)
    return await trio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=alone)
