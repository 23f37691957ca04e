"""An operator that dies at any event and is restarted: nothing is lost or done twice, and the end is the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Agent, Assignment, InitializationData, Unit, Update
from mephisto_es.core.abstractions.resources import Details
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.errors import CommandRefusedError, LaunchError, OutcomeUnknownError
from mephisto_es.core.ports import AppendRequest, Outcome
from mephisto_es.core.state.entity_states import EntityStates
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.resource import ResourceReleased
from mephisto_es.events.task_run import TaskRunWentLive

from .operator_harness import HarnessTaskState, OperatorHarness, ask, config, items, open_harness, until

PAIRS = 2
SAID = 2


class Crash(BaseException):
    """The process has died."""


class MortalLog(MemoryLog):
    """A log whose process dies at a given event, before or after the write."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_at: int | None = None
        self.dies_before = False

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        last = self.head().seq + sum(len(request.events) for request in batch)
        dies = self.dies_at is not None and last >= self.dies_at
        if dies:
            self.dies_at = None
            if self.dies_before:
                raise Crash
        outcomes = super().commit(batch)
        if dies:
            raise Crash
        return outcomes


class Relay(TaskRunner):
    """A chat: each message is forwarded to the others."""

    is_concurrent = True

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        async with trio.open_nursery() as nursery:
            for agent in agents:
                nursery.start_soon(self._pass_on, agent, [other for other in agents if other is not agent])
        for agent in agents:
            await agent.observe({"task_data": {"task_done": True}})

    async def _pass_on(self, agent: Agent, others: Sequence[Agent]) -> None:
        for _ in range(SAID):
            update = await agent.get_live_update()
            assert update is not None
            for other in others:
                await other.observe({"text": update["text"]})


async def chat(router: MemoryRouter, worker: str, heard: dict[str, list[str]]) -> None:
    """Act as a worker's page: send its lines, wait for the partner's, submit."""
    details = await ask(router, worker)
    token = details["agent_id"]
    page = router.connect(token)
    seen: set[str] = set()
    said = done = False
    while not done:
        packet = await page.receive()
        if packet["packet_type"] == "update_status" and packet["data"]["status"] == "in task" and not said:
            said = True
            for line in range(SAID):
                update = {"text": f"{worker}: {line}", "update_id": f"{worker}-{line}"}
                router.send_live_update(token, update)
        elif packet["packet_type"] == "client_bound_live_update" and packet["data"]["update_id"] not in seen:
            seen.add(packet["data"]["update_id"])
            done = "task_data" in packet["data"]
            if not done:
                heard.setdefault(worker, []).append(packet["data"]["text"])
    router.submit_task(token, {"heard": heard[worker]})


async def run_through(
    harness: OperatorHarness, shared: HarnessTaskState, when_live: Callable[[MemoryRouter], Awaitable[None]]
) -> None:
    """Launch or resume the run, and wait for its end."""
    live_run = await harness.launch(shared, resume_incomplete_run=True)
    await when_live(harness.router(live_run))
    await harness.operator.wait_for_runs_then_shutdown(log_rate=None)


async def job(
    open_one: Callable[[], AbstractAsyncContextManager[OperatorHarness]],
    shared: Callable[[], HarnessTaskState],
    page: Callable[[MemoryRouter, str], Awaitable[None]],
    workers: Sequence[str],
) -> None:
    """Run the whole job, with a second operator if the first dies; the workers' pages stay open."""
    async with trio.open_nursery() as crowd:
        begun = False

        async def come(router: MemoryRouter) -> None:
            nonlocal begun
            if not begun:
                begun = True
                for worker in workers:
                    crowd.start_soon(page, router, worker)

        for _ in range(2):
            try:
                async with open_one() as harness:
                    await run_through(harness, shared(), come)
                break
            except BaseExceptionGroup as group:
                _, rest = group.split(lambda error: isinstance(error, Crash | OutcomeUnknownError | trio.Cancelled))
                if rest is not None:
                    raise
        crowd.cancel_scope.deadline = trio.current_time() + 1


