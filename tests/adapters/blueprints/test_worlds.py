"""Chats written as worlds: onboarding, turns, what is saved, who leaves, and an operator that dies in between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trio

from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.blueprints.worlds.parlai_chat import ParlAIChatBlueprint, SharedParlAITaskState
from mephisto_es.adapters.blueprints.worlds.world_agents import Act
from mephisto_es.adapters.blueprints.worlds.world_classes import call_method
from mephisto_es.adapters.blueprints.worlds.world_module import load_world_module
from mephisto_es.adapters.blueprints.worlds.world_runner import ParlAIChatTaskRunner
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.errors import ConfigError, OutcomeUnknownError, UserCodeError
from mephisto_es.core.ports import AppendRequest, Outcome
from mephisto_es.events.task_run import CallbackFailed

from ...core.operations.operator_harness import OperatorHarness, ask, config, open_harness, until
from .settings import run_config

WORLDS = """
import threading

from mephisto_es import MephistoAgentWrapper
from world_words import COORDINATOR

MADE = []


class ChatWorld:
    def __init__(self, opt, agents, data):
        MADE.append(threading.current_thread().name)
        self.opt, self.agents, self.turns = opt, agents, 0
        assert all(isinstance(agent, MephistoAgentWrapper) for agent in agents)
        for number, agent in enumerate(agents, start=1):
            agent.agent_id = f"Speaker {number}"
            agent.observe({"id": COORDINATOR, "text": f"Talk about {data.shared.get('topic', 'anything')}."})

    def parley(self):
        self.turns += 1
        for agent in self.agents:
            act = agent.act(timeout=self.opt.get("turn_seconds"))
            act.force_set("turn", self.turns)
            assert not act["episode_done"]
            assert act.pop("turn") == self.turns
            for other in self.agents:
                if other is not agent:
                    other.observe(act)

    def episode_done(self):
        return self.turns >= self.opt.get("turns", 2)

    def shutdown(self):
        for agent in self.agents:
            agent.shutdown(timeout=None)
        self.opt.setdefault("shut_down", []).append(self.turns)

    def prep_save_data(self, agents):
        return {"speakers": [agent.agent_id for agent in agents], "turns": self.turns}


class TrialWorld:
    def __init__(self, opt, agent):
        self.word, self.agent, self.is_done = opt["word"], agent, False

    def parley(self):
        self.agent.observe({"id": COORDINATOR, "text": f"Say {self.word}."})
        self.is_done = self.agent.act()["text"] == self.word

    def episode_done(self):
        return self.is_done

    def shutdown(self):
        pass


def make_world(opt, agents, initialization_data):
    return ChatWorld(opt, agents, initialization_data)


def make_onboarding_world(opt, agent):
    return TrialWorld(opt, agent)


def validate_onboarding(data):
    return data is not None


def get_world_params():
    return {"agent_count": 2}
