"""Finds live runs whose operator died: the log says that they are live, and no process runs them."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import msgspec

from ....core.lifecycles.task_run import TaskRunStatus
from ....events.ids import TaskRunId
from ....projections.queries.runs.progress import RunProgress
from ...composition.log_choice import log_address
from ...log.sqlite.writer_lock import writer_of

#: Statuses of a run that has an operator, unless that died.
_OPERATED = frozenset(status.value for status in (TaskRunStatus.LIVE, TaskRunStatus.STOPPING))


class OperatorReport(msgspec.Struct, frozen=True):
    """Knowledge of the operator of a run."""

    #: Requests and packets that it has refused or discarded, by reason; None if it does not run, or cannot be asked.
    refused: dict[str, int] | None = None
    #: A sentence with the remedy if the run should have an operator and has none; else None.
    problem: str | None = None


def ask_operator(database: Path, run: TaskRunId, status: str) -> OperatorReport:
    """Ask the operator of a run, if it should have one.

    Nothing is said against an operator that may be starting, or that may be on another machine.

    Args:
        database: the log.
        run: the run.
        status: the run's status according to the log.
    """
    if status not in _OPERATED:
        return OperatorReport()
    # Loaded for live runs only: the verbs that use this answer faster than these load.
    reviews = import_module("...control.reviews", __package__)
    refused: dict[str, int] | None = reviews.refusals_of(database, run)
    if refused is not None or log_address() is not None or not _has_writer_died(database):
        return OperatorReport(refused)
    advice: str = import_module("..run_control", __package__).how_to_resume(database, run)
    return OperatorReport(None, f"no operator is running: {advice}")


def with_operator(progress: RunProgress, database: Path) -> RunProgress:
    """Return the figures of a run with what is wrong with its operator."""
    problem = ask_operator(database, progress.task_run_id, progress.status).problem
    return progress if problem is None else msgspec.structs.replace(progress, operator_problem=problem)


def _has_writer_died(database: Path) -> bool:
    """Return whether the process that last wrote a log has ended."""
    try:
        os.kill(int(writer_of(database)), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OverflowError, PermissionError):
        return False
    return False