async def chat_job(path: Path, log: MortalLog) -> dict[str, list[str]]:
    """Run chats in pairs; returns the messages that each worker got."""
    heard: dict[str, list[str]] = {}
    await job(
        lambda: open_harness(path, log),
        lambda: HarnessTaskState(data=items(PAIRS, workers=2), runner=Relay),
        lambda router, worker: chat(router, worker, heard),
        [f"worker-{number}" for number in range(2 * PAIRS)],
    )
    return heard


def end_of(log: MemoryLog) -> tuple[Counter[str], Counter[str], int]:
    """Summarize a log: units and agents by status, submissions."""
    world = EntityStates()
    kinds: Counter[str] = Counter()
    for recorded in log.read():
        world.apply(recorded.envelope)
        kinds[type(recorded.envelope.event).__name__] += 1
    units = Counter(unit.status.value for unit in world.units.values())
    agents = Counter(agent.status.value for agent in world.agents.values())
    return units, agents, kinds["AgentSubmitted"]


def deaths(undisturbed: MemoryLog) -> Iterator[tuple[str, MortalLog]]:
    """Return two logs per event of a live run, with their names: the process dies before or after the write."""
    live = next(r.seq for r in undisturbed.read() if isinstance(r.envelope.event, TaskRunWentLive))
    for seq in range(live, undisturbed.head().seq):
        for before in (True, False):
            MemoryArchitect.routers.clear()
            log = MortalLog()
            log.dies_at, log.dies_before = seq, before
            yield f"{seq} {'before' if before else 'after'}", log


async def test_an_operator_that_dies_at_any_event_loses_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    undisturbed = MortalLog()
    wanted = await chat_job(tmp_path / "undisturbed", undisturbed)
    assert end_of(undisturbed) == (Counter(completed=2 * PAIRS), Counter(completed=2 * PAIRS), 2 * PAIRS)
    for death, log in deaths(undisturbed):
        heard = await chat_job(tmp_path / death, log)
        assert end_of(log) == end_of(undisturbed), death
        # Who sits with whom is for chance to say; that each hears all of its partner, in order, is not.
        assert sorted(map(tuple, heard.values())) == sorted(map(tuple, wanted.values())), death


async def passes(_: Update) -> bool:
    return True


async def be_onboarded(router: MemoryRouter, worker: str) -> None:
    """Act as a worker's page: pass the onboarding, wait for the unit, submit."""
    onboarding = (await ask(router, worker))["agent_id"]
    details = await router.submit_onboarding(onboarding, {"success": True})
    router.submit_task(details["agent_id"], {})


async def onboarding_job(path: Path, log: MortalLog) -> None:
    """Run a job with an onboarding for two workers, and a unit for each."""
    await job(
        lambda: open_harness(path, log, "onboarded"),
        lambda: HarnessTaskState(data=items(2), onboarding_data={}, validate_onboarding=passes),
        be_onboarded,
        ["ann", "bob"],
    )


