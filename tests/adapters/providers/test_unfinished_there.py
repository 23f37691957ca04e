"""Work that was submitted here and never completed at the site: who has to act is said wherever it is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.providers.connect.effects import NOT_FINISHED
from mephisto_es.core.abstractions.crowd.differences import SiteDifference
from mephisto_es.core.lifecycles.payment import PaymentStatus
from mephisto_es.core.operations.control.round_report import RoundOutcome
from mephisto_es.events.payment import PaymentFailed, PaymentInDoubt

from .site_run import SiteRun, open_site_run, submit_without_code, write_accounts

#: One interval of observation, at its longest.
A_POLL_SECONDS = 62


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


def payments(run: SiteRun) -> list[tuple[PaymentStatus, str]]:
    """Return the status of each payment, with the latest words about it."""
    ledger = run.harness.operator.ledger
    words = {
        stream: [
            event.reason
            for one in ledger.log.history(stream)
            if isinstance(event := one.envelope.event, PaymentInDoubt | PaymentFailed)
        ]
        for stream in ledger.state.payments
    }
    return [(payment.status, words[stream][-1]) for stream, payment in ledger.state.payments.items()]


async def test_a_code_that_nobody_entered_is_named_wherever_money_is_looked_at(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(2, assignment_duration_in_seconds=20_000)
        person, taken = await submit_without_code(run, live)
        (difference,) = (await run.reconcile(live.task_run)).open
        assert difference.difference is SiteDifference.NOT_COMPLETED
        assert (difference.outcome, difference.reason) == (RoundOutcome.FOR_PERSON, NOT_FINISHED)
        (anna,) = run.harness.operator.ledger.state.agents.values()
        await run.harness.operator.reviewer().approve_work(anna.agent, bonus_cents=30)
        assert await run.faults(live.task_run) == (
            "agent-1: a pay of 1.50 (payment-1) is owed here, and the work is 'unfinished' at the site",
            "agent-1: a bonus of 0.30 (payment-2) is owed here, and the work is 'unfinished' at the site",
        )
        for _ in range(2):
            assert await run.settle(live.task_run) == 0
            for status, words in payments(run):
                assert status is PaymentStatus.FAILED
                assert NOT_FINISHED in words
                assert taken["id"] not in words
        # The refusal is not reported once more when its cause is gone.
        await person.enter_code(taken)
        assert await run.settle(live.task_run) == 2
        assert [status for status, _ in payments(run)] == [PaymentStatus.CONFIRMED] * 2
        assert await run.faults(live.task_run) == ()
        assert (await run.reconcile(live.task_run)).open == ()


async def test_work_that_was_returned_after_it_was_submitted_says_who_has_to_pay(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(2)
        person, taken = await submit_without_code(run, live)
        await person.give_back(taken)
        await trio.sleep(A_POLL_SECONDS)
        (anna,) = run.harness.operator.ledger.state.agents.values()
        await run.harness.operator.reviewer().approve_work(anna.agent)
        assert await run.faults(live.task_run) == (
            "agent-1: a pay of 1.50 (payment-1) is owed here, and the site does not show the work",
        )
        assert await run.settle(live.task_run) == 0
        ((status, words),) = payments(run)
        assert status is PaymentStatus.FAILED
        assert "Connect does not list the work" in words
        (difference,) = (await run.reconcile(live.task_run)).open
        assert difference.difference is SiteDifference.RETURNED_THERE
