"""Labels that reviewers decide: who looked at what, revisions, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from mephisto_es.core.commands.review import MAX_QUESTION, LabelAssignment, ReviewWork, Verdict
from mephisto_es.core.errors import CommandRefusedError, UnknownEntityError
from mephisto_es.core.lifecycles.assignment import AssignmentStatus, DecidedLabel
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.events import ids, streams
from mephisto_es.events.assignment import AssignmentLabelled, LabelSource
from mephisto_es.events.base import Event

from .conftest import DATA, RUN, SmallRun, only
from .test_consent import require_consent

ITEM = ids.AssignmentId(1)
ANN, BOB = "user/ann", "user/bob"
LOOKED_AT = (ids.UnitId(10), ids.UnitId(11))


def label(run: SmallRun, reviewer: str = ANN, **changes: Any) -> list[Event]:
    given = {"question": "label", "label": DATA, "units": LOOKED_AT, "note": DATA, "reviewer": reviewer, **changes}
    return run.execute(LabelAssignment(**{"task_run": RUN, "assignment": ITEM, **given}))


def decided(run: SmallRun, question: str = "label") -> DecidedLabel | None:
    state = run.state.assignments[streams.assignment(RUN, ITEM)]
    assert state.status is AssignmentStatus.OPEN
    return state.label_of(question)


@pytest.fixture
def judged(run: SmallRun) -> SmallRun:
    """A run with two answers to an item, and one to another."""
    run.offer(1, units=2)
    for worker in (1, 2):
        run.assign(worker, agent=worker)
        run.submit(worker)
    run.offer(2)
    run.assign(3, agent=3)
    run.submit(3)
    return run


def test_a_reviewer_decides_and_nobody_is_judged(judged: SmallRun) -> None:
    assert label(judged, worker=ids.WorkerId(2)) == [
        AssignmentLabelled(
            question="label",
            label=DATA,
            source=LabelSource.ADJUDICATION,
            units=LOOKED_AT,
            reviewer=ANN,
            note=DATA,
            worker=ids.WorkerId(2),
        )
    ]
    assert decided(judged) == DecidedLabel("label", 1, ANN, is_taken_back=False)
    assert {unit.status for unit in judged.state.units.values()} == {UnitStatus.COMPLETED}


def test_a_decision_is_revised_and_taken_back_by_whoever_knows_it(judged: SmallRun) -> None:
    label(judged)
    label(judged, question="how.sure")
    with pytest.raises(CommandRefusedError, match="user/ann has decided on 'label' of assignment-1 meanwhile"):
        label(judged, BOB)
    label(judged, BOB, after=1)
    assert decided(judged) == DecidedLabel("label", 2, BOB, is_taken_back=False)
    assert decided(judged, "how.sure") == DecidedLabel("how.sure", 1, ANN, is_taken_back=False)
    only(label(judged, label=None, units=(), after=2), AssignmentLabelled)
    assert decided(judged) == DecidedLabel("label", 3, ANN, is_taken_back=True)
    with pytest.raises(CommandRefusedError, match="there is no decision on 'label' of assignment-1 to take back"):
        label(judged, label=None, units=(), after=3)
    label(judged, after=3)


def test_there_is_nothing_to_take_back_or_to_revise_at_first(judged: SmallRun) -> None:
    with pytest.raises(CommandRefusedError, match="there is no decision on 'label' of assignment-1 to take back"):
        label(judged, label=None, units=())
    with pytest.raises(CommandRefusedError, match="nobody has decided on 'label' of assignment-1 yet"):
        label(judged, after=1)
    with pytest.raises(UnknownEntityError):
        label(judged, assignment=ids.AssignmentId(9))


@pytest.mark.parametrize("question", ["", "q" * (MAX_QUESTION + 1)])
def test_a_question_has_a_name(judged: SmallRun, question: str) -> None:
    with pytest.raises(CommandRefusedError, match="a question has a name of at most 300 characters"):
        label(judged, question=question)


@pytest.mark.parametrize("question", ["q", "q" * MAX_QUESTION])
def test_the_name_of_a_question_may_be_short_or_long(judged: SmallRun, question: str) -> None:
    assert only(label(judged, question=question), AssignmentLabelled).question == question


def test_what_was_looked_at_is_submitted_work_on_the_item(judged: SmallRun) -> None:
    with pytest.raises(CommandRefusedError, match="nobody has submitted anything that could be looked at"):
        label(judged, units=())
    with pytest.raises(CommandRefusedError, match="unit-20 is no submitted work on it"):
        label(judged, units=(*LOOKED_AT, ids.UnitId(20)))
    judged.offer(3)
    with pytest.raises(CommandRefusedError, match="unit-30 is no submitted work on it"):
        label(judged, assignment=ids.AssignmentId(3), units=(ids.UnitId(30),))
    with pytest.raises(CommandRefusedError, match="the work of worker-3 was not looked at"):
        label(judged, worker=ids.WorkerId(3))
    with pytest.raises(UnknownEntityError):
        label(judged, units=(ids.UnitId(99),))


def test_rejected_work_may_be_looked_at(judged: SmallRun) -> None:
    judged.execute(
        ReviewWork(
            task_run=RUN,
            agent=ids.AgentId(1),
            verdict=Verdict.REJECTED,
            note=DATA,
            reviewer=ANN,
            pay_payment=ids.PaymentId(1),
            bonus_payment=ids.PaymentId(2),
        )
    )
    assert only(label(judged), AssignmentLabelled).units == LOOKED_AT


def test_work_without_consent_is_not_looked_at(judged: SmallRun) -> None:
    require_consent(judged)
    with pytest.raises(CommandRefusedError, match="worker-1 does not consent to run 1"):
        label(judged)
