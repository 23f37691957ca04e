"""Items get further units, or no more answers, by how sure their labels are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mephisto_es.core.commands.agent import ReturnUnit
from mephisto_es.core.commands.labels import AssessLabels, ItemAnswers
from mephisto_es.core.commands.review import LabelAssignment, ReviewWork, Verdict
from mephisto_es.core.commands.task_run import ExpireUnits, LaunchUnits, StopRun, UnitPlan
from mephisto_es.core.decisions.labels.assess_labels import NOT_NEEDED
from mephisto_es.core.decisions.task_run import seen_run
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.lifecycles.assignment import AssignmentStatus
from mephisto_es.core.lifecycles.unit import OPEN_UNIT_STATUSES, UnitState, UnitStatus
from mephisto_es.core.payloads import seal
from mephisto_es.core.state.label_model import LabelModel, StopRule
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import AgentSubmitted
from mephisto_es.events.assignment import AssignmentExtended, AssignmentSettled, StopReason
from mephisto_es.events.base import Event
from mephisto_es.events.task_run import TaskRunStopping
from mephisto_es.events.unit import UnitCreated, UnitExpired

from .conftest import RUN, SmallRun, only

ITEM = ids.AssignmentId(1)
QUESTION = "label"
CLASSES = ("cat", "dog", "bird")
RULE = StopRule(0.95, 2, 5)
ACCURACY = 0.9


class Item:
    """One item of a live run, with answers that agents give."""

    def __init__(self, run: SmallRun, rule: StopRule = RULE) -> None:
        self.run = run
        self.rule = rule
        self.answers: dict[int, int | None] = {}
        self.agents = 0
        run.offer(1, rule.least)

    @property
    def units(self) -> list[UnitState]:
        return self.run.state.units_of_assignment(RUN, ITEM)

    @property
    def open_units(self) -> list[UnitState]:
        return [unit for unit in self.units if unit.status in OPEN_UNIT_STATUSES]

    @property
    def status(self) -> AssignmentStatus:
        return self.run.state.assignments[streams.assignment(RUN, ITEM)].status

    def take(self) -> int | None:
        """Let a new worker ask for a unit."""
        self.agents += 1
        worker = self.run.register(100 + self.agents)
        self.run.assign(worker, self.agents)
        return self.agents if streams.agent(RUN, ids.AgentId(self.agents)) in self.run.state.agents else None

    def answer(self, *answers: int | None) -> None:
        """Let new workers answer."""
        for one in answers:
            agent = self.take()
            assert agent is not None
            self.submit(agent, one)

    def submit(self, agent: int, answer: int | None) -> None:
        self.answers[agent] = answer
        only(self.run.submit(agent), AgentSubmitted)

    def review(self, agent: int, verdict: Verdict) -> None:
        number = ids.PaymentId(1000 + len(self.run.state.payments) * 2)
        command = ReviewWork(
            task_run=RUN,
            agent=ids.AgentId(agent),
            verdict=verdict,
            pay_payment=number,
            bonus_payment=ids.PaymentId(number + 1),
        )
        self.run.execute(command)

    def command(self, further: int = 9) -> AssessLabels:
        agents = self.run.state.counted_agents(RUN, ITEM)
        units = len(self.units)
        plans = tuple(UnitPlan(ids.UnitId(100 + units + one), units + one, 10) for one in range(further))
        item = ItemAnswers(ITEM, agents, tuple(self.answers[agent] for agent in agents), plans)
        return AssessLabels(
            task_run=RUN,
            question=QUESTION,
            classes=CLASSES,
            accuracy=ACCURACY,
            estimated_from=None,
            rule=self.rule,
            items=(item,),
        )

    def decide(self, label: str | None, after: int = 0) -> None:
        """Let a reviewer decide on the label, or take that back."""
        payload = None if label is None else seal(label.encode(), bytes(16)).ref
        units = tuple(unit.unit for unit in self.units if unit.agent is not None)
        command = LabelAssignment(
            task_run=RUN,
            assignment=ITEM,
            question=QUESTION,
            label=payload,
            units=units,
            reviewer="user/ada",
            after=after,
        )
        self.run.execute(command)

    def assess(self) -> list[Event]:
        events = self.run.execute(self.command())
        self.launch()
        return events

    def launch(self) -> None:
        created = tuple(unit.unit for unit in self.units if unit.status is UnitStatus.CREATED)
        self.run.execute(LaunchUnits(task_run=RUN, units=created))


@pytest.fixture
def item(run: SmallRun) -> Item:
    return Item(run)


def test_two_that_agree_settle_a_label(item: Item) -> None:
    item.answer(0)
    assert item.assess() == []
    item.answer(0)
    settled = only(item.assess(), AssignmentSettled)
    assert (settled.by, settled.withdrawn) == (StopReason.CONFIDENCE, ())
    assert (settled.evidence.label, settled.evidence.agents) == ("cat", (1, 2))
    assert settled.evidence.posterior == LabelModel(3, ACCURACY).posterior([2, 0, 0])
    assert item.status is AssignmentStatus.SETTLED
    assert item.assess() == []


def test_two_that_differ_get_as_many_further_units_as_could_be_enough(item: Item) -> None:
    item.answer(0, 1)
    events = item.assess()
    extended = only(events, AssignmentExtended)
    created = [event for event in events if isinstance(event, UnitCreated)]
    assert [event.unit for event in created] == list(extended.units)
    assert [event.index for event in created] == [2, 3]
    assert (extended.evidence.confidence, extended.evidence.least, extended.evidence.most) == (0.95, 2, 5)
    # Units in flight are pending: no further ones are opened for the same answers.
    assert item.assess() == []
    item.answer(1)
    assert item.assess() == []
    item.answer(0)
    assert len(only(item.assess(), AssignmentExtended).units) == 1
    item.answer(2)
    assert only(item.assess(), AssignmentSettled).by is StopReason.MAXIMUM


def test_an_item_that_a_reviewer_has_decided_gets_no_further_units_until_that_is_taken_back(item: Item) -> None:
    item.answer(0, 1)
    item.assess()
    item.decide("cat")
    settled = only(item.assess(), AssignmentSettled)
    assert settled.by is StopReason.DECIDED
    assert len(settled.withdrawn) == 2
    assert item.open_units == []
    assert item.assess() == []
    item.decide(None, after=1)
    assert len(only(item.assess(), AssignmentExtended).units) == 2


def test_a_unit_that_expires_is_replaced(item: Item) -> None:
    item.run.execute(ExpireUnits(task_run=RUN, units=(ids.UnitId(10),), reason="at random"))
    extended = only(item.assess(), AssignmentExtended)
    assert (extended.evidence.agents, len(extended.units), extended.open_units) == ((), 1, 1)


def test_rejected_work_does_not_count(item: Item) -> None:
    item.answer(0, 0)
    item.assess()
    item.review(1, Verdict.SOFT_REJECTED)
    extended = only(item.assess(), AssignmentExtended)
    assert (extended.evidence.agents, extended.evidence.counts) == ((2,), (1, 0, 0))
    item.answer(0)
    item.review(3, Verdict.APPROVED)
    assert only(item.assess(), AssignmentSettled).evidence.agents == (2, 3)


def test_a_replacement_that_somebody_works_on_is_not_withdrawn(item: Item) -> None:
    item.answer(0, 0)
    item.assess()
    item.review(1, Verdict.REJECTED)
    item.assess()
    agent = item.take()
    item.review(1, Verdict.APPROVED)
    assert item.assess() == []
    item.run.execute(ReturnUnit(task_run=RUN, agent=ids.AgentId(agent or 0), concurrent=False))
    events = item.assess()
    assert only(events, AssignmentSettled).withdrawn == tuple(unit.unit for unit in item.units[2:])
    assert only(events, UnitExpired).reason == NOT_NEEDED


def test_an_item_is_settled_only_by_the_answers_that_count_now(item: Item) -> None:
    item.answer(0, 0)
    item.assess()
    settled = item.run.state.runs[RUN].settled
    assert settled == {ITEM}
    end = StopRun(task_run=RUN, reason="all work is done", seen=seen_run(item.run.state, RUN))
    item.review(1, Verdict.SOFT_REJECTED)
    assert settled == set(), "the label has to be looked at again"
    assert item.run.execute(end) == []
    item.review(1, Verdict.APPROVED)
    assert settled == {ITEM}, "nothing was recorded that would settle it again"
    only(item.run.execute(end), TaskRunStopping)


def test_units_beyond_the_most_are_withdrawn_if_a_rejection_is_reversed(run: SmallRun) -> None:
    item = Item(run, StopRule(0.9999, 1, 3))
    item.answer(0)
    assert len(only(item.assess(), AssignmentExtended).units) == 2
    item.review(1, Verdict.REJECTED)
    item.answer(0)
    assert len(only(item.assess(), AssignmentExtended).units) == 1
    item.review(1, Verdict.APPROVED)
    assert len(item.open_units) == 2
    assert only(item.assess(), UnitExpired).reason == NOT_NEEDED
    assert len(item.open_units) == 1
    item.answer(0)
    assert only(item.assess(), AssignmentSettled).by is StopReason.MAXIMUM


def test_what_has_changed_meanwhile_is_left_for_the_next_time(item: Item) -> None:
    item.answer(0, 1)
    command, empty = item.command(), item.command(further=0)
    assert item.run.execute(empty) == []
    unknown = replace(command.items[0], assignment=ids.AssignmentId(99))
    assert item.run.execute(replace(command, items=(unknown,))) == []
    item.review(1, Verdict.REJECTED)
    assert item.run.execute(command) == []


def test_a_run_that_gives_out_no_more_work_opens_no_units(item: Item) -> None:
    item.answer(0, 1)
    item.run.execute(StopRun(task_run=RUN, reason="enough"))
    assert item.run.execute(item.command()) == []


def test_numbers_that_do_not_fit_together_are_refused(item: Item) -> None:
    command = item.command()
    short = ItemAnswers(ITEM, (), (1,))
    for wrong in (
        replace(command, classes=("cat",)),
        replace(command, accuracy=0.3),
        replace(command, rule=StopRule(1.0, 2, 5)),
        replace(command, rule=StopRule(0.9, 3, 2)),
        replace(command, items=(short,)),
        replace(command, items=(replace(short, agents=(ids.AgentId(1),), answers=(3,)),)),
    ):
        with pytest.raises(CommandRefusedError, match="do not fit together"):
            item.run.execute(wrong)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("take", "submit", "submit", "return", "expire", "reject", "approve", "assess", "assess")),
        st.integers(0, 9),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 3), st.integers(0, 3), st.floats(0.5, 0.99))
def test_the_numbers_of_answers_keep_to_the_rule(
    steps: list[tuple[str, int]], least: int, more: int, confidence: float
) -> None:
    run = SmallRun()
    run.open()
    item = Item(run, StopRule(confidence, least, least + more))
    at_work: list[int] = []
    for step, number in steps:
        submitted = [agent for agent in item.answers if agent in run.state.counted_agents(RUN, ITEM)]
        match step:
            case "take":
                agent = item.take()
                at_work += [] if agent is None else [agent]
            case "submit" if at_work:
                item.submit(at_work.pop(), (0, 1, 2, None, 0)[number % 5])
            case "return" if at_work:
                run.execute(ReturnUnit(task_run=RUN, agent=ids.AgentId(at_work.pop()), concurrent=False))
            case "expire" if item.open_units:
                run.execute(ExpireUnits(task_run=RUN, units=(item.open_units[0].unit,), reason="at random"))
            case "reject" | "approve" if submitted:
                agent = submitted[number % len(submitted)]
                unit = run.state.units[streams.unit(RUN, run.state.agents[streams.agent(RUN, ids.AgentId(agent))].unit)]
                if unit.status is UnitStatus.COMPLETED:
                    item.review(agent, Verdict.REJECTED if step == "reject" else Verdict.APPROVED)
            case "assess":
                check_decision(item, item.assess())
        counted = run.state.counted_agents(RUN, ITEM)
        assert len(counted) + len(item.open_units) <= item.rule.most


def check_decision(item: Item, events: list[Event]) -> None:
    """Check that the numbers of an event lead to its decision, and that a repetition decides nothing."""
    assert item.assess() == []
    if not events:
        return
    decision = events[0]
    assert isinstance(decision, AssignmentExtended | AssignmentSettled)
    evidence = decision.evidence
    model = LabelModel(len(evidence.counts), evidence.accuracy)
    unusable = len(evidence.agents) - sum(evidence.counts)
    wanted = model.further_answers(
        evidence.counts, unusable, StopRule(evidence.confidence, evidence.least, evidence.most)
    )
    assert evidence.posterior == model.posterior(evidence.counts)
    if isinstance(decision, AssignmentExtended):
        assert len(decision.units) == wanted - decision.open_units > 0
    else:
        assert wanted == 0
        assert len(evidence.agents) <= evidence.most
        assert sum(evidence.counts) >= evidence.least or len(evidence.agents) == evidence.most
        is_sure = evidence.posterior >= evidence.confidence and sum(evidence.counts) >= evidence.least
        assert decision.by is (StopReason.CONFIDENCE if is_sure else StopReason.MAXIMUM)
