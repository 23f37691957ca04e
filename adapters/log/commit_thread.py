"""Runs a ledger's writer on a real disk: commits in a worker thread, with the garbage collector tuned for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from ...core.gc_tuning import gc_less_often
from ...core.ledger import Ledger

T = TypeVar("T")


async def commit_in_thread(call: Callable[[], T], /) -> T:
    """Make a blocking call in a worker thread: a turn, a commit, the check of a large packet.

    A cancellation is delivered after it. The writer makes one call at a time, and so does each channel: there are few
    threads. `trio.to_thread.run_sync` counts them and copies the caller's context, which would cost a commit a tenth
    more.
    """
    task, token = trio.lowlevel.current_task(), trio.lowlevel.current_trio_token()
    trio.lowlevel.start_thread_soon(call, lambda outcome: token.run_sync_soon(trio.lowlevel.reschedule, task, outcome))
    result: T = await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
    return result


async def run_writer(ledger: Ledger, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Run the writer task of a ledger until it is cancelled or the log fails, with fewer garbage collections.

    Raises:
        LogError: the log accepts nothing more.
    """
    with gc_less_often():
        await ledger.run(task_status=task_status)
