"""Asks the operator of a run, for the verbs that show the run's status."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import msgspec

from ....events.ids import TaskRunId
from ....projections.queries.runs.progress import RunProgress
from ...control.abandoned import needs_operator, operator_problem


class OperatorReport(msgspec.Struct, frozen=True):
    """Knowledge of the operator of a run."""

    #: Requests and packets that it has refused or discarded, by reason; None if it does not run, or cannot be asked.
    refused: dict[str, int] | None = None
    #: A sentence with the remedy if the run should have an operator and has none; else None.
    problem: str | None = None
    #: Routers that it cannot reach: a sentence with the remedy, and the UTC time at which each was lost.
    outages: tuple[tuple[str, str], ...] = ()


def ask_operator(database: Path, run: TaskRunId, status: str) -> OperatorReport:
    """Ask the operator of a run, if it should have one.

    Args:
        database: the log.
        run: the run.
        status: the run's status according to the log.
    """
    if not needs_operator(status):
        return OperatorReport()
    problem = operator_problem(database, run, status)
    if problem is not None:
        return OperatorReport(None, problem)
    # Loaded for live runs only: the verbs that use this answer faster than this loads.
    refused: dict[str, int] | None
    refused, outages = import_module("...control.reviews", __package__).report_of(database, run)
    return OperatorReport(refused, None, outages)


def with_operator(progress: RunProgress, database: Path) -> RunProgress:
    """Return the figures of a run with what is wrong with its operator."""
    problem = operator_problem(database, progress.task_run_id, progress.status)
    return progress if problem is None else msgspec.structs.replace(progress, operator_problem=problem)
