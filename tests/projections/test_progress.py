"""The progress of runs."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

from mephisto_es.core.errors import UnknownEntityError
from mephisto_es.core.ports import AppendRequest
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import streams
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.task_run import TaskRunCompleted, TaskRunFailed
from mephisto_es.projections.mephisto_db import MephistoDB
from mephisto_es.projections.queries.runs.progress import RunProgress, run_progress

from ..histories import histories, history, numbered
from .views import empty, lived


@given(histories())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_figures_agree_with_the_market(requests: tuple[AppendRequest, ...]) -> None:
    state = DecisionState()
    events = numbered(requests)
    for _, envelope in events:
        state.apply(envelope)
    view, _ = lived(requests)
    for run in state.task_runs.values():
        index = state.runs[run.task_run]
        progress = run_progress(MephistoDB(view), run.task_run)
        counted = {status.value: count for status, count in index.units_by_status.items() if count}
        assert progress.units == counted
        assert progress.units_total - progress.units_finished == len(index.open_units)
        assert progress.assignments == len(index.units_of)
        assert progress.status == run.status.value
        assert progress.server_url == run.url
        assert progress.is_data_exhausted is (run.assignments is not None)
        own = [one for one in events if streams.partition_of(one.envelope.stream) == f"run/{run.task_run}"]
        assert progress.events == len(own)
        ends = [one for one in own if isinstance(one.envelope.event, TaskRunCompleted | TaskRunFailed)]
        # A review of a run that has ended does not make it longer.
        last = ends[-1] if run.status.value in {"completed", "failed"} else own[-1]
        elapsed = (last.envelope.at - own[0].envelope.at) / 1_000_000
        assert progress.seconds == pytest.approx(elapsed, abs=0.002)


def test_who_took_part_and_how_it_went() -> None:
    view, _ = lived(history(Random(5), 600))
    (run,) = view.execute("SELECT task_run_id FROM agents LIMIT 1").fetchone()
    progress = run_progress(MephistoDB(view), str(run))
    met = view.execute("SELECT worker_id FROM agents WHERE task_run_id = ?", (run,)).fetchall()
    met += view.execute("SELECT worker_id FROM onboarding_agents WHERE task_run_id = ?", (run,)).fetchall()
    assert progress.workers == len(set(met))
    (agents,) = view.execute("SELECT count(*) FROM agents WHERE task_run_id = ?", (run,)).fetchone()
    assert sum(progress.agents.values()) == agents
    assert all(progress.agents.values())


def test_a_run_that_is_not_there() -> None:
    with pytest.raises(UnknownEntityError, match=r"there is no run-1$"):
        run_progress(MephistoDB(empty()), 1)


def test_an_expired_unit_is_finished_and_not_done() -> None:
    progress = RunProgress(
        task_run_id=TaskRunId(1),
        task_name="rate",
        status="completed",
        server_url=None,
        units={"completed": 1, "accepted": 2, "rejected": 3, "expired": 94, "assigned": 5},
        agents={},
        onboarding_agents={},
        workers=6,
        assignments=100,
        is_data_exhausted=True,
        seconds=1.0,
        events=7,
    )
    assert (progress.units_done, progress.units_finished, progress.units_total) == (6, 100, 105)
