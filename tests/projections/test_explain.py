"""Explanations of admissions, refusals, assignments and departures."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from mephisto_es.core.decisions.admission_rules import admission
from mephisto_es.core.errors import UnknownEntityError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.assignment import AssignmentStatus
from mephisto_es.core.ports import AppendRequest
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentLateAccepted, AgentReturned
from mephisto_es.events.assignment import AssignmentExtended, AssignmentSettled
from mephisto_es.events.engagement import WorkerRefused, WorkStarted
from mephisto_es.events.ids import AgentId, AssignmentId, WorkerId
from mephisto_es.projections.queries.history.explain import (
    Explanation,
    ExplanationStep,
    explain_agent,
    explain_assignment,
    explain_worker,
)

from ..histories import histories
from ..history_search import find_history
from .memory_as_of import MemoryAsOf

LIMITS = {"allowed_concurrent", "maximum_units_per_worker"}


def _has_limits(state: DecisionState) -> bool:
    """Return whether runs with each of the limits admitted workers, and a worker returned its unit."""
    runs = [state.task_runs[streams.task_run(streams.run_of(stream))] for stream, _ in state.agents.items()]
    limited = any(run.allowed_concurrent for run in runs) and any(run.maximum_units_per_worker for run in runs)
    return limited and any(agent.status is AgentStatus.RETURNED for agent in state.agents.values())


@pytest.fixture(scope="module")
def as_of() -> MemoryAsOf:
    return MemoryAsOf(find_history(1500, _has_limits))


def explanations(as_of: MemoryAsOf) -> list[Explanation]:
    return [explain_worker(as_of, WorkerId(worker)) for (worker,) in as_of.db.execute("SELECT worker_id FROM workers")]


def step_at(explained: list[Explanation], seq: int) -> ExplanationStep:
    (step,) = [step for one in explained for step in one.steps if step.seq == seq]
    return step


@given(histories())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_the_rules_asked_again_say_what_was_decided(requests: tuple[AppendRequest, ...]) -> None:
    """An admitted worker met every rule at that position; a refusal names the recorded rule."""
    as_of = MemoryAsOf(requests)
    explained = explanations(as_of)
    for seq, envelope in as_of.events:
        match envelope.event:
            case WorkStarted():
                rules = step_at(explained, seq).rules
                assert all(said.holds for said in rules)
                assert {said.rule for said in rules} >= {"run_is_live", "not_blocked", "not_excluded", "first_offered"}
            case WorkerRefused(rule=rule, inputs=inputs):
                (said,) = step_at(explained, seq).rules
                assert (said.rule, said.inputs, said.holds) == (rule, inputs, False)


@given(histories())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_the_rules_see_what_the_decision_saw(requests: tuple[AppendRequest, ...]) -> None:
    """The rules that an explanation shows are those of the market at that position, inputs and all."""
    as_of = MemoryAsOf(requests)
    explained = explanations(as_of)
    state = DecisionState()
    for seq, envelope in as_of.events:
        if isinstance(envelope.event, WorkStarted):
            run = state.task_runs[streams.task_run(streams.run_of(envelope.stream))]
            engagement = state.engagements[envelope.stream]
            counted = state.counted_units(run.task_run, engagement.worker)
            checks = admission(run, state.workers[streams.worker(engagement.worker)], engagement, counted)
            shown = [(said.rule, said.inputs) for said in step_at(explained, seq).rules]
            assert shown[:-1] == [(check.rule, check.inputs) for check in checks]
        state.apply(envelope)


def test_a_limit_is_shown_where_there_is_one(as_of: MemoryAsOf) -> None:
    shown = {said.rule for one in explanations(as_of) for step in one.steps for said in step.rules}
    assert shown >= LIMITS


def test_an_agent_that_lost_its_unit(as_of: MemoryAsOf) -> None:
    accepted = {one.envelope.stream for one in as_of.events if isinstance(one.envelope.event, AgentLateAccepted)}
    returned = next(
        one
        for one in as_of.events
        if isinstance(one.envelope.event, AgentReturned) and one.envelope.stream not in accepted
    )
    agent = AgentId(int(returned.envelope.stream.rpartition("/")[2]))
    explained = explain_agent(as_of, agent)
    assert explained.entity == f"agent-{agent}"
    assert explained.summary.startswith("returned; worker-")
    taken, *_, gone = [step for step in explained.steps if " in run-" in step.entity]
    assert taken.rules
    assert gone.seq > returned.seq
    assert "(returned)" in gone.text
    assert "unit-" in gone.text.rpartition("; ")[2]
    assert [step.seq for step in explained.steps] == sorted(step.seq for step in explained.steps)


def test_a_worker_s_story_leaves_nothing_out(as_of: MemoryAsOf) -> None:
    worker = WorkerId(as_of.db.execute("SELECT worker_id FROM agents LIMIT 1").fetchone()[0])
    told = {step.seq for step in explain_worker(as_of, worker).steps}
    of_worker = {
        seq
        for seq, envelope in as_of.events
        if envelope.stream == f"worker/{worker}"
        or (envelope.stream.startswith("engagement/") and envelope.stream.endswith(f"/{worker}"))
    }
    assert told == of_worker


def test_who_is_not_there_is_told_who_is(as_of: MemoryAsOf) -> None:
    with pytest.raises(UnknownEntityError, match=r"there is no worker-99999; the nearest is worker-\d+"):
        explain_worker(as_of, WorkerId(99999))
    with pytest.raises(UnknownEntityError, match=r"there is no agent-99999; the nearest is agent-\d+"):
        explain_agent(as_of, AgentId(99999))


def test_an_assignment_is_explained_with_the_numbers_of_each_decision() -> None:
    def is_extended_and_settled(state: DecisionState) -> bool:
        return any(one.further and one.status is AssignmentStatus.SETTLED for one in state.assignments.values())

    as_of = MemoryAsOf(find_history(500, is_extended_and_settled))
    decisions = 0
    for (assignment,) in as_of.db.execute("SELECT assignment_id FROM assignments").fetchall():
        explained = explain_assignment(as_of, AssignmentId(assignment))
        assert [step.seq for step in explained.steps] == sorted(step.seq for step in explained.steps)
        assert explained.steps[0].kind == "assignment_created"
        for seq, envelope in as_of.events:
            event = envelope.event
            if envelope.stream.endswith(f"/{assignment}") and isinstance(event, AssignmentExtended | AssignmentSettled):
                enough, sure, most = step_at([explained], seq).rules
                decisions += 1
                assert sure.inputs["posterior"] == f"{event.evidence.posterior:.4f}"
                assert (enough.holds and sure.holds) or most.holds or isinstance(event, AssignmentExtended)
    assert decisions > 1
    with pytest.raises(UnknownEntityError):
        explain_assignment(as_of, AssignmentId(10**9))
