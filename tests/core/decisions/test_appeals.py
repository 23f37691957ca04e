"""Objections to rejections: once, and dismissed by another reviewer where there is one."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.review import DismissAppeal, ReviewWork, SubmitAppeal, Verdict
from mephisto_es.core.errors import CommandRefusedError, IllegalStepError
from mephisto_es.core.lifecycles.agent import AppealStatus
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import AgentAppealDismissed, AgentAppealed, AgentApproved
from mephisto_es.events.base import Event
from mephisto_es.events.payment import PaymentOwed

from .conftest import DATA, PAY_CENTS, RUN, SmallRun, only

ANN, BOB, SCRIPT = "user/ann", "user/bob", "reviewer"


def review(run: SmallRun, agent: int, verdict: Verdict, reviewer: str | None) -> list[Event]:
    pay, bonus = ids.PaymentId(100 + agent), ids.PaymentId(200 + agent)
    return run.execute(
        ReviewWork(
            task_run=RUN,
            agent=ids.AgentId(agent),
            verdict=verdict,
            pay_payment=pay,
            bonus_payment=bonus,
            reviewer=reviewer,
        )
    )


def appeal(run: SmallRun, agent: int = 1) -> list[Event]:
    return run.execute(SubmitAppeal(task_run=RUN, agent=ids.AgentId(agent), objection=DATA))


def dismiss(run: SmallRun, reviewer: str, agent: int = 1) -> list[Event]:
    return run.execute(DismissAppeal(task_run=RUN, agent=ids.AgentId(agent), answer=DATA, reviewer=reviewer))


def status(run: SmallRun, agent: int = 1) -> AppealStatus | None:
    return run.state.agents[streams.agent(RUN, ids.AgentId(agent))].appeal


@pytest.fixture
def rejected(run: SmallRun) -> SmallRun:
    """A run in which ann has rejected the work of agent 1, and agent 2 has submitted."""
    for number in (1, 2):
        run.offer(number)
        run.assign(number, agent=number)
        run.submit(number)
    review(run, 1, Verdict.REJECTED, ANN)
    return run


def test_a_worker_may_object_once(rejected: SmallRun) -> None:
    assert appeal(rejected) == [AgentAppealed(objection=DATA)]
    assert status(rejected) is AppealStatus.OPEN
    with pytest.raises(CommandRefusedError, match="worker-1 has objected to the rejection of agent-1 before"):
        appeal(rejected)
    dismiss(rejected, BOB)
    with pytest.raises(CommandRefusedError, match="before"):
        appeal(rejected)


def test_only_a_rejection_is_objected_to(rejected: SmallRun) -> None:
    for verdict in (None, Verdict.SOFT_REJECTED, Verdict.APPROVED):
        if verdict is not None:
            review(rejected, 2, verdict, ANN)
        with pytest.raises(IllegalStepError):
            appeal(rejected, agent=2)
        with pytest.raises(IllegalStepError):
            dismiss(rejected, BOB, agent=2)


def test_there_is_nothing_to_object_to_once_the_work_is_approved(rejected: SmallRun) -> None:
    appeal(rejected)
    review(rejected, 1, Verdict.APPROVED, BOB)
    with pytest.raises(IllegalStepError):
        appeal(rejected)


def test_approving_accepts_an_open_objection_and_pays(rejected: SmallRun) -> None:
    appeal(rejected)
    events = review(rejected, 1, Verdict.APPROVED, ANN)
    assert only(events, AgentApproved).reviewer == ANN
    assert only(events, PaymentOwed).amount_cents == PAY_CENTS
    assert status(rejected) is AppealStatus.ACCEPTED


def test_approving_without_an_objection_accepts_none(rejected: SmallRun) -> None:
    review(rejected, 1, Verdict.APPROVED, BOB)
    assert status(rejected) is None


def test_a_dismissed_objection_stays_dismissed(rejected: SmallRun) -> None:
    appeal(rejected)
    assert dismiss(rejected, BOB) == [AgentAppealDismissed(answer=DATA, reviewer=BOB)]
    with pytest.raises(CommandRefusedError, match="agent-1 has no open objection"):
        dismiss(rejected, BOB)
    review(rejected, 1, Verdict.APPROVED, BOB)
    assert status(rejected) is AppealStatus.DISMISSED


def test_without_an_objection_nothing_is_dismissed(rejected: SmallRun) -> None:
    with pytest.raises(CommandRefusedError, match="agent-1 has no open objection"):
        dismiss(rejected, BOB)


def test_who_rejected_does_not_dismiss_where_there_is_another_reviewer(rejected: SmallRun) -> None:
    appeal(rejected)
    review(rejected, 2, Verdict.APPROVED, BOB)
    with pytest.raises(CommandRefusedError, match=r"rejected by user/ann, so .* by somebody else: user/bob"):
        dismiss(rejected, ANN)
    dismiss(rejected, BOB)
    assert status(rejected) is AppealStatus.DISMISSED


@pytest.mark.parametrize("other", [ANN, SCRIPT, None])
def test_a_single_reviewer_answers_alone(rejected: SmallRun, other: str | None) -> None:
    """What a script decides makes it no reviewer who could look again."""
    appeal(rejected)
    review(rejected, 2, Verdict.APPROVED, other)
    dismiss(rejected, ANN)
    assert status(rejected) is AppealStatus.DISMISSED