async def test_who_waits_for_what_follows_an_onboarding_hears_of_it_whenever_the_operator_dies(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    undisturbed = MortalLog()
    await onboarding_job(tmp_path / "undisturbed", undisturbed)
    assert end_of(undisturbed) == (Counter(completed=2), Counter(completed=2), 2)
    for death, log in deaths(undisturbed):
        await onboarding_job(tmp_path / death, log)
        assert end_of(log) == end_of(undisturbed), death


class Forgetful(TaskRunner):
    """Task code that sends other updates each time it is started."""

    started = 0

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        Forgetful.started += 1
        await agent.observe({"text": f"this is start {Forgetful.started}"})
        await agent.await_submit()


async def test_task_code_that_takes_another_path_is_stopped_with_both_named(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    Forgetful.started = 0
    MemoryArchitect.routers.clear()
    log = MortalLog()
    with trio.move_on_after(50):
        async with open_harness(tmp_path, log) as harness:
            live_run = await harness.launch(HarnessTaskState(data=items(1), runner=Forgetful))
            await ask(harness.router(live_run), "ann")
            await trio.sleep_forever()
    async with open_harness(tmp_path, log) as harness:
        shared = HarnessTaskState(data=items(1), runner=Forgetful)
        await harness.launch(shared, resume_incomplete_run=True)
        await until(harness, lambda: harness.statuses("unit") == {"launched": 1})
        await harness.operator.shutdown()
    said = capsys.readouterr().err
    assert "this is start 1" in said
    assert "this is start 2" in said


async def test_a_run_goes_on_only_with_the_data_it_began_with(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    MemoryArchitect.routers.clear()
    log = MortalLog()
    with trio.move_on_after(50):
        async with open_harness(tmp_path, log) as harness:
            await harness.launch(HarnessTaskState(data=endless()))
            await trio.sleep_forever()
    async with open_harness(tmp_path, log) as harness:
        await harness.launch(HarnessTaskState(data=[*items(1), *items(1)]), resume_incomplete_run=True)
        with pytest.raises(LaunchError, match="item 2 has changed since"):
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)


async def test_where_the_server_was_is_known_though_the_last_recovery_died_before_it_had_another(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    MemoryArchitect.routers.clear()
    log, shared = MortalLog(), HarnessTaskState(data=endless())
    with trio.move_on_after(50):
        async with open_harness(tmp_path, log) as harness:
            await harness.launch(shared)
            await trio.sleep_forever()
    MemoryArchitect.routers.clear()  # the router has died as well
    log.dies_at = log.head().seq + 2  # the run is recovering, and its server released
    with pytest.raises(BaseExceptionGroup):
        async with open_harness(tmp_path, log) as harness:
            await harness.launch(shared, resume_incomplete_run=True)
    assert [type(recorded.envelope.event) for recorded in log.read()][-1] is ResourceReleased
    told: list[Details] = []
    monkeypatch.setattr(MemoryArchitect, "return_to", lambda _, details: told.append(details))
    async with open_harness(tmp_path, log) as harness:
        await harness.launch(shared, resume_incomplete_run=True)
        assert told == [{}]
        await harness.operator.force_shutdown()


async def endless() -> AsyncIterator[InitializationData]:
    """Yield two items, then wait forever."""
    for item in items(2):
        yield item
    await trio.sleep_forever()


async def test_a_worker_comes_back_to_its_agent_and_its_deadline(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    MemoryArchitect.routers.clear()
    log = MortalLog()
    first = None
    with trio.move_on_after(50):
        async with open_harness(tmp_path, log) as harness:
            live_run = await harness.launch(HarnessTaskState(data=items(1)), assignment_duration_in_seconds=100)
            first = await ask(harness.router(live_run), "ann")
            await trio.sleep_forever()
    async with open_harness(tmp_path, log) as harness:
        settings = {"assignment_duration_in_seconds": 100, "resume_incomplete_run": True}
        live_run = await harness.launch(HarnessTaskState(data=items(1)), **settings)
        again = await ask(harness.router(live_run), "ann")
        assert first is not None
        assert again["agent_id"] == first["agent_id"]
        await trio.sleep(40)
        assert harness.statuses("unit") == {"assigned": 1}
        await trio.sleep(20)
        assert harness.statuses("unit") == {"launched": 1}
        await harness.operator.force_shutdown()


async def test_a_new_run_is_launched_where_there_is_none_to_take_up(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        run = await harness.operator.launch_task_run_or_die(
            config(resume_incomplete_run=True), HarnessTaskState(data=items(1))
        )
        assert run == "1"
        await harness.operator.force_shutdown()


async def test_a_run_that_its_script_gave_something_needs_that_script(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    MemoryArchitect.routers.clear()
    log = MortalLog()
    shared = HarnessTaskState(data=items(1))
    with trio.move_on_after(50):
        async with open_harness(tmp_path, log) as harness:
            await harness.launch(shared)
            await trio.sleep_forever()
    async with open_harness(tmp_path, log) as harness:
        with pytest.raises(
            CommandRefusedError, match=r"needs what its launch script passed \(data\): start its launch script again"
        ):
            await harness.operator.launch_from_incomplete_run(TaskRunId(1))
        await harness.operator.launch_from_incomplete_run(TaskRunId(1), shared)
        await harness.operator.force_shutdown()
