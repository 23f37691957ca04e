"""Screening and gold units: their recipients, results and pay, in all combinations and across restarts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Unit, Update
from mephisto_es.core.abstractions.use_gold_unit import GoldWorker, get_gold_factory, worker_needs_gold
from mephisto_es.core.decisions.admission_rules import admission
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.errors import ConfigError
from mephisto_es.events import streams
from mephisto_es.events.engagement import RefusalReason, WorkerAssessed, WorkerRefused, WorkStarted

from .operator_harness import HarnessBlueprint, HarnessTaskState, OperatorHarness, ask, items, open_harness, until

SCREENED: dict[str, object] = {
    "use_screening_task": True,
    "passed_qualification_name": "can-do-it",
    "block_qualification": "cannot-do-it",
    "max_screening_units": 5,
}
GOLDEN: dict[str, object] = {"use_golds": True, "gold_qualification_base": "harness", "max_gold_units": 20}
GOLDS = [{"gold": number} for number in range(4)]


def is_right(unit: Unit) -> bool:
    """Return whether the submission says so."""
    agent = unit.get_assigned_agent()
    assert agent is not None
    return bool(agent.state.get_data()["outputs"]["right"])


def shared(count: int = 5, screen: Callable[[Unit], bool] = is_right, **more: Any) -> HarnessTaskState:
    validate = HarnessBlueprint.create_validation_function(None, screen)  # type: ignore[arg-type]  # it looks at none
    return HarnessTaskState(data=items(count), on_unit_submitted=validate, **more)


def questions() -> Iterator[Update]:
    for number in range(100):
        yield {"question": number}


async def aquestions() -> AsyncIterator[Update]:
    for question in questions():
        yield question


async def lent_questions(given_back: list[str]) -> AsyncIterator[Update]:
    try:
        for question in questions():
            yield question
    finally:
        await trio.lowlevel.checkpoint()
        given_back.append("the questions")


async def do(router: MemoryRouter, worker: str, visit: object, *, right: bool = True) -> dict[str, Any]:
    """Make one visit and submit; returns what the page got."""
    details = await ask(router, worker, visit)
    if details["agent_id"] is not None:
        router.submit_task(details["agent_id"], {"right": right})
    return details


def qualifications(harness: OperatorHarness, worker: int = 1) -> dict[str, int]:
    state = harness.operator.ledger.state
    names = {number: name for name, number in state.qualifications_by_name.items()}
    held = state.workers[streams.worker(worker)].qualifications  # type: ignore[arg-type]  # a number is as good
    return {names[number]: value for number, value in held.items()}


def refusals(harness: OperatorHarness) -> list[str]:
    events = [recorded.envelope.event for recorded in harness.log.read()]
    return [event.rule for event in events if isinstance(event, WorkerRefused)]


@pytest.mark.parametrize("factory", [questions, aquestions, lambda: [{"question": n} for n in range(9)]])
async def test_who_passes_the_screening_goes_on(tmp_path: Path, factory: Callable[[], Any]) -> None:
    async with open_harness(tmp_path, blueprint=SCREENED) as harness:
        router = harness.router(await harness.launch(shared(2, screening_data_factory=factory())))
        first = await do(router, "ann", 1)
        assert first["init_task_data"] == {"question": 0}
        assert (await do(router, "ann", 2))["init_task_data"]["number"] == 0
        other = await do(router, "bob", 1)
        assert other["init_task_data"] == {"question": 1}
        assert (await do(router, "bob", 2))["init_task_data"]["number"] == 1
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("unit") == {"completed": 4}
        assert qualifications(harness) == {"can-do-it": 1}
        units = list(harness.operator.ledger.state.units.values())
        assert Counter(unit.index for unit in units) == {0: 2, -1: 2}
        assert {unit.pay_cents for unit in units} == {10}


async def test_who_fails_the_screening_gets_the_block_qualification_and_nothing_more(tmp_path: Path) -> None:
    async with open_harness(tmp_path, blueprint=SCREENED) as harness:
        for run in range(2):
            router = harness.router(await harness.launch(shared(screening_data_factory=questions())))
            if run == 0:
                await do(router, "ann", 1, right=False)
            refused = await ask(router, "ann", 2)
            assert refused["failure_reason"] == refusal_text(RefusalReason.NOT_QUALIFIED)
            assert qualifications(harness) == {"cannot-do-it": 1}
            await harness.operator.force_shutdown()
        assert refusals(harness) == ["qualification"] * 2


async def test_the_next_page_waits_for_the_verdict(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async def slowly(unit: Unit) -> bool:
        await trio.sleep(5)
        return is_right(unit)

    async with open_harness(tmp_path, blueprint=SCREENED) as harness:
        state = shared(screen=slowly, screening_data_factory=aquestions())  # type: ignore[arg-type]  # either will do
        router = harness.router(await harness.launch(state))
        first = await ask(router, "ann", 1)
        while_at_it = await ask(router, "ann", 2)
        assert while_at_it["failure_reason"] == refusal_text(RefusalReason.TOO_MANY_CONCURRENT)
        router.submit_task(first["agent_id"], {"right": True})
        assert (await ask(router, "ann", 3))["init_task_data"]["number"] == 0
        assert refusals(harness) == ["evaluation_decided"]
        await harness.operator.force_shutdown()


async def test_a_generator_of_questions_ends_with_its_run(tmp_path: Path) -> None:
    given_back: list[str] = []
    async with open_harness(tmp_path, blueprint=SCREENED) as harness:
        live_run = await harness.launch(shared(1, screening_data_factory=lent_questions(given_back)))
        assert (await do(harness.router(live_run), "ann", 1))["init_task_data"] == {"question": 0}
        assert given_back == []
        await do(harness.router(live_run), "ann", 2)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert given_back == ["the questions"]


async def test_a_generator_that_fails_in_the_end_takes_nothing_with_it(tmp_path: Path) -> None:
    async def failing() -> AsyncIterator[Update]:
        try:
            yield {"question": 0}
            yield {"question": 1}
        finally:
            raise OSError("the questions cannot be closed")

    async with open_harness(tmp_path, blueprint=SCREENED) as harness:
        router = harness.router(await harness.launch(shared(1, screening_data_factory=failing())))
        await do(router, "ann", 1)
        await do(router, "ann", 2)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.operator.runs.failures == []
        assert harness.statuses("task_run") == {"completed": 1}


async def test_no_more_are_screened_than_may_be_paid_for(tmp_path: Path) -> None:
    async with open_harness(tmp_path, blueprint={**SCREENED, "max_screening_units": 2}) as harness:
        router = harness.router(await harness.launch(shared()))
        answers: list[dict[str, Any]] = []

        async def one(worker: int) -> None:
            answers.append(await ask(router, f"worker-{worker}"))

        async with trio.open_nursery() as nursery:
            for worker in range(5):
                nursery.start_soon(one, worker)
        assert Counter(answer["failure_reason"] for answer in answers) == {
            None: 2,
            refusal_text(RefusalReason.NO_AVAILABLE_UNITS): 3,
        }
        assert set(refusals(harness)) == {"max_screening_units"}
        leaver = next(answer["agent_id"] for answer in answers if answer["agent_id"])
        router.return_task(leaver)
        assert (await ask(router, "worker-9"))["agent_id"], "a screening that was given back is not paid"
        assert harness.statuses("unit") == {"launched": 5, "assigned": 2, "expired": 1}
        await harness.operator.force_shutdown()


async def test_screening_data_that_ends_or_breaks_refuses_and_the_run_goes_on(tmp_path: Path) -> None:
    def broken() -> Iterator[Update]:
        yield {"question": 0}
        raise ZeroDivisionError("secret words of an exception")

    async with open_harness(tmp_path, blueprint=SCREENED) as harness:
        router = harness.router(await harness.launch(shared(screening_data_factory=broken())))
        assert (await ask(router, "ann"))["agent_id"]
        for worker in ("bob", "cyd"):
            answer = await ask(router, worker)
            assert answer["failure_reason"] == refusal_text(RefusalReason.TECHNICAL_PROBLEM)
        assert (await ask(router, "ann"))["agent_id"], "who is at it keeps it"
        assert refusals(harness) == ["callback_failed"] * 2
        await harness.operator.force_shutdown()


async def test_the_first_ordinary_unit_can_serve_as_the_screening(tmp_path: Path) -> None:
    looked_at: list[int] = []

    def screen(unit: Unit) -> bool:
        looked_at.append(unit.unit_id)
        return is_right(unit)

    async with open_harness(tmp_path, blueprint={**SCREENED, "max_screening_units": 0}) as harness:
        router = harness.router(await harness.launch(shared(3, screen, screening_data_factory=False)))
        assert (await do(router, "ann", 1))["init_task_data"]["number"] == 0
        assert (await do(router, "ann", 2))["init_task_data"]["number"] == 1
        await do(router, "bob", 1, right=False)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert looked_at == [1, 3], "who has passed is not looked at again"
        assert qualifications(harness, 1) == {"can-do-it": 1}
        assert qualifications(harness, 2) == {"cannot-do-it": 1}
        assert harness.statuses("unit") == {"completed": 3}


async def test_golds_come_first_and_then_now_and_then(tmp_path: Path) -> None:
    async with open_harness(tmp_path, blueprint={**GOLDEN, "min_golds": 2}) as harness:
        router = harness.router(await harness.launch(shared(12, get_gold_for_worker=get_gold_factory(GOLDS))))
        got = [(await do(router, "ann", visit))["init_task_data"] for visit in range(15)]
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        golds = [place for place, data in enumerate(got) if "gold" in data]
        assert golds == [0, 1, 11], "two at first, and one after nine units"
        assert len({data["gold"] for data in got if "gold" in data}) == 3
        assert qualifications(harness) == {"harness-completed-count": 12, "harness-correct-golds": 3}
        engagement = next(iter(harness.operator.ledger.state.engagements.values()))
        assert engagement.counted == 12


async def test_too_many_wrong_golds_end_it_for_all_runs(tmp_path: Path) -> None:
    async with open_harness(tmp_path, blueprint={**GOLDEN, "max_incorrect_golds": 1}) as harness:
        for run in range(2):
            router = harness.router(await harness.launch(shared(get_gold_for_worker=get_gold_factory(GOLDS))))
            if run == 0:
                for visit in range(2):
                    assert "gold" in (await do(router, "ann", visit, right=False))["init_task_data"]
            refused = await ask(router, "ann", "more")
            assert refused["failure_reason"] == refusal_text(RefusalReason.NOT_QUALIFIED)
            await harness.operator.force_shutdown()
        assert refusals(harness) == ["worker_qualifies", "qualification"]
        assert qualifications(harness) == {"harness-wrong-golds": 2, "harness-disqualified": 1}


async def test_who_fails_while_a_gold_unit_is_chosen_does_not_get_it(tmp_path: Path) -> None:
    is_choosing, may_choose = trio.Event(), trio.Event()

    async def choose_slowly(worker: GoldWorker) -> Update:
        is_choosing.set()
        await may_choose.wait()
        return GOLDS[0]

    async with open_harness(tmp_path, blueprint={**GOLDEN, "max_incorrect_golds": 0}) as harness:
        first = harness.router(await harness.launch(shared(get_gold_for_worker=get_gold_factory(GOLDS))))
        agent = (await ask(first, "ann", 1))["agent_id"]
        second = harness.router(await harness.launch(shared(get_gold_for_worker=choose_slowly)))
        async with trio.open_nursery() as nursery:
            got: list[Any] = []

            async def ask_second() -> None:
                got.append((await ask(second, "ann", 2))["agent_id"])

            nursery.start_soon(ask_second)
            await is_choosing.wait()
            first.submit_task(agent, {"right": False})
            await until(harness, lambda: qualifications(harness).get("harness-wrong-golds") == 1)
            may_choose.set()
        assert got == [None]
        await harness.operator.force_shutdown()


async def test_a_run_without_golds_left_goes_on_with_those_who_have_shown_enough(tmp_path: Path) -> None:
    async with open_harness(tmp_path, blueprint={**GOLDEN, "max_gold_units": 1}) as harness:
        state = shared(get_gold_for_worker=get_gold_factory(GOLDS), worker_needs_gold=lambda *_: True)
        router = harness.router(await harness.launch(state))
        assert "gold" in (await do(router, "ann", 1))["init_task_data"]
        assert "number" in (await do(router, "ann", 2))["init_task_data"]
        refused = await ask(router, "bob")
        assert refused["failure_reason"] == refusal_text(RefusalReason.NO_AVAILABLE_UNITS)
        assert refusals(harness) == ["max_gold_units"]
        await harness.operator.force_shutdown()


async def test_the_scripts_judgement_is_asked_for_once_and_kept(tmp_path: Path) -> None:
    asked: list[tuple[int, ...]] = []

    def qualifies(*facts: int) -> bool:
        asked.append(facts)
        return True

    async with open_harness(tmp_path, blueprint=GOLDEN) as harness:
        state = shared(get_gold_for_worker=get_gold_factory(GOLDS), worker_qualifies=qualifies)
        router = harness.router(await harness.launch(state))
        await do(router, "ann", 1)
        for visit in range(2, 5):
            await ask(router, "ann", visit)
        assert asked == [(0, 0, 0, 0), (0, 1, 0, 0)]
        judged = [r.envelope.event for r in harness.log.read() if isinstance(r.envelope.event, WorkerAssessed)]
        assert [event.callback for event in judged] == ["worker_qualifies", "worker_needs_gold"] * 2
        await harness.operator.force_shutdown()


@pytest.mark.parametrize("callback", ["worker_qualifies", "worker_needs_gold", "get_gold_for_worker"])
async def test_golds_code_that_raises_refuses_and_the_run_goes_on(tmp_path: Path, callback: str) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError("secret words of an exception")

    async with open_harness(tmp_path, blueprint=GOLDEN) as harness:
        router = harness.router(await harness.launch(shared(5, is_right, **{callback: broken})))
        answer = await ask(router, "ann")
        assert answer["failure_reason"] == refusal_text(RefusalReason.TECHNICAL_PROBLEM)
        assert qualifications(harness) == {}, "it may be right the next time"
        await harness.operator.force_shutdown()


def passes(data: Update) -> bool:
    return bool(data["outputs"].get("ready"))


async def everything(router: MemoryRouter, worker: str) -> list[dict[str, Any]]:
    """Do everything that a good worker gets, beginning with the onboarding."""
    first = await ask(router, worker, 0)
    second = await router.submit_onboarding(first["agent_id"], {"ready": True})
    router.submit_task(second["agent_id"], {"right": True})
    rest = [await do(router, worker, visit) for visit in range(1, 4)]
    return [first, second, *rest]


async def test_all_steps_together_in_their_order(tmp_path: Path) -> None:
    async with open_harness(tmp_path, onboarding="knows", blueprint={**SCREENED, **GOLDEN}) as harness:
        state = shared(
            2,
            onboarding_data={"welcome": True},
            validate_onboarding=passes,
            screening_data_factory=questions(),
            get_gold_for_worker=get_gold_factory(GOLDS[:1]),
        )
        limits = {"maximum_units_per_worker": 2, "allowed_concurrent": 1}
        router = harness.router(await harness.launch(state, **limits))
        got = [details["init_task_data"] for details in await everything(router, "ann")]
        assert got[:3] == [{"welcome": True}, {"question": 0}, {"gold": 0}]
        assert [data["number"] for data in got[3:]] == [0, 1]
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert qualifications(harness) == {
            "knows": 1,
            "can-do-it": 1,
            "harness-correct-golds": 1,
            "harness-completed-count": 2,
        }


async def test_every_unit_was_given_while_all_rules_held(tmp_path: Path) -> None:
    async with open_harness(tmp_path, blueprint={**SCREENED, **GOLDEN}) as harness:
        router = harness.router(await harness.launch(shared(5), maximum_units_per_worker=2))

        def check(events: object) -> None:
            state = harness.operator.ledger.state
            for engagement in state.engagements.values():
                run = next(iter(state.task_runs.values()))
                worker = state.workers[streams.worker(engagement.worker)]
                rules = list(admission(run, worker, engagement, engagement.counted))
                assert engagement.counted <= 2
                assert {check.rule for check in rules} >= {"run_is_live", "maximum_units_per_worker"}

        harness.operator.ledger.subscribe(check)
        for visit in range(6):
            last = await do(router, "ann", visit)
        assert last["failure_reason"] == refusal_text(RefusalReason.MAX_FOR_TASK)
        taken = [r.envelope.event for r in harness.log.read() if isinstance(r.envelope.event, WorkStarted)]
        assert [(event.evaluation, event.counts) for event in taken] == [
            ("screening", False),
            ("gold", False),
            (None, True),
            (None, True),
        ]
        await harness.operator.force_shutdown()


async def test_a_run_that_is_taken_up_again_tells_of_what_it_could_not_and_gives_the_same_golds(
    tmp_path: Path,
) -> None:
    MemoryArchitect.routers.clear()
    log = MemoryLog()

    async def never(unit: Unit) -> bool:
        await trio.sleep(10_000)
        return True

    def state(screen: Any) -> HarnessTaskState:
        return shared(5, screen, get_gold_for_worker=get_gold_factory(GOLDS), screening_data_factory=questions())

    async with open_harness(tmp_path, log, blueprint={**SCREENED, **GOLDEN}) as harness:
        router = harness.router(await harness.launch(state(never)))
        assert (await do(router, "ann", 1))["init_task_data"] == {"question": 0}
        await until(harness, lambda: harness.statuses("unit").get("completed") == 1)
    async with open_harness(tmp_path, log, blueprint={**SCREENED, **GOLDEN}) as harness:
        router = harness.router(await harness.launch(state(is_right), resume_incomplete_run=True))
        first = await ask(router, "ann", 2)
        seed = next(iter(harness.operator.ledger.state.task_runs.values())).seed
        assert first["init_task_data"] == get_gold_factory(GOLDS)(GoldWorker(1, 0, f"{seed}/1"))
        assert (await ask(router, "bob", 1))["init_task_data"] == {"question": 1}
        await harness.operator.force_shutdown()


def test_a_worker_gets_all_golds_in_a_random_order_before_any_twice() -> None:
    choose = get_gold_factory(GOLDS)
    orders = set()
    for seed in range(20):
        rounds = [
            tuple(choose(GoldWorker(1, given, f"{seed}/1"))["gold"] for given in range(start, start + 4))
            for start in (0, 4)
        ]
        assert [sorted(one) for one in rounds] == [[0, 1, 2, 3]] * 2
        orders.update(rounds)
    assert len(orders) > 10
    with pytest.raises(ConfigError, match="no gold units"):
        get_gold_factory([])


def test_golds_become_more_seldom() -> None:
    had = 1
    for units in range(1000):
        if worker_needs_gold(units, had, 0, 1):
            had += 1
    assert had == 11
    assert worker_needs_gold(0, 1, 1, 1), "a wrong one asks for one more"


@pytest.mark.parametrize(
    ("blueprint", "callback", "sentence"),
    [
        ({**SCREENED, "passed_qualification_name": None}, is_right, "passed_qualification_name is not set"),
        ({**SCREENED, "block_qualification": None}, is_right, "block_qualification is not set"),
        ({**SCREENED, "max_screening_units": None}, is_right, "max_screening_units is not set"),
        ({**SCREENED, "max_screening_units": 0}, is_right, "max_screening_units is 0"),
        (SCREENED, None, "no callback evaluates submissions"),
        ({**GOLDEN, "gold_qualification_base": None}, is_right, "gold_qualification_base is not set"),
        ({**GOLDEN, "max_gold_units": -1}, is_right, "max_gold_units is -1"),
        (GOLDEN, None, "no callback evaluates submissions"),
    ],
)
async def test_settings_that_make_no_sense_are_named(
    tmp_path: Path, blueprint: dict[str, object], callback: Callable[[Unit], bool] | None, sentence: str
) -> None:
    async with open_harness(tmp_path, blueprint=blueprint) as harness:
        with pytest.raises(ConfigError, match=sentence):
            await harness.launch(HarnessTaskState(data=items(1), on_unit_submitted=callback))
        assert harness.log.head().seq == 0


async def test_the_last_verdict_is_given_before_the_run_ends(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    told: list[int] = []

    async def slowly(unit: Unit) -> None:
        await trio.sleep(30)
        told.append(unit.unit_id)

    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(HarnessTaskState(data=items(2), on_unit_submitted=slowly)))
        for visit in range(2):
            await do(router, "ann", visit)
        await until(harness, lambda: harness.statuses("unit") == {"completed": 2})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert sorted(told) == [1, 2]
