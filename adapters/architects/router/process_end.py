"""Waiting for the end of a process that is not our child."""

from __future__ import annotations

import os
import select
import sys

import trio


async def wait_for_end(pid: int) -> None:
    """Return once a process has ended; at once if there is none of that number."""
    try:
        await _wait_for_end(pid)
    except ProcessLookupError:
        await trio.lowlevel.checkpoint()


if sys.platform == "linux":

    async def _wait_for_end(pid: int) -> None:
        # Readable as soon as the process has ended, and true to it even if the number is given out again.
        descriptor = os.pidfd_open(pid)
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)

elif sys.platform == "darwin":

    async def _wait_for_end(pid: int) -> None:
        wanted = select.kevent(
            pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD | select.KQ_EV_ONESHOT, fflags=select.KQ_NOTE_EXIT
        )
        with trio.lowlevel.monitor_kevent(pid, select.KQ_FILTER_PROC) as ends:
            trio.lowlevel.current_kqueue().control([wanted], 0)
            async for _ in ends:
                return
