"""Asks whoever has a log open to compare its payments with the books of the run's crowd site.

A module of its own, because it loads much that verbs which only look do not need.
"""

from __future__ import annotations

from pathlib import Path

import trio

from ....core.operations.control.requests import CompareBooksRequest
from ....core.operations.control.round_report import BooksReport
from ....events.ids import TaskRunId
from ...control.client import open_control
from ...control.protocol import author_of


def site_books(database: Path, run: TaskRunId) -> BooksReport:
    """Return how the log's payments of a run and its site differ.

    Nothing is changed, in the log or at the site.

    Args:
        database: the log.
        run: the run.

    Raises:
        CommandRefusedError: the site cannot be asked.
        ConfigError: the provider is not installed, or its account is not registered.
        LogError: the log cannot be opened.
    """

    async def ask() -> BooksReport:
        async with open_control(database, author_of()) as control:
            return (await control.execute(CompareBooksRequest(task_run=run))).books or BooksReport(
                compared=0, faults=("the operator is of an earlier version: it compared nothing",)
            )

    return trio.run(ask)
