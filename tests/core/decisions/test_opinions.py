"""Opinions of reviewers: work that two people look at is decided once they agree, or somebody adjudicates."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.review import GiveOpinion, ReviewWork, Verdict, WithdrawVerdict
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import AgentApproved, AgentOpinionGiven, AgentVerdictWithdrawn, Opinion
from mephisto_es.events.base import Event

from .conftest import DATA, RUN, SmallRun, only

AGENT = ids.AgentId(1)
ANN, BOB, EVE = "user/ann", "user/bob", "user/eve"


def opinion(run: SmallRun, given: Verdict, reviewer: str = ANN) -> list[Event]:
    return run.execute(GiveOpinion(task_run=RUN, agent=AGENT, verdict=given, note=DATA, reviewer=reviewer))


def review(run: SmallRun, given: Verdict, reviewer: str | None, *, adjudicates: bool = False) -> list[Event]:
    return run.execute(
        ReviewWork(
            task_run=RUN,
            agent=AGENT,
            verdict=given,
            reviewer=reviewer,
            adjudicates=adjudicates,
            pay_payment=ids.PaymentId(1),
            bonus_payment=ids.PaymentId(2),
        )
    )


def status(run: SmallRun) -> AgentStatus:
    return run.state.agents[streams.agent(RUN, AGENT)].status


@pytest.fixture
def asked(run: SmallRun) -> SmallRun:
    """A run with a piece of work that Ann would approve."""
    run.offer(1)
    run.assign(1, agent=1)
    run.submit(1)
    assert only(opinion(run, Verdict.APPROVED), AgentOpinionGiven).opinion is Opinion.APPROVE
    return run


def test_the_same_verdict_of_somebody_else_decides(asked: SmallRun) -> None:
    assert status(asked) is AgentStatus.COMPLETED
    assert only(review(asked, Verdict.APPROVED, BOB), AgentApproved).reviewer == BOB


def test_nobody_is_their_own_second_reviewer(asked: SmallRun) -> None:
    with pytest.raises(CommandRefusedError, match="waits for the opinion of somebody other than user/ann"):
        review(asked, Verdict.APPROVED, ANN)
    with pytest.raises(CommandRefusedError, match="has an opinion by user/ann already"):
        opinion(asked, Verdict.REJECTED, BOB)


def test_reviewers_who_differ_decide_nothing_until_somebody_adjudicates(asked: SmallRun) -> None:
    (given,) = review(asked, Verdict.REJECTED, BOB)
    assert given == AgentOpinionGiven(opinion=Opinion.REJECT, reviewer=BOB)
    said = "user/ann would approve, user/bob would reject; somebody has to adjudicate"
    with pytest.raises(CommandRefusedError, match=said):
        review(asked, Verdict.SOFT_REJECTED, EVE)
    review(asked, Verdict.SOFT_REJECTED, EVE, adjudicates=True)
    assert status(asked) is AgentStatus.SOFT_REJECTED


def test_the_note_of_a_second_opinion_is_kept(asked: SmallRun) -> None:
    command = ReviewWork(
        task_run=RUN,
        agent=AGENT,
        verdict=Verdict.REJECTED,
        note=DATA,
        reviewer=BOB,
        pay_payment=ids.PaymentId(1),
        bonus_payment=ids.PaymentId(2),
    )
    assert asked.execute(command) == [AgentOpinionGiven(opinion=Opinion.REJECT, reviewer=BOB, note=DATA)]


@pytest.mark.parametrize("reviewer", [None, "operator"])
def test_scripts_wait_for_nobody(asked: SmallRun, reviewer: str | None) -> None:
    review(asked, Verdict.REJECTED, reviewer)
    assert status(asked) is AgentStatus.REJECTED


def test_opinions_are_taken_back(asked: SmallRun) -> None:
    (withdrawn,) = asked.execute(WithdrawVerdict(task_run=RUN, agent=AGENT, reviewer=ANN))
    assert isinstance(withdrawn, AgentVerdictWithdrawn)
    review(asked, Verdict.REJECTED, ANN)
    assert status(asked) is AgentStatus.REJECTED
    with pytest.raises(CommandRefusedError, match="agent-1 is 'rejected': there is nothing to decide"):
        opinion(asked, Verdict.APPROVED)


def test_an_opinion_is_forgotten_with_the_verdict(asked: SmallRun) -> None:
    review(asked, Verdict.APPROVED, BOB)
    asked.execute(WithdrawVerdict(task_run=RUN, agent=AGENT, reviewer=BOB))
    opinion(asked, Verdict.REJECTED, EVE)
