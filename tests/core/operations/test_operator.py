"""Whole runs of an operator with the real ledger, decisions and task code, and a router in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Agent, Assignment, InitializationData, Unit, Worker
from mephisto_es.core.abstractions.blueprint import AssignmentData
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.errors import ConfigError, LaunchError
from mephisto_es.core.state.entity_states import EntityStates
from mephisto_es.events.engagement import RefusalReason, WorkerRefused
from mephisto_es.events.ids import WorkerId
from mephisto_es.events.task_run import TaskRunPaused

from .operator_harness import HarnessTaskState, ask, config, items, open_harness, until, work


async def test_a_run_ends_when_all_its_work_is_done(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(5)))
        router = harness.router(live_run)
        async with trio.open_nursery() as crowd:
            for worker in ("ann", "bob"):
                crowd.start_soon(work, router, worker, 9)
        await harness.operator.wait_for_runs_then_shutdown()
        assert harness.statuses("unit") == {"completed": 5}
        assert harness.statuses("agent") == {"completed": 5}
        assert harness.statuses("task_run") == {"completed": 1}
        assert router.unacknowledged == 0
    world = EntityStates()
    for recorded in harness.log.read():
        world.apply(recorded.envelope)
    assert len(world.units) == 5


async def test_the_same_page_gets_the_same_agent_again(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(3)))
        router = harness.router(live_run)
        first, again = await ask(router, "ann", 1), await ask(router, "ann", 1)
        other = await ask(router, "ann", 2)
        assert {**first, "request_id": ""} == {**again, "request_id": ""}
        assert other["agent_id"] != first["agent_id"]
        router.submit_task(first["agent_id"], {})
        late = await ask(router, "ann", 1)
        assert late["agent_id"] == first["agent_id"]
        await harness.operator.force_shutdown()


async def test_a_hundred_pages_at_once_never_get_the_same_unit(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(40)))
        await until(harness, lambda: harness.statuses("unit") == {"launched": 40})
        router, answers = harness.router(live_run), []

        async def one(worker: int) -> None:
            answers.append(await ask(router, f"worker-{worker}"))

        async with trio.open_nursery() as nursery:
            for worker in range(100):
                nursery.start_soon(one, worker)
        got = [answer["agent_id"] for answer in answers if answer["agent_id"]]
        refused = [answer["failure_reason"] for answer in answers if not answer["agent_id"]]
        assert len(got) == len(set(got)) == 40
        assert set(refused) == {refusal_text(RefusalReason.NO_AVAILABLE_UNITS)}
        taken = [unit.agent for unit in harness.operator.ledger.state.units.values()]
        assert len(set(taken)) == 40
        await harness.operator.force_shutdown()


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("maximum_units_per_worker", RefusalReason.MAX_FOR_TASK),
        ("allowed_concurrent", RefusalReason.TOO_MANY_CONCURRENT),
    ],
)
async def test_a_limit_holds_against_requests_that_race(tmp_path: Path, setting: str, reason: RefusalReason) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(20)), **{setting: 3})
        await until(harness, lambda: harness.statuses("unit") == {"launched": 20})
        router, answers = harness.router(live_run), []

        async def one(visit: int) -> None:
            answers.append(await ask(router, "ann", visit))

        async with trio.open_nursery() as nursery:
            for visit in range(10):
                nursery.start_soon(one, visit)
        assert sorted(bool(answer["agent_id"]) for answer in answers) == [False] * 7 + [True] * 3
        assert {answer["failure_reason"] for answer in answers if not answer["agent_id"]} == {refusal_text(reason)}
        await harness.operator.force_shutdown()


async def test_work_that_is_given_back_is_offered_again(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        ann = await ask(router, "ann")
        assert (await ask(router, "bob"))["agent_id"] is None
        router.return_task(ann["agent_id"])
        bob = await ask(router, "bob", "again")
        assert bob["init_task_data"] == ann["init_task_data"]
        router.submit_task(bob["agent_id"], {})
        await harness.operator.wait_for_runs_then_shutdown()
        assert harness.statuses("agent") == {"returned": 1, "completed": 1}


async def test_a_worker_who_is_late_loses_the_unit(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)), assignment_duration_in_seconds=60)
        router = harness.router(live_run)
        await ask(router, "ann")
        await trio.sleep(59)
        assert harness.statuses("agent") == {"accepted": 1} or harness.statuses("agent") == {"in task": 1}
        await trio.sleep(2)
        assert harness.statuses("agent") == {"timeout": 1}
        assert harness.statuses("unit") == {"launched": 1}
        await harness.operator.shutdown()
        assert harness.statuses("unit") == {"expired": 1}


async def test_no_more_units_are_out_than_may_be_at_a_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    most = 0

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(30)), max_num_concurrent_units=4)

        def count(_: object) -> None:
            nonlocal most
            statuses = harness.statuses("unit")
            most = max(most, statuses.get("launched", 0) + statuses.get("assigned", 0))

        harness.operator.ledger.subscribe(count)
        await until(harness, lambda: harness.statuses("unit").get("launched") == 4)
        async with trio.open_nursery() as crowd:
            for worker in range(6):
                crowd.start_soon(work, harness.router(live_run), f"worker-{worker}", 99, 1.0)
            await harness.operator.wait_for_runs_then_shutdown()
            crowd.cancel_scope.cancel()
        assert harness.statuses("unit") == {"completed": 30}
    assert most == 4


async def test_a_second_submission_is_kept_and_changes_nothing(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        router = harness.router(live_run)
        ann = await ask(router, "ann")
        router.submit_task(ann["agent_id"], {"answer": 1})
        router.submit_task(ann["agent_id"], {"answer": 2})
        await ask(router, "ann", "another")
        kinds = [type(recorded.envelope.event).__name__ for recorded in harness.log.read()]
        assert kinds.count("AgentSubmitted") == kinds.count("AgentSubmittedAgain") == 1
        state = next(iter(harness.operator.ledger.state.agents.values()))
        assert state.submission is not None
        assert harness.log.payload(state.submission) == b'{"answer":1}'
        await harness.operator.force_shutdown()


class Talk(TaskRunner):
    """Asks a question, and sends back the answer."""

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        await agent.observe({"text": "who are you?"})
        answer = await agent.get_live_update()
        assert answer is not None
        await agent.observe({"text": f"hello {answer['text']}"})
        await agent.await_submit()


async def test_task_code_and_page_talk(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1), runner=Talk))
        router = harness.router(live_run)
        token = (await ask(router, "ann"))["agent_id"]
        page = router.connect(token)
        texts: list[str] = []
        while len(texts) < 2:
            packet = await page.receive()
            if packet["packet_type"] == "client_bound_live_update":
                texts.append(packet["data"]["text"])
                router.send_live_update(token, {"text": "Ann", "update_id": "u1"})
        assert texts == ["who are you?", "hello Ann"]
        router.submit_task(token, {})
        await harness.operator.wait_for_runs_then_shutdown()


class Group(TaskRunner):
    """A chat: each message is forwarded to the others."""

    is_concurrent = True

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        for agent in agents:
            await agent.observe({"text": f"you are {len(agents)}"})


async def test_an_assignment_for_two_begins_when_both_are_there(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1, workers=2), runner=Group))
        router = harness.router(live_run)
        tokens = [(await ask(router, worker))["agent_id"] for worker in ("ann", "bob")]
        assert (await ask(router, "cyd"))["agent_id"] is None
        for token in tokens:
            page = router.connect(token)
            while (packet := await page.receive())["packet_type"] != "client_bound_live_update":
                pass
            assert packet["data"]["text"] == "you are 2"
            router.submit_task(token, {})
        await harness.operator.wait_for_runs_then_shutdown()
        assert harness.statuses("unit") == {"completed": 2}


async def test_an_assignment_for_more_than_may_be_out_at_a_time_is_refused(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        with pytest.raises(LaunchError, match=r"item 1 is for 2 workers together, and .*max_num_concurrent_units is 1"):
            await harness.launch(HarnessTaskState(data=items(1, workers=2), runner=Group), max_num_concurrent_units=1)
        assert harness.statuses("task_run") == {"failed": 1}


async def test_a_partner_who_leaves_ends_it_for_one_and_frees_the_other(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1, workers=2), runner=Group))
        router = harness.router(live_run)
        tokens = [(await ask(router, worker))["agent_id"] for worker in ("ann", "bob")]
        router.connect(tokens[0])
        page = router.connect(tokens[1])
        router.disconnect(tokens[0])
        while (await page.receive())["data"].get("status") != "partner disconnect":
            pass
        router.submit_task(tokens[1], {"text": "where did you go?"})
        await harness.operator.wait_for_runs_then_shutdown()
        assert harness.statuses("agent") == {"disconnect": 1, "completed": 1}
        assert harness.statuses("unit") == {"expired": 1, "completed": 1}


def broken() -> Iterator[InitializationData]:
    yield from items(3)
    raise ZeroDivisionError("the data is wrong")


async def abroken() -> AsyncIterator[InitializationData]:
    for item in items(3):
        yield item
    raise ZeroDivisionError("the data is wrong")


@pytest.mark.parametrize("data", [broken, abroken])
async def test_data_that_raises_pauses_the_run_and_leaves_its_units_open(
    tmp_path: Path, data: Callable[[], AssignmentData]
) -> None:
    async with open_harness(tmp_path) as harness:

        async def launch_and_wait() -> None:
            await harness.launch(HarnessTaskState(data=data()))
            await harness.operator.wait_for_runs_then_shutdown()

        with pytest.raises(LaunchError, match=r"assignment data.*ZeroDivisionError"):
            await launch_and_wait()
        assert set(harness.statuses("unit")) <= {"created", "launched"}
        assert harness.statuses("task_run") == {"paused": 1}


class Careless(TaskRunner):
    """Task code that raises."""

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        raise ZeroDivisionError("secret words of an exception")


async def test_task_code_that_raises_puts_its_unit_back_on_offer(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1), runner=Careless))
        router = harness.router(live_run)
        token = (await ask(router, "ann"))["agent_id"]
        page = router.connect(token)
        seen = [await page.receive()]
        while seen[-1]["data"].get("status") != "expired":
            seen.append(await page.receive())
        assert "secret" not in str(seen)
        assert harness.statuses("unit") == {"launched": 1}
        await harness.operator.shutdown()
        assert harness.statuses("task_run") == {"completed": 1}


async def test_a_worker_the_script_does_not_want_is_refused_and_the_answer_is_kept(tmp_path: Path) -> None:
    asked: list[int] = []

    async def may(worker: Worker, unit: Unit) -> bool:
        asked.append(unit.unit_id)
        return unit.unit_id != 1

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2), worker_can_do_unit=may))
        router = harness.router(live_run)
        first = await ask(router, "ann", 1)
        assert first["init_task_data"]["number"] == 1
        second = await ask(router, "ann", 2)
        assert second["agent_id"] is None
        kinds = [type(recorded.envelope.event).__name__ for recorded in harness.log.read()]
        assert kinds.count("CallbackAnswered") == len(asked) == 2
        await harness.operator.force_shutdown()


@pytest.mark.parametrize(("scope", "is_refused"), [("task", True), ("run", False)])
async def test_the_next_batch_of_a_task_does_not_readmit_everybody(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, scope: str, is_refused: bool
) -> None:
    async with open_harness(tmp_path) as harness:
        limit = {"task_name": "rating", "maximum_units_per_worker": 1, "maximum_units_scope": scope}
        for batch in range(2):
            router = harness.router(await harness.launch(HarnessTaskState(data=items(1)), **limit))
            details = await ask(router, "ann", batch)
            if batch:
                assert (details["agent_id"] is None) == is_refused
                refused = refusal_text(RefusalReason.MAX_FOR_TASK) if is_refused else None
                assert details["failure_reason"] == refused
                await harness.operator.force_shutdown()
                return
            assert details["progress"] == {"unit": 1, "of": 1}
            router.submit_task(details["agent_id"], {})
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)


async def test_a_launch_that_fails_says_which_step_and_releases_what_it_had(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        (tmp_path / "1").write_text("a file where the run's folder should be")
        with pytest.raises(LaunchError, match="prepare"):
            await harness.launch(HarnessTaskState(data=items(1)))
        assert harness.statuses("task_run") == {"failed": 1}
        assert harness.operator.get_running_task_runs() == {}
        assert await harness.operator.launch_task_run(config(task_reward="x"), HarnessTaskState()) is None
        with pytest.raises(ConfigError, match="task_reward"):
            await harness.operator.launch_task_run_or_die(config(task_reward="x"), HarnessTaskState())


async def test_shutdown_waits_for_those_at_work(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(3)))
        router = harness.router(live_run)
        token = (await ask(router, "ann"))["agent_id"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.operator.shutdown)
            await until(harness, lambda: harness.statuses("unit") == {"assigned": 1, "expired": 2})
            assert (await ask(router, "bob"))["agent_id"] is None
            router.submit_task(token, {})
        assert harness.statuses("unit") == {"completed": 1, "expired": 2}
        assert harness.statuses("task_run") == {"completed": 1}


async def test_a_run_in_which_nothing_is_submitted_pauses_and_says_why(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(5)), no_submission_patience=3600)
        router, start = harness.router(live_run), trio.current_time()
        for visit in range(2):
            details = await ask(router, "ann", visit)
            await trio.sleep(1000)
            router.submit_task(details["agent_id"], {})
        await ask(router, "ann", "and goes away")
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert trio.current_time() - start == pytest.approx(2000 + 3600, abs=1)
        assert harness.statuses("unit") == {"completed": 2, "launched": 3}
        paused = [r.envelope.event for r in harness.log.read() if isinstance(r.envelope.event, TaskRunPaused)]
        assert [event.reason for event in paused] == [
            "nothing was submitted for 3600 s (mephisto.task.no_submission_patience)"
        ]


async def test_who_has_the_block_qualification_gets_no_work(tmp_path: Path) -> None:
    async with open_harness(tmp_path, blueprint={"block_qualification": "blocked"}) as harness:
        router = harness.router(await harness.launch(HarnessTaskState(data=items(2))))
        assert (await ask(router, "ann"))["agent_id"]
        await harness.operator.reviewer().grant_qualification(WorkerId(1), "blocked")
        refused = await ask(router, "ann", "again")
        assert refused["failure_reason"] == refusal_text(RefusalReason.NOT_QUALIFIED)
        last = [r.envelope.event for r in harness.log.read()][-1]
        assert isinstance(last, WorkerRefused)
        assert last.inputs == {"qualification": "blocked", "comparator": "DoesNotExist", "wanted": None, "has": 1}
        await harness.operator.force_shutdown()


class Listen(TaskRunner):
    """Reads all updates of the page."""

    heard: ClassVar[list[object]] = []

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        while (update := await agent.get_live_update()) is not None:
            Listen.heard.append(update.get("text"))


async def test_an_update_that_comes_twice_is_heard_once(tmp_path: Path) -> None:
    Listen.heard.clear()
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1), runner=Listen))
        router = harness.router(live_run)
        token = (await ask(router, "ann"))["agent_id"]
        for text, update_id in (("a", "1"), ("b", "2"), ("a", "1"), ("c", None), ("c", None), ("b", "2"), ("d", 7)):
            router.send_live_update(token, {"text": text, "update_id": update_id})
        await trio.testing.wait_all_tasks_blocked()
        assert router.unacknowledged == 0
        router.submit_task(token, {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert Listen.heard == ["a", "b", "c", "c", "d"]


async def test_an_update_that_comes_again_after_a_restart_is_heard_once(tmp_path: Path) -> None:
    Listen.heard.clear()
    MemoryArchitect.routers.clear()
    log = MemoryLog()
    async with open_harness(tmp_path, log) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1), runner=Listen))
        token = (await ask(harness.router(live_run), "ann"))["agent_id"]
        harness.router(live_run).send_live_update(token, {"text": "a", "update_id": "1"})
        await trio.testing.wait_all_tasks_blocked()
        assert Listen.heard == ["a"]
    Listen.heard.clear()
    async with open_harness(tmp_path, log) as harness:
        shared = HarnessTaskState(data=items(1), runner=Listen)
        router = harness.router(await harness.launch(shared, resume_incomplete_run=True))
        for text, update_id in (("a", "1"), ("b", "2")):
            router.send_live_update(token, {"text": text, "update_id": update_id})
        router.submit_task(token, {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert Listen.heard == ["a", "b"], "the first as it was recorded, and not as it came again"


@pytest.mark.parametrize("update", [[1], "text", 7, None, [{"text": "x"}]])
async def test_what_is_no_update_is_dropped_and_acknowledged(tmp_path: Path, update: object) -> None:
    Listen.heard.clear()
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(HarnessTaskState(data=items(1), runner=Listen)))
        token = (await ask(router, "ann"))["agent_id"]
        router.send_live_update(token, update)  # type: ignore[arg-type]  # what no page sends
        await trio.testing.wait_all_tasks_blocked()
        assert router.unacknowledged == 0
        router.submit_task(token, {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert Listen.heard == []


async def test_an_update_for_nobody_disturbs_nobody(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        router = harness.router(live_run)
        router.statuses["guessed"] = "in task"
        router.send_live_update("guessed", {"text": "who am I?", "update_id": "1"})
        await trio.testing.wait_all_tasks_blocked()
        assert router.unacknowledged == 0
        token = (await ask(router, "ann", 1))["agent_id"]
        router.submit_task(token, {})
        router.send_live_update(token, {"text": "one more thing", "update_id": "2"})
        router.submit_task((await ask(router, "ann", 2))["agent_id"], {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("unit") == {"completed": 2}
        assert live_run.client_io.dropped == {"unknown agent": 1}


class Hopeless(TaskRunner):
    """Task code of which every part raises."""

    def get_init_data_for_agent(self, agent: Agent) -> dict[str, object]:
        raise ZeroDivisionError("secret words of an exception")

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        raise ZeroDivisionError("secret words of an exception")

    async def cleanup_unit(self, unit: Unit) -> None:
        raise ZeroDivisionError("secret words of an exception")


async def test_task_code_none_of_which_works_does_not_end_the_run(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(HarnessTaskState(data=items(2), runner=Hopeless)))
        for visit in range(2):
            answer = await ask(router, "ann", visit)
            assert answer["failure_reason"] == refusal_text(RefusalReason.TECHNICAL_PROBLEM)
        assert harness.statuses("unit") == {"launched": 2}
        await harness.operator.shutdown()
        assert harness.statuses("task_run") == {"completed": 1}


async def test_who_may_not_do_more_keeps_what_it_has_when_the_page_is_loaded_again(tmp_path: Path) -> None:
    async with open_harness(tmp_path, blueprint={"block_qualification": "blocked"}) as harness:
        router = harness.router(await harness.launch(HarnessTaskState(data=items(2)), maximum_units_per_worker=1))
        first = await ask(router, "ann")
        await harness.operator.reviewer().grant_qualification(WorkerId(1), "blocked")
        assert (await ask(router, "ann"))["agent_id"] == first["agent_id"]
        await harness.operator.force_shutdown()
