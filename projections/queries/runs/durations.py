"""Measures how long units of a task took in earlier runs."""

from __future__ import annotations

from statistics import median

import msgspec

from ...mephisto_db.reader import MephistoDB

#: Submissions that are looked at, the last ones.
SUBMISSIONS = 1000

_SECONDS = """
    SELECT task_end - task_start FROM agents JOIN tasks USING (task_id)
    WHERE task_name = ? AND task_start IS NOT NULL AND task_end IS NOT NULL
    ORDER BY agent_id DESC LIMIT ?
"""


class Durations(msgspec.Struct, frozen=True):
    """The time that workers took for units of a task."""

    #: Submissions that were measured.
    count: int
    median_seconds: float


def durations_of_task(db: MephistoDB, task_name: str) -> Durations | None:
    """Return how long the last submissions of a task took, from taking a unit to submitting it.

    Args:
        db: the view.
        task_name: the task; all its runs count.

    Returns:
        None if there was no submission.
    """
    seconds = [taken for (taken,) in db.execute(_SECONDS, (task_name, SUBMISSIONS)).fetchall()]
    return Durations(len(seconds), median(seconds)) if seconds else None
