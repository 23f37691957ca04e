"""Work that a person has paid by other means: settled, unless the site pays it as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.fakes.faults import FaultPlan
from mephisto_es.core.abstractions.crowd.differences import SiteDifference
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.operations.control.requests import CompareBooksRequest
from mephisto_es.core.operations.control.round_report import RoundOutcome
from mephisto_es.core.operations.run.live_task_run import LiveTaskRun
from mephisto_es.core.operations.run.site_loop import DAY_SECONDS
from mephisto_es.events.ids import PaymentId

from .site_run import Participant, SiteRun, open_site_run, submit_without_code, until, write_accounts

GIFT = "gift card of 30 November"


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


async def owe(run: SiteRun, live: LiveTaskRun, bonus_cents: int = 0) -> tuple[Participant, dict[str, Any]]:
    """Have somebody submit without finishing at the site, accept the work, and try to pay it."""
    person, taken = await submit_without_code(run, live)
    (anna,) = run.harness.operator.ledger.state.agents.values()
    await run.harness.operator.reviewer().approve_work(anna.agent, bonus_cents=bonus_cents)
    assert await run.settle(live.task_run) == 0
    return person, taken


async def settle(run: SiteRun, payment: int, *, at_site: bool | None = None) -> None:
    reviewer = run.harness.operator.reviewer()
    await reviewer.settle_payment(PaymentId(payment), is_paid=True, at_site=at_site, reason=GIFT)


async def differences(run: SiteRun, live: LiveTaskRun) -> list[tuple[SiteDifference, RoundOutcome, str | None]]:
    found = await run.reconcile(live.task_run)
    return [(one.difference, one.outcome, one.note) for one in found.differences]


async def test_work_that_was_paid_by_other_means_is_settled_until_the_site_pays_it_too(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(2, assignment_duration_in_seconds=20_000)
        person, taken = await owe(run, live)
        assert not (await run.reconcile(live.task_run)).is_settled
        await settle(run, 1)
        assert await differences(run, live) == [(SiteDifference.NOT_COMPLETED, RoundOutcome.SETTLED, GIFT)]
        assert (await run.reconcile(live.task_run)).is_settled
        books = (await run.ask(CompareBooksRequest(task_run=live.task_run))).books
        assert books is not None
        assert (books.faults, books.settled) == (
            (),
            ("agent-1: 1.50 was paid by other means; the site shows the work as 'unfinished'",),
        )
        await person.enter_code(taken)
        assert await run.faults(live.task_run) == (
            "agent-1: 1.50 was paid by other means, and the work waits at the site, which will pay it too",
        )
        (found,) = (await run.reconcile(live.task_run)).open
        assert (found.difference, found.outcome) == (SiteDifference.PAID_ELSEWHERE, RoundOutcome.FOR_PERSON)
        assert "it pays at " in found.reason
        # Nobody has rejected it for the worker's lateness.
        assert run.statuses() == ["Pending"]
        run.site.clock.advance(15 * DAY_SECONDS)
        await until(lambda: run.statuses() == ["Approved"])
        for _ in range(2):
            assert await run.faults(live.task_run) == (
                "agent-1: paid twice: 1.50 was paid by other means, and the work is approved at the site",
            )
            assert await differences(run, live) == [(SiteDifference.PAID_TWICE, RoundOutcome.FOR_PERSON, GIFT)]


async def test_work_that_was_returned_is_settled_once_it_is_paid(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(2)
        person, taken = await owe(run, live, bonus_cents=30)
        await person.give_back(taken)
        await trio.sleep(120)
        await settle(run, 1)
        (found,) = (await run.reconcile(live.task_run)).open
        assert (found.difference, found.reason) == (SiteDifference.RETURNED_THERE, "paid by other means but for 0.30")
        await settle(run, 2)
        assert await differences(run, live) == [(SiteDifference.RETURNED_THERE, RoundOutcome.SETTLED, GIFT)]
        assert await run.faults(live.task_run) == ()


async def test_a_bonus_that_both_have_paid_is_named(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(2, assignment_duration_in_seconds=20_000)
        person, taken = await owe(run, live, bonus_cents=30)
        await settle(run, 2)
        await person.enter_code(taken)
        assert await run.settle(live.task_run) == 1
        assert await run.faults(live.task_run) == ()
        (assignment,) = run.connect.ledger.assignments.values()
        assignment.bonus_cents = 30
        assert await run.faults(live.task_run) == (
            "agent-1: paid twice: a bonus of 0.30 was paid by other means, and the site shows 0.30 as well",
        )
        (found,) = (await run.reconcile(live.task_run)).open
        assert (found.difference, found.reason) == (SiteDifference.PAID_TWICE, "0.30 as bonus")


async def test_what_the_site_is_said_to_have_paid_is_not_paid_twice(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(2, assignment_duration_in_seconds=20_000)
        person, taken = await owe(run, live)
        await person.enter_code(taken)
        run.site.clock.advance(15 * DAY_SECONDS)
        await until(lambda: run.statuses() == ["Approved"])
        await settle(run, 1, at_site=True)
        assert await run.faults(live.task_run) == ()
        assert (await run.reconcile(live.task_run)).open == ()


async def test_what_was_settled_wrongly_is_named_by_both_and_corrected(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(2, assignment_duration_in_seconds=20_000)
        person, taken = await owe(run, live, bonus_cents=70)
        await settle(run, 2, at_site=True)
        await person.enter_code(taken)
        assert await run.settle(live.task_run) == 1
        said = ("agent-1: a bonus of 0.70 paid, and the site shows 0.00",)
        books, found = await run.books(live.task_run), await run.reconcile(live.task_run)
        assert (books.faults, found.money, found.differences, found.is_settled) == (said, said, (), False)
        assert books.next_steps == found.next_steps
        (step,) = found.next_steps
        assert "`mephisto-es pay 1 --settle payment-2 unpaid --reason WHY`" in step
        reviewer = run.harness.operator.reviewer()
        await reviewer.settle_payment(PaymentId(2), is_paid=True, at_site=False, reason=GIFT, corrects=True)
        assert await run.faults(live.task_run) == ()
        assert (await run.reconcile(live.task_run)).is_settled


async def test_paid_work_is_not_completed_at_the_site_afterwards(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Completing it there would have Prolific pay it too."""
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(2)
        person = run.person("anna")
        taken = await person.reserve()
        assert taken is not None
        router = run.harness.router(live)
        details = await router.request_agent(await person.open(taken))
        run.site.faults.follow(FaultPlan(lost_before=1))
        router.submit_task(details["agent_id"], {"answer": "yes"})
        agents = run.harness.operator.ledger.state.agents
        await until(lambda: [one.status for one in agents.values()] == [AgentStatus.COMPLETED])
        (anna,) = agents.values()
        await run.harness.operator.reviewer().approve_work(anna.agent)
        await settle(run, 1)
        run.site.faults.follow(FaultPlan())
        await trio.sleep(300)
        assert await differences(run, live) == [(SiteDifference.NOT_COMPLETED, RoundOutcome.SETTLED, GIFT)]
        assert run.statuses() == ["ACTIVE"]


async def test_rejected_work_is_not_asked_for_at_the_site(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(2, assignment_duration_in_seconds=20_000)
        person, taken = await submit_without_code(run, live)
        (anna,) = run.harness.operator.ledger.state.agents.values()
        await run.harness.operator.reviewer().reject_work(anna.agent, "the same rating for each sentence")
        assert (await run.reconcile(live.task_run)).differences == ()
        await person.enter_code(taken)
        assert await differences(run, live) == [(SiteDifference.NOT_REJECTED, RoundOutcome.SETTLED, None)]
