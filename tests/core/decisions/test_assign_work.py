"""What a worker who asks for work gets."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.admission import (
    Applicant,
    AssignUnit,
    RecordOnboardingOutcome,
    RefuseWorker,
    RequiredEvaluation,
)
from mephisto_es.core.commands.agent import ReturnUnit
from mephisto_es.core.commands.directory import BlockWorker
from mephisto_es.core.commands.task_run import AssignmentPlan, StopRun, UnitPlan
from mephisto_es.core.errors import IllegalStepError, UnknownEntityError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import AgentAccepted, AgentStarted, AgentWaiting
from mephisto_es.events.base import Event
from mephisto_es.events.engagement import (
    RefusalReason,
    WorkerArrived,
    WorkerExcluded,
    WorkerOnboarded,
    WorkerRefused,
    WorkStarted,
)
from mephisto_es.events.onboarding import OnboardingStarted
from mephisto_es.events.unit import UnitAssigned, UnitCreated
from mephisto_es.events.worker import QualificationGranted

from .conftest import DATA, PAY_CENTS, RUN, SmallRun, only

WORKER = ids.WorkerId(1)
GOLD_INDEX = -2


def evaluation(*, maximum: int, required: bool, unit: int = 900) -> RequiredEvaluation:
    plan = AssignmentPlan(
        ids.AssignmentId(unit), GOLD_INDEX, DATA, (UnitPlan(ids.UnitId(unit), GOLD_INDEX, PAY_CENTS),)
    )
    return RequiredEvaluation("gold", plan, maximum, required)


def ask(agent: int, *, worker: int = 1, concurrent: bool = False, **more: object) -> AssignUnit:
    applicant = Applicant(ids.WorkerId(worker), f"token {agent}", f"registration {agent}")
    return AssignUnit(
        task_run=RUN,
        applicant=applicant,
        agent=ids.AgentId(agent),
        concurrent=concurrent,
        **more,  # type: ignore[arg-type]  # the fields of the command
    )


def test_the_longest_offered_unit_is_assigned(run: SmallRun) -> None:
    run.offer(1)
    run.offer(2)
    events = run.assign(1, agent=1)
    assert [type(event) for event in events] == [
        WorkerArrived,
        UnitAssigned,
        AgentAccepted,
        WorkStarted,
        AgentStarted,
    ]
    assert only(events, AgentAccepted).unit == 10
    assert only(events, WorkStarted).counts


def test_a_page_that_has_an_agent_gets_no_other(run: SmallRun) -> None:
    run.offer(1)
    run.offer(2)
    run.assign(1, agent=1)
    assert run.assign(1, agent=1) == []


def test_only_eligible_units_are_assigned(run: SmallRun) -> None:
    run.offer(1)
    run.offer(2)
    events = run.execute(ask(1, eligible_units=(ids.UnitId(77), ids.UnitId(20))))
    assert only(events, AgentAccepted).unit == 20
    refused = only(run.execute(ask(2, worker=2, eligible_units=())), WorkerRefused)
    assert (refused.rule, refused.reason) == ("available_units", RefusalReason.NO_AVAILABLE_UNITS)


def test_nobody_is_refused_while_units_are_being_launched(run: SmallRun) -> None:
    assert run.execute(ask(1, more_to_come=True)) == []
    assert only(run.execute(ask(1)), WorkerRefused).inputs == {"offered": 0}


def test_a_worker_does_not_get_the_same_assignment_twice(run: SmallRun) -> None:
    run.offer(1, units=2)
    run.assign(1, agent=1)
    run.submit(1)
    assert only(run.assign(1, agent=2), WorkerRefused).rule == "available_units"
    assert only(run.assign(2, agent=3), AgentAccepted).unit == 11


@pytest.mark.parametrize(
    ("rule", "reason"),
    [("not_blocked", RefusalReason.NOT_QUALIFIED), ("run_is_live", RefusalReason.ENOUGH_PEOPLE)],
)
def test_a_rule_that_is_not_met_refuses_units_and_onboardings(run: SmallRun, rule: str, reason: RefusalReason) -> None:
    run.offer(1)
    if rule == "not_blocked":
        run.execute(BlockWorker(worker=WORKER, reason="spam"))
    else:
        run.execute(StopRun(task_run=RUN, reason="enough"))
    for events in (run.assign(1, agent=1), run.start_onboarding(1, agent=1)):
        refused = only(events, WorkerRefused)
        assert (refused.rule, refused.reason) == (rule, reason)


def test_agents_of_a_group_wait_and_the_last_one_starts_them_all(run: SmallRun) -> None:
    run.offer(1, units=2)
    assert type(run.assign(1, agent=1, concurrent=True)[-1]) is AgentWaiting
    assert run.state.agents[streams.agent(RUN, ids.AgentId(1))].status is AgentStatus.WAITING
    started = run.assign(2, agent=2, concurrent=True)
    assert [type(event) for event in started[-3:]] == [AgentWaiting, AgentStarted, AgentStarted]


def unit_of(events: list[Event]) -> int:
    return only(events, AgentAccepted).unit


def test_a_newcomer_joins_whoever_has_waited_longest(run: SmallRun) -> None:
    for assignment in (1, 2, 3):
        run.offer(assignment, units=2)
    run.execute(ask(1, worker=1, concurrent=True, eligible_units=(ids.UnitId(21),)))
    run.execute(ask(2, worker=2, concurrent=True, eligible_units=(ids.UnitId(10),)))
    assert unit_of(run.assign(3, agent=3, concurrent=True)) == 20
    assert unit_of(run.assign(4, agent=4, concurrent=True)) == 11


def test_what_somebody_gave_back_comes_before_what_nobody_had(run: SmallRun) -> None:
    for assignment in (1, 2, 3):
        run.offer(assignment)
    run.assign(1, agent=1)
    run.assign(2, agent=2)
    for agent in (2, 1):
        run.execute(ReturnUnit(task_run=RUN, agent=ids.AgentId(agent), concurrent=False))
    assert [unit_of(run.assign(worker, agent=worker)) for worker in (3, 4, 5)] == [20, 10, 30]


def test_nobody_becomes_the_partner_of_an_agent_whose_page_does_not_answer(run: SmallRun) -> None:
    run.offer(1, units=2)
    run.offer(2, units=2)
    run.assign(1, agent=1, concurrent=True)
    absent = (ids.AgentId(1), ids.AgentId(77))
    assert unit_of(run.execute(ask(2, worker=2, concurrent=True, absent=absent))) == 20
    assert unit_of(run.execute(ask(3, worker=3, concurrent=True, absent=absent))) == 21
    assert run.execute(ask(4, worker=4, concurrent=True, absent=absent)) == []
    assert unit_of(run.execute(ask(4, worker=4, concurrent=True))) == 11


def test_a_group_of_three_waits_for_the_third(run: SmallRun) -> None:
    run.register(3)
    run.offer(1, units=3)
    for number in (1, 2):
        assert type(run.assign(number, agent=number, concurrent=True)[-1]) is AgentWaiting
    started = run.assign(3, agent=3, concurrent=True)
    assert [type(event) for event in started[-4:]] == [AgentWaiting, AgentStarted, AgentStarted, AgentStarted]


def test_a_unit_on_offer_serves_as_an_evaluation(run: SmallRun) -> None:
    run.offer(1)
    taken = only(run.execute(ask(1, evaluation=RequiredEvaluation("screening"))), WorkStarted)
    assert (taken.unit, taken.evaluation, taken.counts) == (10, "screening", True)


def test_an_evaluation_is_created_for_its_worker_and_does_not_count(run: SmallRun) -> None:
    run.offer(1)
    events = run.execute(ask(1, evaluation=evaluation(maximum=1, required=True)))
    taken = only(events, WorkStarted)
    assert (taken.unit, taken.evaluation, taken.counts) == (900, "gold", False)
    assert only(events, UnitCreated).index == GOLD_INDEX


def test_a_worker_goes_without_an_evaluation_that_is_not_required(run: SmallRun) -> None:
    run.offer(1)
    taken = only(run.execute(ask(1, evaluation=evaluation(maximum=0, required=False))), WorkStarted)
    assert (taken.unit, taken.evaluation) == (10, None)


def test_a_worker_is_refused_without_an_evaluation_that_is_required(run: SmallRun) -> None:
    run.offer(1)
    refused = only(run.execute(ask(1, evaluation=evaluation(maximum=0, required=True))), WorkerRefused)
    assert (refused.rule, refused.inputs) == ("max_gold_units", {"limit": 0, "has": 0})


def test_a_worker_whose_evaluation_is_undecided_gets_nothing_else(run: SmallRun) -> None:
    run.offer(1)
    run.offer(2)
    run.execute(ask(1, evaluation=RequiredEvaluation("screening")))
    run.submit(1)
    refused = only(run.execute(ask(2)), WorkerRefused)
    assert (refused.rule, refused.inputs) == ("evaluation_decided", {"unit": 10})


@pytest.mark.parametrize("limit", ["allowed_concurrent", "maximum_units_per_worker"])
def test_the_limits_of_a_run_hold(limit: str) -> None:
    run = SmallRun()
    run.open(**{limit: 1})
    run.register(1)
    run.offer(1)
    run.offer(2)
    run.assign(1, agent=1)
    refused = only(run.assign(1, agent=2), WorkerRefused)
    assert (refused.rule, refused.inputs) == (limit, {"limit": 1, "has": 1})


def test_an_evaluation_that_the_budget_does_not_cover_is_refused() -> None:
    run = SmallRun()
    run.open(budget_cents=PAY_CENTS)
    run.register(1)
    run.offer(1)
    refused = only(run.execute(ask(1, evaluation=evaluation(maximum=5, required=True))), WorkerRefused)
    assert (refused.rule, refused.inputs) == ("budget", {"cost_cents": PAY_CENTS, "left_cents": 0})


def test_an_onboarding_starts_once_for_a_page(run: SmallRun) -> None:
    assert [type(event) for event in run.start_onboarding(1, agent=1)] == [WorkerArrived, OnboardingStarted]
    assert run.start_onboarding(1, agent=1) == []


def test_a_page_that_passed_its_onboarding_gets_a_unit(run: SmallRun) -> None:
    run.offer(1)
    onboarded = run.qualification(1, "onboarded")
    agent = ids.OnboardingAgentId(1)
    run.start_onboarding(1, agent=1)
    run.submit_onboarding(1)
    outcome = RecordOnboardingOutcome(task_run=RUN, agent=agent, qualification=onboarded, passed=True)
    events = run.execute(outcome)
    assert only(events, WorkerOnboarded).agent == agent
    assert only(events, QualificationGranted).value == 1
    applicant = Applicant(WORKER, "token", "onboarding registration 1")
    assign = AssignUnit(task_run=RUN, applicant=applicant, agent=ids.AgentId(1), concurrent=False)
    assert only(run.execute(assign), AgentAccepted).registration == applicant.registration
    with pytest.raises(IllegalStepError):
        run.execute(outcome)


def test_who_does_not_pass_the_onboarding_is_excluded(run: SmallRun) -> None:
    run.offer(1)
    onboarded = run.qualification(1, "onboarded")
    run.start_onboarding(1, agent=1)
    run.submit_onboarding(1)
    events = run.execute(
        RecordOnboardingOutcome(task_run=RUN, agent=ids.OnboardingAgentId(1), qualification=onboarded, passed=False)
    )
    assert only(events, QualificationGranted).value == 0
    assert only(events, WorkerExcluded).reason == "the onboarding was not passed"
    assert only(run.assign(1, agent=2), WorkerRefused).rule == "not_excluded"


def test_a_refusal_arrives_first(run: SmallRun) -> None:
    refusal = WorkerRefused(rule="qualification", inputs={}, reason=RefusalReason.NOT_QUALIFIED)
    command = RefuseWorker(task_run=RUN, worker=WORKER, refusal=refusal)
    assert run.execute(command) == [WorkerArrived(worker=WORKER), refusal]
    assert run.execute(command) == [refusal]


def test_an_unknown_worker_gets_nothing(run: SmallRun) -> None:
    run.offer(1)
    with pytest.raises(UnknownEntityError, match="worker-9"):
        run.assign(9, agent=1)
