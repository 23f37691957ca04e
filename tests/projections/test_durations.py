"""The time that workers took for units of a task."""

from __future__ import annotations

from random import Random
from statistics import median

from mephisto_es.projections.mephisto_db import MephistoDB
from mephisto_es.projections.queries.runs.durations import Durations, durations_of_task

from ..histories import history
from .views import empty, lived


def test_all_runs_of_a_task_count() -> None:
    submitted = "SELECT 1 FROM agents WHERE task_end IS NOT NULL"
    views = (lived(history(Random(seed), 600))[0] for seed in range(50))
    view = next(view for view in views if view.execute(submitted).fetchone())
    tasks = dict(view.execute("SELECT task_id, task_name FROM tasks").fetchall())
    measured = view.execute("SELECT task_id, task_start, task_end FROM agents WHERE task_end IS NOT NULL").fetchall()
    assert measured
    for task_id, name in tasks.items():
        seconds = [end - start for task, start, end in measured if task == task_id and start is not None]
        wanted = Durations(len(seconds), median(seconds)) if seconds else None
        assert durations_of_task(MephistoDB(view), name) == wanted


def test_of_a_task_without_submissions_nothing_is_known() -> None:
    assert durations_of_task(MephistoDB(empty()), "rating") is None
