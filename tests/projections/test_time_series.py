"""The course of runs over time."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mephisto_es.core.ports import AppendRequest
from mephisto_es.events.agent import AgentSubmitted
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.task_run import TaskRunCompleted, TaskRunFailed
from mephisto_es.projections.queries.runs.run_status import all_runs, run_status
from mephisto_es.projections.queries.runs.time_series import MAX_SAMPLES, LogSeries

from ..histories import histories, history
from .memory_as_of import MemoryAsOf


@given(histories(), st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_it_ends_where_the_run_stands_however_it_was_read(
    requests: tuple[AppendRequest, ...], data: st.DataObject
) -> None:
    as_of = MemoryAsOf(requests)
    at_once, in_two = LogSeries(), LogSeries()
    at_once.apply_events(as_of.events)
    cut = data.draw(st.integers(0, len(as_of.events)))
    in_two.apply_events(as_of.events[:cut])
    in_two.apply_events(as_of.events[cut:])
    assert at_once.seq == as_of.seq
    for run in all_runs(as_of).runs:
        series = at_once.run(run.task_run_id)
        assert in_two.run(run.task_run_id) == series
        status = run_status(as_of, run.task_run_id, now=as_of.at)
        last = series.samples[-1]
        assert last.units == run.units
        assert last.committed_cents == status.worth.committed_cents
        assert last.offered_cents == status.worth.offered_cents
        assert last.agents_at_work >= status.workers_at_work


def test_a_long_run_has_as_many_samples_as_can_be_drawn() -> None:
    as_of = MemoryAsOf(history(Random(1), 3000))
    series = LogSeries()
    series.apply_events(as_of.events)
    for run in all_runs(as_of).runs:
        samples = series.run(run.task_run_id).samples
        own = [one for one in as_of.events if one.envelope.stream.startswith(f"agent/{run.task_run_id}/")]
        assert len(samples) <= MAX_SAMPLES + 1
        assert all(before.at < after.at for before, after in pairwise(samples))
        created = as_of.stream(f"task_run/{run.task_run_id}")[0]
        assert samples[0].at == created.envelope.at
        assert samples[0].units == {}
        assert samples[-1].submitted == sum(isinstance(one.envelope.event, AgentSubmitted) for one in own)
        assert all(before.submitted <= after.submitted for before, after in pairwise(samples))


def test_each_sample_is_what_the_run_was() -> None:
    requests = history(Random(5), 300)
    series = LogSeries()
    series.apply_events(MemoryAsOf(requests).events)
    runs = [run for run in all_runs(MemoryAsOf(requests)).runs if not _ended(requests, run.task_run_id)]
    assert runs
    for run in runs:
        for sample in series.run(run.task_run_id).samples[:: MAX_SAMPLES // 20]:
            then = MemoryAsOf([request for request in requests if request.at <= sample.at])
            status = run_status(then, run.task_run_id, now=sample.at)
            assert sample.units == status.progress.units
            assert sample.committed_cents == status.worth.committed_cents


def _ended(requests: tuple[AppendRequest, ...], run: TaskRunId) -> bool:
    """Return True if a run ever ended: then its last sample also has what was decided later."""
    ends = (TaskRunCompleted, TaskRunFailed)
    return any(isinstance(new.event, ends) for one in requests for new in one.events if new.stream == f"task_run/{run}")


def test_a_run_that_is_not_there() -> None:
    assert LogSeries().run(TaskRunId(1)).samples == ()
