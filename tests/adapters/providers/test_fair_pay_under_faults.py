"""Whole runs with fair pay on simulated sites under faults: each minute is paid, hourly pay reaches the floor.

`SITE_SEEDS=1000` tries as many seeds; `make sites` does that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from trio.testing import MockClock

from mephisto_es.adapters.fakes.connect.site import FakeConnect
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.decisions.worker_rights.pay_for_time import PAID_FOR_TIME_STATUSES
from mephisto_es.core.lifecycles.agent import AgentRecord, AgentStatus
from mephisto_es.core.lifecycles.payment import PaymentStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.core.operations.services.worker_page import worker_page
from mephisto_es.core.operations.task_code.deadlines import paused_us
from mephisto_es.core.state.fair_pay import TimePay
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentBonusGranted, AgentExpired, AgentRejected, AgentReturned
from mephisto_es.events.ids import TaskRunId
from mephisto_es.projections.mephisto_db import MephistoDB
from mephisto_es.projections.queries.money.hourly_pay import hourly_pay, top_ups

from ...projections.memory_as_of import MemoryAsOf
from ...projections.views import rebuilt
from .site_run import SiteRun, write_accounts
from .test_runs_under_faults import BONUS_CENTS, SEEDS, UNITS, Job, cuts, last_run

FLOOR_CENTS = 2000
CENTS_PER_MINUTE, LIMIT_CENTS = 10, 40
#: Seeds that once failed: a payment whose site could not be asked stays failed for a while.
FOUND = (120,)
REASON = (
    "All ratings are the same, although two of the sentences say the opposite of the others: please read each of them."
)


class LogAsOf(MemoryAsOf):
    """A log as of its end."""

    def __init__(self, log: MemoryLog) -> None:
        self.events = list(log.read())
        self.db = MephistoDB(rebuilt(self.events, log.payload), log.payload)
        self.seq, self.at = len(self.events), self.events[-1].envelope.at


class FairJob(Job):
    """A job that pays for time, and at least a floor for each hour; some of its work is rejected."""

    SETTINGS: ClassVar[Mapping[str, object]] = {
        "max_num_concurrent_units": 3,
        "budget": "30.00",
        "pay_for_time": f"{CENTS_PER_MINUTE / 100:.2f}",
        "pay_for_time_limit": f"{LIMIT_CENTS / 100:.2f}",
        "minimum_hourly_pay": f"{FLOOR_CENTS / 100:.2f}",
    }
    BUDGET_CENTS: ClassVar[int] = 3000
    RETURNED_AFTER_SECONDS: ClassVar[float] = 300

    async def review(self, run: SiteRun) -> None:
        reviewer, log = run.harness.operator.reviewer(), self.log
        waiting = [
            one for one in run.harness.operator.ledger.state.agents.values() if one.status is AgentStatus.COMPLETED
        ]
        proposed = top_ups(LogAsOf(log), last_run(run)) if waiting else {}
        for agent in waiting:
            if agent.agent % 5 == 0:
                await reviewer.reject_work(agent.agent, REASON)
            else:
                bonus = BONUS_CENTS if agent.agent % 2 else 0
                await reviewer.approve_work(agent.agent, bonus_cents=max(bonus, proposed.get(agent.agent, 0)))

    async def decide(self, run: SiteRun) -> None:
        """Decide what is in doubt, and pay by other means what Connect refuses: a bonus for work that was returned."""
        await super().decide(run)
        operator = run.harness.operator
        for payment in list(operator.ledger.state.payments.values()):
            if isinstance(self.site, FakeConnect) and payment.status is PaymentStatus.FAILED:
                agent = operator.ledger.state.agents[streams.agent(last_run(run), payment.agent)]
                if agent.status not in PAID_FOR_TIME_STATUSES:
                    continue  # the site could not be asked, and is asked again
                self.paid_elsewhere.add(payment.agent)
                await operator.reviewer().settle_payment(payment.payment, is_paid=True, reason="paid by other means")

    def check_verdicts(self, run: SiteRun) -> None:
        state, task_run = run.harness.operator.ledger.state, last_run(run)
        units = [one for stream, one in state.units.items() if streams.run_of(stream) == task_run]
        decided = [one.status for one in units if one.status is not UnitStatus.EXPIRED]
        assert set(decided) <= {UnitStatus.ACCEPTED, UnitStatus.REJECTED}
        assert len(decided) == UNITS
        for agent in state.agents.values():
            if agent.status in PAID_FOR_TIME_STATUSES:
                self._check_time(task_run, agent)
            elif agent.status is AgentStatus.REJECTED:
                self._check_rejection(task_run, agent)
        found = hourly_pay(LogAsOf(self.log), task_run)
        assert found is not None
        assert found.below_minimum == 0

    def _check_time(self, run: TaskRunId, agent: AgentRecord) -> None:
        """Check that all minutes of work that came to nothing are paid, up to the limit."""
        history = [one.envelope for one in self.log.history(streams.agent(run, agent.agent))]
        ended = next(one.at for one in history if isinstance(one.event, AgentReturned | AgentExpired))
        paused = paused_us(self.log.history(streams.task_run(run)), history[0].at, ended)
        granted = sum(one.event.bonus_cents for one in history if isinstance(one.event, AgentBonusGranted))
        assert granted == TimePay(CENTS_PER_MINUTE, LIMIT_CENTS).cents_for(ended - history[0].at - paused)

    def _check_rejection(self, run: TaskRunId, agent: AgentRecord) -> None:
        """Check that a rejection has an author, and that its worker sees the reason and can object."""
        history = [one.envelope for one in self.log.history(streams.agent(run, agent.agent))]
        assert all(one.actor for one in history if isinstance(one.event, AgentRejected))
        page = worker_page(self.log, agent.worker, [run])
        (shown,) = (work for work in page.work if work.agent == agent.token)
        assert (shown.note, shown.may_appeal) == (REASON, True)


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


@pytest.mark.parametrize("kind", ["prolific", "connect"])
@pytest.mark.parametrize("seed", sorted({*range(1, SEEDS + 1), *FOUND}))
async def test_each_minute_is_paid_and_each_hour_enough(
    kind: str, seed: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    await FairJob(kind, seed, tmp_path, cuts(seed)).do()