"""


class Crash(BaseException):
    """The process has died."""


class MortalLog(MemoryLog):
    """A log whose process dies after a given event."""

    dies_at: int | None = None

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        outcomes = super().commit(batch)
        if self.dies_at is not None and self.head().seq >= self.dies_at:
            self.dies_at = None
            raise Crash
        return outcomes


@pytest.fixture
def worlds(tmp_path: Path) -> Path:
    """Write the worlds; each test has modules of its own."""
    words = "COORDINATOR = 'Coordinator'\n"
    (tmp_path / "world_words.py").write_text(words)
    (tmp_path / "worlds.py").write_text(WORLDS)
    (tmp_path / "topics.csv").write_text("topic\nferries\n")
    return tmp_path / "worlds.py"


async def launch(harness: OperatorHarness, worlds: Path, state: SharedParlAITaskState, **settings: object) -> None:
    cfg = config(resume_incomplete_run=True)
    cfg.blueprint = ParlAIChatBlueprint.ArgsClass
    values = {"world_file": str(worlds), "context_csv": str(worlds.with_name("topics.csv")), **settings}
    cfg.blueprint._blueprint_type = "parlai_chat"
    for name, value in values.items():
        cfg.blueprint[name] = value
    await harness.operator.launch_task_run_or_die(cfg, state)


class ChatPage:
    """A worker's page in a chat."""

    def __init__(self, router: MemoryRouter, name: str) -> None:
        self.router = router
        self.name = name
        self.heard: list[str] = []
        self.told: list[str] = []
        self.saved: Any = None
        self.said = 0
        self._seen: set[str] = set()

    async def take_part(self, words: Sequence[str]) -> None:
        """Say something in each turn, and submit when the world is at its end."""
        details = await ask(self.router, self.name)
        while (token := details["agent_id"]).startswith("onboarding"):
            await self._talk(token, ["no", "please"], until="waiting")
            details = await self.router.submit_onboarding(token, {})
        self.said = 0
        await self._talk(token, words, until="task_done")
        self.router.submit_task(token, {"rating": 5})

    async def _talk(self, token: str, words: Sequence[str], until: str) -> None:
        socket = self.router.connect(token)
        while True:
            packet = await socket.receive()
            if packet["packet_type"] == "update_status":
                self.told.append(packet["data"]["status"])
                if until == self.told[-1] == "waiting":
                    return
            elif packet["packet_type"] == "client_bound_live_update" and packet["data"]["update_id"] not in self._seen:
                self._seen.add(packet["data"]["update_id"])
                if self._take(token, packet["data"], words):
                    return

    def _take(self, token: str, update: dict[str, Any], words: Sequence[str]) -> bool:
        if update.get("text"):
            self.heard.append(f"{update['id']}: {update['text']}")
        news = update.get("task_data", {})
        if news.get("live_update_requested") and self.said < len(words):
            said = {"text": words[self.said], "id": self.name, "update_id": f"{token}-{self.said}"}
            self.router.send_live_update(token, said)
            self.said += 1
        self.saved = update.get("WORLD_DATA")
        return bool(news.get("task_done"))


def state(**opt: object) -> SharedParlAITaskState:
    return SharedParlAITaskState(world_opt=dict(opt), onboarding_world_opt={"word": "please"})


def router_of(harness: OperatorHarness) -> MemoryRouter:
    [live_run] = harness.operator.get_running_task_runs().values()
    return harness.router(live_run)


async def test_a_chat_from_onboarding_to_data(tmp_path: Path, worlds: Path) -> None:
    shared = state()
    async with open_harness(tmp_path / "runs") as harness:
        await launch(harness, worlds, shared, onboarding_qualification="polite")
        pages = [ChatPage(router_of(harness), name) for name in ("ann", "bob")]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pages[0].take_part, ["hello", "bye"])
            nursery.start_soon(pages[1].take_part, ["good day", "see you"])
        await harness.operator.wait_for_runs_then_shutdown()
        assert harness.statuses("unit") == {"completed": 2}
        first, second = sorted(pages, key=lambda page: page.saved["speakers"])
        assert first.saved == {"speakers": ["Speaker 1"], "turns": 2}
        asked = ["Coordinator: Say please."] * 2 + ["Coordinator: Talk about ferries."]
        said = ["good day", "see you"] if first.name == "ann" else ["hello", "bye"]
        assert first.heard == [*asked, *(f"Speaker 2: {words}" for words in said)]
        assert second.told[:2] == ["onboarding", "waiting"]
        assert shared.world_opt["shut_down"] == [2]


async def test_a_worker_who_does_not_write_in_time_loses_the_work(tmp_path: Path, worlds: Path) -> None:
    async with open_harness(tmp_path / "runs") as harness:
        await launch(harness, worlds, state(turn_seconds=0.05), max_repeats=0)
        router = router_of(harness)
        ann, bob = ChatPage(router, "ann"), ChatPage(router, "bob")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ann.take_part, [])
            nursery.start_soon(bob.take_part, [])
            await until(harness, lambda: harness.statuses("agent") == {"timeout": 1, "partner disconnect": 1})
            nursery.cancel_scope.cancel()
        assert harness.statuses("agent") == {"timeout": 1, "partner disconnect": 1}
        await harness.operator.force_shutdown()


