"""Finds live runs whose operator died: the log says that they are live, and no process runs them."""

from __future__ import annotations

import os
from pathlib import Path

from ...core.decisions.task_run import resume_advice
from ...core.lifecycles.task_run import TaskRunStatus
from ...events import streams
from ...events.ids import TaskRunId
from ...events.task_run import TaskRunCreated
from ..composition.log_choice import log_address
from ..log.sqlite.as_of import open_as_of
from ..log.sqlite.writer_lock import writer_of

#: Statuses of a run that has an operator, unless that died.
_OPERATED = frozenset(status.value for status in (TaskRunStatus.LIVE, TaskRunStatus.STOPPING))


def needs_operator(status: str) -> bool:
    """Return whether a run with a status has an operator, unless that died."""
    return status in _OPERATED


def operator_problem(database: Path, run: TaskRunId, status: str, *, is_held_here: bool = False) -> str | None:
    """Return a sentence with the remedy if a run should have an operator and has none; else None.

    Nothing is said against an operator that may be starting, or that may be on another machine.

    Args:
        database: the log.
        run: the run.
        status: the run's status according to the log.
        is_held_here: True if this process has the log open, and is no operator.
    """
    if not needs_operator(status) or log_address() is not None:
        return None
    if not is_held_here and not _has_writer_died(database):
        return None
    return f"no operator is running: {how_to_resume(database, run)}"


def how_to_resume(database: Path, run: TaskRunId) -> str:
    """Return how to continue a run that is paused, as the end of a sentence about it."""
    with open_as_of(database) as moment:
        created = moment.stream(streams.task_run(run))[0].envelope.event
        is_only = len(moment.db.find_task_runs()) == 1
    if not isinstance(created, TaskRunCreated):
        raise LookupError("only being created can happen first to a run: a table has a wrong row")
    return resume_advice(created.given_by_script, None if is_only else run)


def _has_writer_died(database: Path) -> bool:
    """Return whether the process that last wrote a log has ended."""
    try:
        os.kill(int(writer_of(database)), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OverflowError, PermissionError):
        return False
    return False
