"""The status of runs."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from mephisto_es.core.lifecycles.agent import LIVE_AGENT_STATUSES, AgentStatus
from mephisto_es.core.lifecycles.task_run import TaskRunStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.core.ports import AppendRequest
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.streams import run_of, task_run, unit
from mephisto_es.events.task_run import TaskRunCreated
from mephisto_es.projections.queries.money.spending import Spending
from mephisto_es.projections.queries.runs.run_status import PACE_SECONDS, all_runs, run_status

from ..histories import histories, history
from ..history_search import find_history
from .memory_as_of import MemoryAsOf


@given(histories())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_figures_agree_with_the_market(requests: tuple[AppendRequest, ...]) -> None:
    as_of = MemoryAsOf(requests)
    state = DecisionState()
    for recorded in as_of.events:
        state.apply(recorded.envelope)
    runs = all_runs(as_of).runs
    assert [run.task_run_id for run in runs] == [run.task_run for run in state.task_runs.values()]
    for run in runs:
        prefix = f"/{run.task_run_id}/"
        status = run_status(as_of, run.task_run_id, now=as_of.at)
        units = [one for stream, one in state.units.items() if prefix in stream]
        held = (*LIVE_AGENT_STATUSES, AgentStatus.PARTNER_DISCONNECT)
        at_work = {agent.worker for stream, agent in state.agents.items() if prefix in stream and agent.status in held}
        assert status.workers_at_work == len(at_work)
        committed = (UnitStatus.ASSIGNED, UnitStatus.COMPLETED, UnitStatus.ACCEPTED, UnitStatus.SOFT_REJECTED)
        worth = sum(one.pay_cents for one in units if one.status in committed)
        # Late work on a unit that is somebody else's is paid as well.
        late = sum(
            state.units[unit(run.task_run_id, agent.unit)].pay_cents
            for stream, agent in state.agents.items()
            if prefix in stream
            and agent.status is AgentStatus.APPROVED
            and state.units[unit(run.task_run_id, agent.unit)].agent != agent.agent
        )
        assert status.worth.committed_cents - status.worth.bonus_cents == worth + late
        assert status.progress == run
        assert status.spending is None
        assert len(status.last_events) <= 10


def with_budget(event: AnyEvent) -> AnyEvent:
    if not isinstance(event, TaskRunCreated):
        return event
    return replace(event, budget_cents=100_000, fee_percent=20, bonus_limit_cents=10)


@given(histories())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_spending_agrees_with_the_market(requests: tuple[AppendRequest, ...]) -> None:
    as_of = MemoryAsOf(
        tuple(
            replace(request, events=tuple(new._replace(event=with_budget(new.event)) for new in request.events))
            for request in requests
        )
    )
    state = DecisionState()
    for recorded in as_of.events:
        state.apply(recorded.envelope)
    for run in state.task_runs.values():
        money = state.runs[run.task_run].budget
        assert run_status(as_of, run.task_run, now=as_of.at).spending == Spending(
            budget_cents=100_000,
            committed_cents=money.committed_cents,
            reserved_cents=money.reserved_cents,
            left_cents=100_000 - money.committed_cents - money.reserved_cents,
        )


def _busiest_run_is_at_work(state: DecisionState) -> bool:
    """Return whether the run with most agents is live, has submissions, and is not done yet."""
    counts = Counter(run_of(stream) for stream in state.agents).most_common(2)
    if len(counts) < 2 or counts[0][1] == counts[1][1]:
        return False
    run = counts[0][0]
    submitted = any(agent.submission for stream, agent in state.agents.items() if run_of(stream) == run)
    is_live = state.task_runs[task_run(run)].status is TaskRunStatus.LIVE
    return is_live and submitted and bool(state.runs[run].open_units)


def test_the_pace_is_that_of_the_last_quarter_of_an_hour() -> None:
    as_of = MemoryAsOf(find_history(1500, _busiest_run_is_at_work))
    (run,) = as_of.db.execute("SELECT task_run_id FROM agents GROUP BY 1 ORDER BY count(*) DESC LIMIT 1").fetchone()
    submitted = "SELECT count(*) FROM agents WHERE task_run_id = ? AND task_end IS NOT NULL"
    (handed_in,) = as_of.db.execute(submitted, (run,)).fetchone()
    status = run_status(as_of, TaskRunId(run), now=as_of.at)
    assert status.pace.over_seconds < PACE_SECONDS
    assert status.pace.units_per_hour == pytest.approx(handed_in / status.pace.over_seconds * 3600)
    gives_no_work = (status.progress.admission_problem, status.progress.pausing, status.offer_problem)
    assert (status.pace.seconds_to_finish is not None) == (gives_no_work == (None, None, None))
    an_hour_later = run_status(as_of, TaskRunId(run), now=as_of.at + 3_600_000_000)
    assert (an_hour_later.pace.units_per_hour, an_hour_later.pace.seconds_to_finish) == (0, None)


def test_the_last_events_are_the_run_s_own() -> None:
    as_of = MemoryAsOf(history(Random(5), 1500))
    for run in all_runs(as_of).runs:
        status = run_status(as_of, run.task_run_id, now=as_of.at, last=3)
        assert len(status.last_events) == 3
        assert all(f"/{run.task_run_id}" in line.stream for line in status.last_events)