@pytest.mark.parametrize("event", [4, 8, 12, 17])
async def test_a_world_survives_an_operator_that_dies(tmp_path: Path, worlds: Path, event: int) -> None:
    log = MortalLog()
    pages: list[ChatPage] = []
    async with trio.open_nursery() as crowd:
        try:
            async with open_harness(tmp_path / "runs", log) as harness:
                await launch(harness, worlds, state(turns=3))
                pages += [ChatPage(router_of(harness), name) for name in ("ann", "bob")]
                crowd.start_soon(pages[0].take_part, ["one", "two", "three"])
                crowd.start_soon(pages[1].take_part, ["uno", "due", "tre"])
                log.dies_at = log.head().seq + event
                await trio.sleep_forever()
        except* (Crash, OutcomeUnknownError):
            pass  # whoever waited for the ledger learns of it too
        async with open_harness(tmp_path / "runs", log) as harness:
            await launch(harness, worlds, state(turns=3))
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
            assert harness.statuses("unit") == {"completed": 2}
    first, second = sorted(pages, key=lambda page: page.saved["speakers"])
    words = {"ann": ["one", "two", "three"], "bob": ["uno", "due", "tre"]}
    assert first.heard == ["Coordinator: Talk about ferries.", *(f"Speaker 2: {one}" for one in words[second.name])]
    assert second.heard == ["Coordinator: Talk about ferries.", *(f"Speaker 1: {one}" for one in words[first.name])]


async def test_a_reload_shows_what_was_said_also_during_the_onboarding(tmp_path: Path, worlds: Path) -> None:
    async with open_harness(tmp_path / "runs") as harness:
        await launch(harness, worlds, state(), onboarding_qualification="polite")
        router = router_of(harness)
        token = (await ask(router, "ann"))["agent_id"]
        socket = router.connect(token)
        while (await socket.receive())["data"].get("task_data") != {"live_update_requested": True}:
            pass
        router.send_live_update(token, {"text": "no", "id": "ann", "update_id": "1"})
        while (await socket.receive())["data"].get("task_data") != {"live_update_requested": True}:
            pass
        past = (await ask(router, "ann"))["init_task_data"]["past_live_updates"]
        texts = [(one.get("id"), one.get("text")) for one in past if "text" in one]
        assert texts == [("Coordinator", "Say please."), ("ann", "no"), ("Coordinator", "Say please.")]
        await harness.operator.force_shutdown()


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        (None, {}, "there is no file"),
        ("raise ValueError('oh')", {}, "cannot be imported: ValueError: oh"),
        ("", {}, "has no function get_world_params"),
        ("def get_world_params(): return {}", {}, "returns no agent_count"),
        ("def get_world_params(): return {'agent_count': 2}", {}, "has no function make_world"),
        (WORLDS, {}, "comes from nowhere"),
        (WORLDS, {"num_conversations": 0}, "num_conversations is 0"),
        (WORLDS, {"num_conversations": 1, "task_description_file": "nowhere.html"}, "nowhere.html cannot be read"),
        (WORLDS, {"num_conversations": 1, "custom_source_bundle": "nowhere.js"}, "there is no page at nowhere.js"),
    ],
)
def test_a_task_that_cannot_work_is_refused(
    tmp_path: Path, text: str | None, settings: dict[str, object], said: str
) -> None:
    (tmp_path / "world_words.py").write_text("COORDINATOR = 'C'\n")
    if text is not None:
        (tmp_path / "worlds.py").write_text(text)
    cfg = run_config(ParlAIChatBlueprint, world_file=str(tmp_path / "worlds.py"), **settings)
    with pytest.raises(ConfigError, match=said):
        ParlAIChatBlueprint.assert_task_args(cfg, SharedParlAITaskState())


def test_the_runner_has_mephisto_s_name(worlds: Path) -> None:
    settings = run_config(ParlAIChatBlueprint, world_file=str(worlds), num_conversations=1)
    blueprint = ParlAIChatBlueprint(settings, SharedParlAITaskState())
    assert isinstance(blueprint.make_task_runner(), ParlAIChatTaskRunner)


