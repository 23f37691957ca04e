"""The indexes of the decision state say what the entity states say."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from msgspec.structs import replace

from mephisto_es.core.errors import UnknownEntityError, VersionConflictError
from mephisto_es.core.lifecycles.agent import AT_WORK_STATUSES
from mephisto_es.core.lifecycles.onboarding import LIVE_ONBOARDING_STATUSES
from mephisto_es.core.lifecycles.payment import PaymentStatus
from mephisto_es.core.lifecycles.unit import OPEN_UNIT_STATUSES, UnitStatus
from mephisto_es.core.lifecycles.worker import WorkerStatus
from mephisto_es.core.ports import AppendRequest
from mephisto_es.core.state.budget import RESERVING_UNIT_STATUSES
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.core.state.run_index import RunIndex
from mephisto_es.events import streams
from mephisto_es.events.ids import TaskRunId

from ...histories import histories, numbered


def state_after(requests: tuple[AppendRequest, ...]) -> DecisionState:
    state = DecisionState()
    for recorded in numbered(requests):
        state.apply(recorded.envelope)
    return state


def check_run(state: DecisionState, run: TaskRunId, index: RunIndex) -> None:
    units = [unit for stream, unit in state.units.items() if streams.run_of(stream) == run]
    agents = [agent for stream, agent in state.agents.items() if streams.run_of(stream) == run]
    onboardings = [one for stream, one in state.onboardings.items() if streams.run_of(stream) == run]
    ordinary = [unit for unit in units if unit.index >= 0]
    assert set(index.offered) == {unit.unit for unit in ordinary if unit.status is UnitStatus.LAUNCHED}
    assert index.open_units == {unit.unit for unit in units if unit.status in OPEN_UNIT_STATUSES}
    assert {status: count for status, count in index.units_by_status.items() if count} == Counter(
        unit.status for unit in units
    )
    assert index.agent_of_unit == {unit.unit: unit.agent for unit in units if unit.agent is not None}
    assert index.live_agents == {agent.agent for agent in agents if agent.status in AT_WORK_STATUSES}
    assert index.live_onboardings == {one.agent for one in onboardings if one.status in LIVE_ONBOARDING_STATUSES}
    for agent in agents:
        if agent.status in AT_WORK_STATUSES:
            assert index.data_of(agent.assignment) in index.seen[agent.worker]
    budget = index.budget
    assert budget.reserved_cents == sum(
        budget.cost_of_unit(unit.pay_cents) for unit in units if unit.status in RESERVING_UNIT_STATUSES
    )
    assert budget.committed_cents == sum(
        budget.with_fee(payment.amount_cents)
        for stream, payment in state.payments.items()
        if streams.run_of(stream) == run and payment.status is not PaymentStatus.WITHDRAWN
    )
    assert index.is_idle == (not (index.has_open_work or index.live_onboardings))
    tokens = [*(agent.token for agent in agents), *(one.token for one in onboardings)]
    assert sorted(state.tokens_of(run)) == sorted(tokens)


@given(histories())
def test_every_index_agrees_with_the_entities(requests: tuple[AppendRequest, ...]) -> None:
    state = state_after(requests)
    for run, index in state.runs.items():
        check_run(state, run, index)
    for stream, agent in state.agents.items():
        assert state.agent_by_token(streams.run_of(stream), agent.token) == agent
    for stream, onboarding in state.onboardings.items():
        assert state.agent_by_token(streams.run_of(stream), onboarding.token) == onboarding
    known = [worker for worker in state.workers.values() if worker.status is not WorkerStatus.ERASED]
    assert state.workers_by_identity == {worker.identity: worker.worker for worker in known}
    for category, highest in state.highest_ids().items():
        numbers = [streams.number_of(stream) for stream in state.versions if streams.category_of(stream) == category]
        assert highest == max(numbers)


def test_a_run_that_does_not_exist_is_refused_and_not_made() -> None:
    state = DecisionState()
    with pytest.raises(UnknownEntityError, match="there is no run-7"):
        state.agent_by_registration(TaskRunId(7), "registration")
    assert state.agent_by_token(TaskRunId(7), "token") is None
    assert state.runs == {}


@given(histories(max_moves=5))
def test_an_event_whose_version_does_not_follow_is_refused(requests: tuple[AppendRequest, ...]) -> None:
    *before, last = numbered(requests)
    state = DecisionState()
    for recorded in before:
        state.apply(recorded.envelope)
    with pytest.raises(VersionConflictError):
        state.apply(replace(last.envelope, version=last.envelope.version + 1))
