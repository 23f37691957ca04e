"""Several operators on one log: what one decides holds for all, and each run has one operator at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import trio

from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.composition.clock_and_ids import BlockIds
from mephisto_es.adapters.log.commit_thread import commit_in_thread
from mephisto_es.core.command_issuer import CommandIssuer
from mephisto_es.core.commands.agent import EndAgent
from mephisto_es.core.commands.task_run import CreateRun, RecordRunEvent
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.errors import CommandRefusedError, WriterFencedError, leaves
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.task_run import TaskRunStatus
from mephisto_es.core.operations.control.requests import ExtendRequest
from mephisto_es.core.operations.control.run_extension import RunExtension
from mephisto_es.core.signal import Signal
from mephisto_es.events.agent import AgentReturned
from mephisto_es.events.engagement import RefusalReason
from mephisto_es.events.ids import RequesterId, TaskId, TaskRunId
from mephisto_es.events.task_run import (
    TaskRunCreated,
    TaskRunDraining,
    TaskRunFailed,
    TaskRunPaused,
    TaskRunRecovering,
    TaskRunStopping,
)
from mephisto_es.projections.queries.history.event_text import describe

from ...shared_log import SharedLog, SharedOwnership, Store
from .operator_harness import (
    HarnessTaskState,
    OperatorHarness,
    ask,
    config,
    items,
    open_harness,
    until,
)

EPOCHS = count(1)
#: Longer than any test: whoever is told to wait so long is woken.
LONG_SECONDS = 3600.0


@asynccontextmanager
async def operator(store: Store, name: str, folder: Path) -> AsyncIterator[OperatorHarness]:
    """An operator on a shared log."""
    log = SharedLog(store)
    ids = BlockIds({}, next(EPOCHS), store.reserve)
    ownership = SharedOwnership(log, name)
    async with open_harness(folder / name, log, offload=commit_in_thread, ids=ids, ownership=ownership) as harness:
        yield harness


@asynccontextmanager
async def two_operators(
    folder: Path, store: Store | None = None
) -> AsyncIterator[tuple[OperatorHarness, OperatorHarness]]:
    store = store or Store()
    async with operator(store, "ada", folder) as ada, operator(store, "bob", folder) as bob:
        yield ada, bob


@contextmanager
def stopped_because_fenced() -> Iterator[None]:
    """Expect an operator that ends because another one has taken over, and nothing else."""
    with pytest.raises(BaseExceptionGroup) as stopped:
        yield
    assert {type(error) for error in leaves(stopped.value)} == {WriterFencedError}


async def test_runs_of_two_operators_share_their_workers_and_have_ids_of_their_own(tmp_path: Path) -> None:
    async with two_operators(tmp_path) as (ada, bob):
        first = await ada.launch(HarnessTaskState(data=items(2)), task_name="one")
        second = await bob.launch(HarnessTaskState(data=items(2)), task_name="two")
        assert first.task_run != second.task_run
        one, two = await ask(ada.router(first), "Grace"), await ask(bob.router(second), "Grace")
        assert (one["worker_id"], one["agent_id"] != two["agent_id"]) == (two["worker_id"], True)
        await ada.operator.ledger.refresh()
        assert len(ada.operator.ledger.state.agents) == 2
        assert len(ada.operator.ledger.state.workers) == 1


async def test_who_is_blocked_at_one_operator_is_refused_by_the_other(tmp_path: Path) -> None:
    async with two_operators(tmp_path) as (ada, bob):
        await ada.launch(HarnessTaskState(data=items(2)), task_name="one")
        second = await bob.launch(HarnessTaskState(data=items(2)), task_name="two")
        grace = await ask(bob.router(second), "Grace")
        (agent,) = bob.operator.ledger.state.agents.values()
        await ada.operator.ledger.refresh()
        await ada.operator.reviewer().block_worker(agent.worker, "spam")
        refused = await ask(bob.router(second), "Grace", 2)
        assert (refused["agent_id"], refused["failure_reason"]) == (None, refusal_text(RefusalReason.NOT_QUALIFIED))
        assert grace["agent_id"] is not None


async def test_a_verdict_of_a_guest_reaches_the_run(tmp_path: Path) -> None:
    async with two_operators(tmp_path) as (ada, bob):
        run = await bob.launch(HarnessTaskState(data=items(2)), task_name="two")
        page = await ask(bob.router(run), "Grace")
        bob.router(run).submit_task(page["agent_id"], {"answer": 1})
        await until(bob, lambda: bob.statuses("agent") == {"completed": 1})
        await ada.operator.ledger.refresh()
        (agent,) = ada.operator.ledger.state.agents.values()
        await ada.operator.reviewer().approve_work(agent.agent)
        bob.operator.ledger.read_news()
        await until(bob, lambda: bob.statuses("agent") == {AgentStatus.APPROVED.value: 1})


async def test_the_page_of_an_agent_is_told_what_a_guest_did_to_it(tmp_path: Path) -> None:
    async with two_operators(tmp_path) as (ada, bob):
        run = await bob.launch(HarnessTaskState(data=items(2)), task_name="two")
        page = await ask(bob.router(run), "Grace")
        socket = bob.router(run).connect(page["agent_id"])
        await ada.operator.ledger.refresh()
        (agent,) = ada.operator.ledger.state.agents.values()
        departure = AgentReturned(reason="asked to")
        guest = CommandIssuer(ada.operator.ledger, BlockIds({}, next(EPOCHS), lambda *_: 99))
        await guest.issue(EndAgent(task_run=run.task_run, agent=agent.agent, departure=departure, concurrent=False))
        bob.operator.ledger.read_news()
        while AgentStatus.RETURNED.value not in str(await socket.receive()):
            pass
        assert bob.statuses("unit") == {"launched": 2}


async def test_a_maximum_over_the_runs_of_a_task_holds_across_operators(tmp_path: Path) -> None:
    settings = {"task_name": "one", "maximum_units_per_worker": 1, "maximum_units_scope": "task"}
    async with two_operators(tmp_path) as (ada, bob):
        first = await ada.launch(HarnessTaskState(data=items(2)), **settings)
        second = await bob.launch(HarnessTaskState(data=items(2)), resume_incomplete_run=False, **settings)
        got: list[object] = []

        async def come(harness: OperatorHarness, run: object) -> None:
            got.append((await ask(harness.router(run), "Grace"))["agent_id"])  # type: ignore[arg-type]  # a live run

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come, ada, first)
            nursery.start_soon(come, bob, second)
        assert sum(agent is not None for agent in got) == 1
        locked = [turn for turn in (*ada.log.turns, *bob.log.turns) if len(turn[0]) == 2]  # type: ignore[attr-defined]  # a shared log
        assert ["directory", f"run/{first.task_run}"] in [turn[0] for turn in locked]


async def test_a_run_that_another_operator_drives_is_not_resumed(tmp_path: Path) -> None:
    async with two_operators(tmp_path) as (ada, bob):
        run = await ada.launch(HarnessTaskState(data=items(2)), task_name="one")
        with pytest.raises(CommandRefusedError, match=r"driven by another operator, ada.*standby"):
            await bob.launch(HarnessTaskState(data=items(2)), task_name="one", resume_incomplete_run=True)
        assert ada.operator.run_status(run.task_run) is TaskRunStatus.LIVE


async def test_a_standby_takes_over_from_a_dead_operator_which_writes_nothing_more(tmp_path: Path) -> None:
    store = Store()
    async with operator(store, "bob", tmp_path) as bob:
        with stopped_because_fenced():
            async with operator(store, "ada", tmp_path) as ada, trio.open_nursery() as nursery:
                run = await ada.launch(HarnessTaskState(data=items(2)), task_name="one")
                page = await ask(ada.router(run), "Grace")
                router = ada.router(run)
                settings = config(task_name="one", standby=True)
                taken = trio.Event()

                async def stand_by() -> None:
                    await bob.operator.launch_task_run_or_die(settings, HarnessTaskState(data=items(2)))
                    taken.set()

                nursery.start_soon(stand_by)
                await store.refused.wait()
                await store.refused.wait()
                assert not taken.is_set()
                store.dead.add("ada")
                await taken.wait()
                written = store.log.head().seq
                assert (store.owners, list(store.members)) == ({f"run/{run.task_run}": "bob"}, ["bob"])
                # The worker's page continues with the same agent.
                bob.router(run).submit_task(page["agent_id"], {"answer": 1})
                await until(bob, lambda: bob.statuses("agent") == {"completed": 1})
                assert router is not None
                assert written < store.log.head().seq
                await ada.operator.reviewer().block_worker(bob.operator.ledger.state.agents.popitem()[1].worker, "x")


async def test_a_standby_has_nothing_to_do_when_the_run_was_ended(tmp_path: Path) -> None:
    store = Store(LONG_SECONDS)
    async with two_operators(tmp_path, store) as (ada, bob):
        run = await ada.launch(HarnessTaskState(data=items(1)), task_name="one")
        settings, outcome = config(task_name="one", standby=True), list[str]()

        async def stand_by() -> None:
            outcome.append(await bob.operator.launch_task_run_or_die(settings, HarnessTaskState(data=items(1))))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stand_by)
            await store.refused.wait()
            await ada.operator.end_run(TaskRunId(run.task_run), "enough", "user/ada")
        assert outcome == [str(run.task_run)]
        assert bob.operator.get_running_task_runs() == {}


async def test_a_standby_that_is_asked_to_end_waits_no_longer(tmp_path: Path) -> None:
    store = Store()
    async with two_operators(tmp_path, store) as (ada, bob), trio.open_nursery() as nursery:
        await ada.launch(HarnessTaskState(data=items(1)), task_name="one")
        settings = config(task_name="one", standby=True)

        async def end_when_blocked() -> None:
            await store.refused.wait()
            bob.operator.runs.pause_all("the process was asked to end")

        nursery.start_soon(end_when_blocked)
        with pytest.raises(CommandRefusedError, match="no longer waiting for run 1, which ada drives"):
            await bob.operator.launch_task_run_or_die(settings, HarnessTaskState(data=items(1)))


async def test_of_two_standbys_that_start_at_the_same_time_one_launches_and_the_other_waits(tmp_path: Path) -> None:
    store = Store(LONG_SECONDS)
    async with two_operators(tmp_path, store) as (ada, bob), trio.open_nursery() as nursery:
        settings, outcomes, launched = config(task_name="one", standby=True), dict[str, str](), Signal()

        async def start(name: str, harness: OperatorHarness) -> None:
            outcomes[name] = await harness.operator.launch_task_run_or_die(settings, HarnessTaskState(data=items(1)))
            launched.notify()

        one, refused = launched.next_event(), store.refused.next_event()
        nursery.start_soon(start, "ada", ada)
        nursery.start_soon(start, "bob", bob)
        await refused.wait()
        await one.wait()
        (first,) = outcomes
        driving, waiting = (ada, bob) if first == "ada" else (bob, ada)
        await waiting.operator.ledger.refresh()
        (run,) = waiting.operator.ledger.state.task_runs.values()
        assert store.owners == {f"run/{run.task_run}": first}
        both = launched.next_event()
        await driving.operator.pause("the machine is needed")
        await both.wait()
        assert outcomes == {"ada": str(run.task_run), "bob": str(run.task_run)}
        assert list(waiting.operator.get_running_task_runs()) == [str(run.task_run)]


async def begin_launch(harness: OperatorHarness, store: Store) -> CommandIssuer:
    """Have an operator, ada, begin to launch run 500; returns what issues its commands."""
    created = TaskRunCreated(
        task_run=TaskRunId(500),
        task=TaskId(500),
        requester=RequesterId(500),
        blueprint_type="harness",
        architect_type="memory",
        provider_type="harness",
        config="{}",
    )
    ada = CommandIssuer(harness.operator.ledger, BlockIds({}, next(EPOCHS), lambda *_: 99))
    store.owners["run/500"] = "ada"
    await ada.issue(CreateRun(created=created, task_name="one", requester_name="lab"))
    return ada


async def test_a_standby_launches_a_new_run_if_the_first_operator_died_at_the_launch(tmp_path: Path) -> None:
    store = Store()
    async with operator(store, "bob", tmp_path) as bob:
        store.dead.add("ada")
        await begin_launch(bob, store)
        run = await bob.launch(HarnessTaskState(data=items(1)), task_name="one", standby=True)
        assert bob.operator.run_status(TaskRunId(500)) is TaskRunStatus.FAILED
        assert store.owners == {f"run/{run.task_run}": "bob"}


async def test_a_standby_waits_for_the_run_that_another_one_launched_after_a_launch_came_to_nothing(
    tmp_path: Path,
) -> None:
    """It waited for the first launch, and took the second for one that it had known before."""
    store = Store()
    async with (
        operator(store, "bob", tmp_path) as bob,
        operator(store, "eve", tmp_path) as eve,
        trio.open_nursery() as nursery,
    ):
        store.join("ada")
        ada = await begin_launch(bob, store)
        settings, state = config(task_name="one", standby=True), HarnessTaskState(data=items(1))
        nursery.start_soon(bob.operator.launch_task_run_or_die, settings, state)
        await store.refused.wait()
        await ada.issue(RecordRunEvent(task_run=TaskRunId(500), event=TaskRunFailed(step="launch", reason="ada died")))
        run = await eve.launch(HarnessTaskState(data=items(1)), task_name="one", resume_incomplete_run=False)
        store.dead.add("ada")
        while "run/500" in store.owners:
            await store.refused.wait()
        await bob.operator.ledger.refresh()
        assert list(bob.operator.ledger.state.runs_of("one")) == [TaskRunId(500), run.task_run]
        assert store.owners == {f"run/{run.task_run}": "eve"}
        nursery.cancel_scope.cancel()


async def test_a_run_is_paused_from_another_machine_once_nobody_is_at_work(tmp_path: Path) -> None:
    store = Store(LONG_SECONDS)
    async with two_operators(tmp_path, store) as (ada, bob), trio.open_nursery() as nursery:
        run = await ada.launch(HarnessTaskState(data=items(2)), task_name="one")
        page = await ask(ada.router(run), "Grace")
        paused = trio.Event()

        async def pause() -> None:
            await bob.operator.ledger.refresh()
            await bob.operator.pause_run(run.task_run, "the night", "user/bob", drain=True)
            paused.set()

        for task in (pause, partial(follow, ada), partial(follow, bob)):
            nursery.start_soon(task)
        await until(ada, lambda: ada.operator.ledger.state.task_runs[f"task_run/{run.task_run}"].draining is not None)
        refused = await ask(ada.router(run), "Ida")
        assert (refused["agent_id"], paused.is_set()) == (None, False)
        ada.router(run).submit_task(page["agent_id"], {"answer": 1})
        await paused.wait()
        assert ada.operator.run_status(run.task_run) is TaskRunStatus.PAUSED
        assert (ada.operator.get_running_task_runs(), store.owners) == ({}, {})
        last = ada.log.history(f"task_run/{run.task_run}")[-2:]
        assert [(one.envelope.actor, type(one.envelope.event)) for one in last] == [
            ("user/bob", TaskRunDraining),
            ("user/bob", TaskRunPaused),
        ]
        nursery.cancel_scope.cancel()


async def test_a_run_is_paused_now_from_another_machine(tmp_path: Path) -> None:
    store = Store(LONG_SECONDS)
    async with two_operators(tmp_path, store) as (ada, bob), trio.open_nursery() as nursery:
        run = await ada.launch(HarnessTaskState(data=items(2)), task_name="one")
        await ask(ada.router(run), "Grace")
        nursery.start_soon(follow, ada)
        await bob.operator.ledger.refresh()
        await bob.operator.pause_run(run.task_run, "the night", "user/bob")
        assert ada.operator.get_running_task_runs() == {}
        assert ada.operator.run_status(run.task_run) is TaskRunStatus.PAUSED
        assert ada.statuses("agent") == {AgentStatus.IN_TASK.value: 1}
        nursery.cancel_scope.cancel()


async def test_a_run_is_ended_from_another_machine(tmp_path: Path) -> None:
    store = Store(LONG_SECONDS)
    async with two_operators(tmp_path, store) as (ada, bob), trio.open_nursery() as nursery:
        run = await ada.launch(HarnessTaskState(data=items(2)), task_name="one")
        await until(ada, lambda: ada.statuses("unit") == {"launched": 2})
        nursery.start_soon(follow, ada)
        await bob.operator.ledger.refresh()
        await bob.operator.end_run(run.task_run, "enough", "user/bob")
        assert ada.operator.run_status(run.task_run) is TaskRunStatus.COMPLETED
        assert ada.statuses("unit") == {"expired": 2}
        nursery.cancel_scope.cancel()


async def test_a_run_that_nobody_drives_is_ended_once_however_many_ask_for_it(tmp_path: Path) -> None:
    store = Store(LONG_SECONDS)
    async with two_operators(tmp_path, store) as (ada, bob):
        run = await ada.launch(HarnessTaskState(data=items(2)), task_name="one")
        await ada.operator.pause("lunch")
        await bob.operator.ledger.refresh()
        async with trio.open_nursery() as nursery:
            for author in ("user/ada", "user/bob"):
                nursery.start_soon(bob.operator.end_run, run.task_run, "enough", author)
        assert bob.operator.run_status(run.task_run) is TaskRunStatus.COMPLETED
        events = [recorded.envelope.event for recorded in store.log.read()]
        assert sum(isinstance(event, TaskRunRecovering) for event in events) == 1


async def send_late(harness: OperatorHarness, router: MemoryRouter, token: str) -> None:
    """Submit once the work was taken away."""
    await until(harness, lambda: router.statuses[token] == AgentStatus.EXPIRED.value)
    router.submit_task(token, {"answer": 1})


async def test_a_run_is_ended_at_once_from_another_machine(tmp_path: Path) -> None:
    store = Store(LONG_SECONDS)
    async with two_operators(tmp_path, store) as (ada, bob), trio.open_nursery() as nursery:
        run = await ada.launch(HarnessTaskState(data=items(2)), task_name="one")
        token = (await ask(ada.router(run), "Grace"))["agent_id"]
        for harness in (ada, bob):
            nursery.start_soon(follow, harness)
        await bob.operator.ledger.refresh()
        nursery.start_soon(bob.operator.end_run, run.task_run, "enough", "user/bob")
        state = ada.operator.ledger.state.task_runs
        await until(ada, lambda: state[f"task_run/{run.task_run}"].status is TaskRunStatus.STOPPING)
        assert ada.statuses("agent") == {AgentStatus.IN_TASK.value: 1}
        nursery.start_soon(send_late, ada, ada.router(run), token)
        await bob.operator.end_run(run.task_run, "too slow", "user/bob", at_once=True)
        assert state[f"task_run/{run.task_run}"].status is TaskRunStatus.COMPLETED
        assert ada.statuses("agent") == {AgentStatus.EXPIRED.value: 1}
        events = [one.envelope.event for one in ada.log.history(f"task_run/{run.task_run}")]
        stops = [event for event in events if isinstance(event, TaskRunStopping)]
        assert stops == [TaskRunStopping(reason="enough"), TaskRunStopping(reason="too slow", at_once=True)]
        assert [describe(event) for event in stops] == [
            "no longer gives out work: enough",
            "no longer gives out work: too slow; the people at work lose theirs",
        ]
        second = await ada.launch(HarnessTaskState(data=items(2)), task_name="two")
        token = (await ask(ada.router(second), "Grace"))["agent_id"]
        await bob.operator.ledger.refresh()
        nursery.start_soon(send_late, ada, ada.router(second), token)
        await bob.operator.end_run(second.task_run, "enough", "user/bob", at_once=True)
        assert ada.operator.run_status(second.task_run) is TaskRunStatus.COMPLETED
        assert ada.statuses("agent") == {AgentStatus.EXPIRED.value: 2}
        nursery.cancel_scope.cancel()


async def test_whoever_asks_an_operator_that_is_gone_is_told(tmp_path: Path) -> None:
    store = Store()
    async with two_operators(tmp_path, store) as (ada, bob):
        run = await ada.launch(HarnessTaskState(data=items(2)), task_name="one")
        await ask(ada.router(run), "Grace")
        await bob.operator.ledger.refresh()
        async with trio.open_nursery() as nursery:

            async def pause() -> None:
                with pytest.raises(CommandRefusedError, match=r"its operator ada is not heard of any more\. Resume"):
                    await bob.operator.pause_run(run.task_run, "the night", "user/bob", drain=True)

            nursery.start_soon(pause)
            await until(
                bob, lambda: bob.operator.ledger.state.task_runs[f"task_run/{run.task_run}"].draining == "the night"
            )
            store.dead.add("ada")
        with pytest.raises(CommandRefusedError, match="run 1 is not running"):
            await bob.operator.pause_run(run.task_run, "the night", "user/bob")


async def test_a_live_run_is_extended_from_another_machine(tmp_path: Path) -> None:
    async with two_operators(tmp_path) as (ada, bob):
        run = await ada.launch(HarnessTaskState(data=items(1)), task_name="one")
        await bob.operator.ledger.refresh()
        extension = RunExtension(bob.operator.ledger, BlockIds({}, next(EPOCHS), lambda *_: 99), "user/bob")
        more = ExtendRequest(task_run=run.task_run, reason="more", items=(*items(2),))
        await extension.extend(more, command_id="more")
        ada.operator.ledger.read_news()
        await until(ada, lambda: ada.statuses("unit") == {"launched": 3})


async def test_the_code_of_a_run_is_asked_again_from_another_machine(tmp_path: Path) -> None:
    asked, is_broken = 0, True

    def judge(_unit: object) -> None:
        nonlocal asked
        asked += 1
        if is_broken:
            raise RuntimeError("no network")

    async with two_operators(tmp_path) as (ada, bob), trio.open_nursery() as nursery:
        shared = HarnessTaskState(data=items(4), on_unit_submitted=judge)
        run = await ada.launch(shared, task_name="one")
        nursery.start_soon(follow, ada)
        router, state = ada.router(run), ada.operator.ledger.state.task_runs
        for number, name in enumerate(("Grace", "Ada", "Alan"), start=1):
            router.submit_task((await ask(router, name))["agent_id"], {"answer": 1})
            await until(ada, lambda at=number: asked == at)  # type: ignore[misc]
        await until(ada, lambda: state[f"task_run/{run.task_run}"].admission_paused_by is not None)
        is_broken = False
        await bob.operator.ledger.refresh()
        assert await bob.operator.retry_run(run.task_run, "repaired", "user/bob") is True
        await until(ada, lambda: asked == 6)
        assert (await ask(router, "Mary"))["agent_id"] is not None
        assert await bob.operator.retry_run(run.task_run, "again", "user/bob") is False
        nursery.cancel_scope.cancel()


async def follow(harness: OperatorHarness) -> None:
    """Read what others write, as the notices of a server have an operator do."""
    while True:
        await harness.operator.ledger.refresh()
        await trio.sleep(0.01)