@pytest.mark.parametrize(
    ("module", "hint"),
    [("parlai.core.worlds", "Worlds need no ParlAI here"), ("no_such_package", "Install what lost_worlds.py imports")],
)
def test_an_import_that_a_world_file_does_not_find_is_explained(tmp_path: Path, module: str, hint: str) -> None:
    (tmp_path / "lost_worlds.py").write_text(f"import {module}\n")
    settings = run_config(ParlAIChatBlueprint, world_file=str(tmp_path / "lost_worlds.py"), num_conversations=1)
    with pytest.raises(ConfigError, match=f"lost_worlds.py cannot be imported: No module named.*{hint}"):
        ParlAIChatBlueprint.assert_task_args(settings, SharedParlAITaskState())


def test_a_message_has_what_worlds_for_parlai_expect_and_nothing_else() -> None:
    act = Act({"text": "hello"})
    assert act["episode_done"] is False
    assert act == {"text": "hello"}
    with pytest.raises(KeyError, match="turn"):
        act["turn"]


def edited_worlds(file: Path, old: str, new: str) -> ModuleType:
    """Import the worlds after a change to their text."""
    assert old in WORLDS
    file.write_text(WORLDS.replace(old, new, 1))
    return load_world_module(str(file))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("def parley", "async def parley", r"ChatWorld\.parley in .*worlds\.py is async.*remove await"),
        ("def episode_done", "async def episode_done", r"ChatWorld\.episode_done in .* is async"),
        ("def shutdown", "async def shutdown", r"ChatWorld\.shutdown in .* is async"),
        ("def prep_save_data", "async def prep_save_data", r"ChatWorld\.prep_save_data in .* is async"),
        ("def make_world", "async def make_world", "make_world in .* is async"),
        ("def make_onboarding_world", "async def make_onboarding_world", "make_onboarding_world in .* is async"),
        ("def validate_onboarding", "async def validate_onboarding", "validate_onboarding in .* is async"),
        ("def episode_done", "def is_done", "ChatWorld in .* has no method episode_done.*a base class of ParlAI"),
        ("def parley", "def turn", "ChatWorld in .* has no method parley"),
    ],
)
def test_a_world_that_cannot_run_is_refused(worlds: Path, old: str, new: str, said: str) -> None:
    edited_worlds(worlds, old, new)
    cfg = run_config(ParlAIChatBlueprint, world_file=str(worlds), num_conversations=1)
    with pytest.raises(ConfigError, match=said):
        ParlAIChatBlueprint.assert_task_args(cfg, SharedParlAITaskState())


def test_a_world_may_leave_out_its_clean_up_and_a_base_class_needs_no_method(worlds: Path) -> None:
    worlds.write_text(
        "class Base:\n    def episode_done(self): return True\n"
        "class Chat(Base):\n    def parley(self): ...\n"
        "def make_world(opt, agents): return Chat()\n"
        "def get_world_params(): return {'agent_count': 1}\n"
    )
    cfg = run_config(ParlAIChatBlueprint, world_file=str(worlds), num_conversations=1)
    ParlAIChatBlueprint.assert_task_args(cfg, SharedParlAITaskState())
    world = load_world_module(str(worlds)).make_world({}, [])
    assert call_method(world, "shutdown") is None
    with pytest.raises(UserCodeError, match=r"called object\.episode_done, which is missing\. Define episode_done"):
        call_method(object(), "episode_done")


async def test_a_parley_that_returns_a_coroutine_fails_and_completes_nothing(tmp_path: Path, worlds: Path) -> None:
    edited_worlds(
        worlds, "    def parley(self):\n", "    def parley(self): return self.turn()\n\n    async def turn(self):\n"
    )
    async with open_harness(tmp_path / "runs") as harness:
        await launch(harness, worlds, state(), max_repeats=0)
        router = router_of(harness)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ChatPage(router, "ann").take_part, [])
            nursery.start_soon(ChatPage(router, "bob").take_part, [])
            await until(harness, lambda: bool(callback_failures(harness)))
            nursery.cancel_scope.cancel()
        [failed] = callback_failures(harness)[:1]
        assert failed.function == "run_assignment"
        assert failed.error.startswith("called ChatWorld.parley, which is async. Each world runs in a thread")
        assert "completed" not in harness.statuses("unit")
        await harness.operator.force_shutdown()


def callback_failures(harness: OperatorHarness) -> list[CallbackFailed]:
    events = [recorded.envelope.event for recorded in harness.log.read()]
    return [event for event in events if isinstance(event, CallbackFailed)]
