"""A run never spends more than its budget, whatever its workers and reviewers do, and ends when it is used up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import count
from math import ceil
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mephisto_es.adapters.architects.memory.router import MemoryRouter, PageGoneError, UnknownPageError
from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import InitializationData
from mephisto_es.core.abstractions.blueprint import AssignmentData
from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.errors import CommandRefusedError, ConfigError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.core.operations.configuration.money import amount
from mephisto_es.core.operations.services.reviewer import Reviewer
from mephisto_es.core.state.entity_states import EntityStates
from mephisto_es.events.engagement import WorkerRefused
from mephisto_es.events.task_run import TaskRunStopping
from mephisto_es.events.unit import UnitExpired

from .operator_harness import HarnessBlueprint, HarnessTaskState, OperatorHarness, ask, items, open_harness, until, work

WORKERS = 50
MAX_VISITS = 30


class Terms:
    """A budget, and the costs that count against it, recomputed from the statuses of all units after each event."""

    def __init__(self, budget: int, reward: int, bonus_limit: int, fee: int) -> None:
        self.budget, self.reward, self.bonus_limit, self.fee = budget, reward, bonus_limit, fee

    @property
    def settings(self) -> dict[str, object]:
        return {
            "budget": amount(self.budget),
            "task_reward": amount(self.reward),
            "bonus_limit": amount(self.bonus_limit),
            "provider_fee_percent": self.fee,
        }

    def with_fee(self, cents: int) -> int:
        return cents + ceil(cents * self.fee / 100)

    def spoken_for(self, world: EntityStates) -> int:
        out = (UnitStatus.LAUNCHED, UnitStatus.ASSIGNED, UnitStatus.COMPLETED)
        units = sum(unit.status in out for unit in world.units.values())
        reserved = units * (self.with_fee(self.reward) + self.with_fee(self.bonus_limit))
        return reserved + sum(self.with_fee(payment.amount_cents) for payment in world.payments.values())

    def check_every_event(self, log: MemoryLog) -> None:
        world = EntityStates()
        for recorded in log.read():
            world.apply(recorded.envelope)
            assert self.spoken_for(world) <= self.budget, recorded


def reviewer_of(harness: OperatorHarness) -> Reviewer:
    return Reviewer(harness.operator.ledger, SystemIds({}, epoch=2**20))


async def labour(router: MemoryRouter, worker: str, random: Random) -> None:
    """Take work and submit or return it, again and again, as long as the run lasts."""
    for visit in range(MAX_VISITS):
        try:
            details = await ask(router, worker, visit)
            await trio.sleep(random.random() * 5)
            if details["agent_id"] is None:
                continue
            if random.random() < 0.8:
                router.submit_task(details["agent_id"], {"answer": visit})
            else:
                router.return_task(details["agent_id"])
        except (PageGoneError, UnknownPageError):
            return
        await trio.sleep(random.random() * 5)


async def review_at_random(
    harness: OperatorHarness, reviewer: Reviewer, random: Random, most_bonus: int, *, passes: int
) -> list[str]:
    """Give verdicts and bonuses, some beyond the budget; returns the messages of those refused."""
    refused: list[str] = []
    for _ in range(passes):
        for agent in list(harness.operator.ledger.state.agents.values()):
            if most_bonus and not random.randrange(5):
                try:
                    await reviewer.bonus_worker(agent.worker, random.randint(1, most_bonus), "why not", agent.unit)
                except CommandRefusedError as error:
                    refused.append(str(error))
            if agent.status not in (AgentStatus.COMPLETED, AgentStatus.REJECTED, AgentStatus.SOFT_REJECTED):
                continue
            fresh = agent.status is AgentStatus.COMPLETED
            verdict = random.choice(list(Verdict)) if fresh else Verdict.APPROVED
            bonus = random.choice((0, random.randint(0, most_bonus))) if verdict is Verdict.APPROVED else 0
            try:
                await reviewer.give_verdict(agent.agent, verdict, "a note", bonus)
            except CommandRefusedError as error:
                refused.append(str(error))
        await trio.sleep(random.random())
    return refused


@given(
    seed=st.integers(0, 2**32),
    reward=st.integers(0, 30),
    bonus_limit=st.integers(0, 12),
    fee=st.sampled_from([0, 7, 20, 40]),
    units=st.integers(1, 60),
    cents_over=st.integers(0, 9),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_fifty_workers_and_a_generous_reviewer_never_spend_more(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    reward: int,
    bonus_limit: int,
    fee: int,
    units: int,
    cents_over: int,
) -> None:
    random = Random(seed)
    terms = Terms(0, reward, bonus_limit, fee)
    terms.budget = units * (terms.with_fee(reward) + terms.with_fee(bonus_limit)) + cents_over

    async def main() -> MemoryLog:
        async with open_harness(tmp_path_factory.mktemp("harness")) as harness:
            live_run = await harness.launch(HarnessTaskState(data=items(80)), **terms.settings)
            router, reviewer = harness.router(live_run), reviewer_of(harness)
            async with trio.open_nursery() as crowd:
                for number in range(WORKERS):
                    crowd.start_soon(labour, router, f"worker-{number}", random)
                await review_at_random(harness, reviewer, random, 3 * bonus_limit, passes=20)
                await harness.operator.shutdown()
                crowd.cancel_scope.cancel()
            refused = await review_at_random(harness, reviewer, random, terms.budget + 1, passes=2)
            assert all("left for it" in sentence or "not a legal step" in sentence for sentence in refused)
            return harness.log

    terms.check_every_event(trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)))


async def endless() -> AsyncIterator[InitializationData]:
    for number in count():
        await trio.lowlevel.checkpoint()
        yield InitializationData(shared={"number": number}, unit_data=({},))


async def a_few_and_then_silence() -> AsyncIterator[InitializationData]:
    for item in items(3):
        yield item
    await trio.sleep_forever()


@pytest.mark.parametrize("data", [lambda: items(500), endless, a_few_and_then_silence])
async def test_a_run_ends_when_its_budget_is_used_up(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, data: Callable[[], AssignmentData]
) -> None:
    async with open_harness(tmp_path) as harness:
        settings = {"budget": "0.39", "task_reward": "0.10", "provider_fee_percent": 20}
        live_run = await harness.launch(HarnessTaskState(data=data()), **settings)
        async with trio.open_nursery() as crowd:
            for worker in ("ann", "bob"):
                crowd.start_soon(work, harness.router(live_run), worker, 9)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("unit")["completed"] == 3
        assert set(harness.statuses("unit")) <= {"completed", "expired"}
        assert harness.statuses("task_run") == {"completed": 1}
        events = [recorded.envelope.event for recorded in harness.log.read()]
        assert [event.reason for event in events if isinstance(event, TaskRunStopping)] == ["budget"]
        assert {event.reason for event in events if isinstance(event, UnitExpired)} <= {"budget"}


async def test_data_that_the_budget_just_pays_for_is_all_done(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(3)), budget="0.30", task_reward="0.10")
        await work(harness.router(live_run), "ann", 9)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("unit") == {"completed": 3}
        events = [recorded.envelope.event for recorded in harness.log.read()]
        assert [event.reason for event in events if isinstance(event, TaskRunStopping)] == ["all work is done"]


async def test_a_group_that_the_budget_does_not_pay_for_is_not_begun(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        await harness.launch(HarnessTaskState(data=items(2, workers=2)), budget="0.10", task_reward="0.10")
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert set(harness.statuses("unit")) == {"expired"}


async def test_money_that_a_rejection_leaves_is_worked_for(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(5)), budget="0.20", task_reward="0.10")
        router = harness.router(live_run)
        await until(harness, lambda: harness.statuses("unit") == {"launched": 2, "created": 3})
        done, waiting = await ask(router, "ann"), await ask(router, "bob")
        assert (await ask(router, "cem"))["agent_id"] is None
        router.submit_task(done["agent_id"], {})
        await until(harness, lambda: harness.statuses("unit").get("completed") == 1)
        agent = next(iter(harness.operator.ledger.state.agents.values())).agent
        await reviewer_of(harness).reject_work(agent, "empty")
        await until(harness, lambda: harness.statuses("unit").get("launched") == 1)
        assert (await ask(router, "cem", "again"))["agent_id"] is not None
        assert waiting["agent_id"] is not None
        await harness.operator.force_shutdown()


async def test_a_screening_unit_that_the_budget_does_not_pay_for_is_refused(tmp_path: Path) -> None:
    screened = {
        "use_screening_task": True,
        "passed_qualification_name": "can-do-it",
        "block_qualification": "cannot-do-it",
        "max_screening_units": 5,
    }
    async with open_harness(tmp_path, blueprint=screened) as harness:
        shared = HarnessTaskState(
            data=items(1),
            screening_data_factory=({"question": number} for number in range(9)),
            on_unit_submitted=HarnessBlueprint.create_validation_function(None, lambda _: True),  # type: ignore[arg-type]  # it looks at none
        )
        live_run = await harness.launch(shared, budget="0.25", task_reward="0.10")
        router = harness.router(live_run)
        assert (await ask(router, "ann"))["agent_id"] is not None
        assert (await ask(router, "bob"))["agent_id"] is None
        events = [recorded.envelope.event for recorded in harness.log.read()]
        [refused] = [event for event in events if isinstance(event, WorkerRefused)]
        assert (refused.rule, refused.inputs) == ("budget", {"cost_cents": 10, "left_cents": 5})
        await harness.operator.force_shutdown()


async def test_a_launch_that_the_budget_does_not_pay_for_is_refused_before_anything_exists(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        launch = partial(harness.launch, HarnessTaskState(data=items(1)), task_reward="0.10", bonus_limit="0.05")
        with pytest.raises(ConfigError, match=r"mephisto.task.budget is 0.17, and one unit may cost 0.18: 0.10 pay"):
            await launch(budget="0.17", provider_fee_percent=20)
        assert harness.log.head().seq == 0
