"""The list of what a restart restores.

A run that an earlier process left is resumed from the log: every part reads what it needs from the state and the
recorded events, and continues where its predecessor stood. For a new run there is nothing to read, and the same calls
do nothing.

The server comes first, before the list: `RunServer.resume` finds the server that the earlier process deployed, because
the other parts need its URL. Last, after the list, `TaskLauncher.create_assignments` reads the launch script's data
again and skips what was created.
"""

from __future__ import annotations

from typing import Protocol

from .live_task_run import LiveTaskRun


class Resumable(Protocol):
    """A part of a run that can continue where an earlier process stood."""

    def resume(self) -> None:
        """Restore what the log says an earlier process of the run had."""


def parts_to_resume(live_run: LiveTaskRun) -> tuple[Resumable, ...]:
    """Return the parts that a restart restores, in the order in which they must be resumed."""
    launcher, pool = live_run.task_launcher, live_run.worker_pool
    return (
        # Created assignments, units that wait to be launched, assignments to make again, items to assess.
        launcher,
        # Screening data that is used up.
        pool.admission,
        # Agents at work, their deadlines, the last updates of their pages, and their task code.
        pool.agents,
        # Uploaded files that only the server has.
        live_run.uploads,
        # Submissions that the launch script has not answered.
        pool.submissions,
        # Completed units of workers whose partners left, which are to be approved.
        pool.left_partners,
        # Agents whose time is to be paid.
        pool.time_payments,
        # Onboardings that are not decided, and pages that wait for the outcome.
        pool.onboardings,
    )
