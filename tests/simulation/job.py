"""The jobs that are simulated: an architect and a blueprint that live in the simulation's own world."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import ClassVar

import trio
from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.core.abstractions.agent import (
    Agent,
    Assignment,
    InitializationData,
    OnboardingAgent,
    Unit,
    Update,
    Worker,
)
from mephisto_es.core.abstractions.args import ArchitectArgs, BlueprintArgs
from mephisto_es.core.abstractions.blueprint import AssignmentData, SharedTaskState
from mephisto_es.core.abstractions.channel import Channel, OnCatastrophicDisconnect, OnChannelOpen, OnMessage
from mephisto_es.core.abstractions.mixins import OnboardingRequired, OnboardingRequiredArgs
from mephisto_es.core.abstractions.resources import Details
from mephisto_es.core.abstractions.screen_task_required import (
    ScreenTaskRequired,
    ScreenTaskRequiredArgs,
    ScreenTaskSharedState,
)
from mephisto_es.core.abstractions.shared_task_state import OnboardingSharedState
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.abstractions.use_gold_unit import GoldUnitSharedState, UseGoldUnit, UseGoldUnitArgs
from mephisto_es.core.commands.labels import LabelPlan
from mephisto_es.core.operations.hydra_config import MephistoConfig
from mephisto_es.core.operations.registry import register_mephisto_abstraction
from mephisto_es.core.packets import Outbound

from .channel import UnreliableChannel
from .faults import MISSED_SECONDS, Router
from .quality import QualityPlan, gold_factory, judged, needs_gold
from .site import PROVIDER_TYPES
from .uploads import FileTransfers

#: Lines that each of a pair says.
LINES = 2
#: One call in so many of a callback raises.
CALLBACK_FAILS_ONE_IN = 8
QUALIFICATION = "was_onboarded"


class CallbackFailedError(Exception):
    """The launch script's own code is wrong."""


@dataclass(frozen=True)
class JobPlan:
    """The parameters of a job."""

    name: str
    assignments: int
    is_chat: bool
    has_onboarding: bool
    asks_callback: bool
    streams_data: bool
    allowed_concurrent: int
    maximum_units: int
    concurrent_units: int
    provider_type: str = "simulated"
    budget_cents: int | None = None
    fee_percent: int = 0
    #: None: every item gets the same number of answers, and no unit evaluates its worker.
    quality: QualityPlan | None = None

    @classmethod
    def drawn(cls, chance: Random, name: str) -> JobPlan:
        """A job by chance."""
        return cls(
            name=name,
            assignments=chance.randint(1, 3),
            is_chat=chance.random() < 0.5,
            has_onboarding=chance.random() < 0.5,
            asks_callback=chance.random() < 0.3,
            streams_data=chance.random() < 0.5,
            allowed_concurrent=chance.choice([0, 0, 1]),
            maximum_units=chance.choice([0, 0, 2]),
            concurrent_units=chance.choice([0, 0, 2, 3]),
        )

    def with_money(self, chance: Random) -> JobPlan:
        """Return the job with a way to pay, and perhaps a budget that is too small for it."""
        return replace(
            self,
            provider_type=chance.choice(PROVIDER_TYPES),
            budget_cents=chance.choice([None, 30, 60]),
            fee_percent=chance.choice([0, 33]),
        )

    def with_quality(self, chance: Random) -> JobPlan:
        """Return the job, a little smaller, with ways to find out who works well, and how many answers items get."""
        budget = None if self.budget_cents is None else 3 * self.budget_cents
        quality = QualityPlan.drawn(chance, is_chat=self.is_chat)
        return replace(self, quality=quality, assignments=min(self.assignments, 2), budget_cents=budget)

    @property
    def label_plan(self) -> LabelPlan | None:
        """The answers by which items get further units."""
        return None if self.quality is None else self.quality.label_plan

    @property
    def seats(self) -> int:
        """Units of an assignment at first."""
        if self.label_plan is not None:
            return self.label_plan.rule.least
        return 2 if self.is_chat else 1


@dataclass
class Environment:
    """The part of the world outside of the operator's process."""

    #: Looks at every packet that is sent to a router.
    check: Callable[[Outbound], None] = lambda _packet: None
    #: Set when the script is asked about a submission, and replaced then.
    submission: trio.Event = field(default_factory=trio.Event)
    #: The way of uploaded files; None: nobody uploads any.
    transfers: FileTransfers | None = None
    #: How many routers a run has.
    router_count: int = 1
    #: When routers miss a page that has left its socket.
    missed_seconds: float = MISSED_SECONDS
    #: True if routers report missed pages as soon as an operator is there.
    reports_soon: bool = False
    #: How long the script thinks about a submission.
    script_seconds: float = 0.5
    #: Seeded by the simulation.
    chance: Random = field(default_factory=Random)
    #: The routers of each run.
    routers: dict[int, list[Router]] = field(default_factory=dict)
    #: The channels of the process that lives now.
    channels: list[UnreliableChannel] = field(default_factory=list)
    #: How often the script was told of each unit.
    told: dict[int, int] = field(default_factory=dict)

    #: True if the disk was slow for longer than a run that is ended at once waits for code.
    has_slow_disk: bool = False

    @property
    def is_slow(self) -> bool:
        """True if the script may be asked so late that its answer is not waited for: files come first."""
        return self.has_slow_disk or self.transfers is not None

    @property
    def all_routers(self) -> list[Router]:
        """The routers of all runs."""
        return [router for routers in self.routers.values() for router in routers]

    def note_submission(self) -> None:
        """Note that the script is asked about a submission."""
        self.submission.set()
        self.submission = trio.Event()

    def maybe_fail(self) -> None:
        """Be the code of somebody who makes mistakes."""
        if self.chance.randrange(CALLBACK_FAILS_ONE_IN) == 0:
            raise CallbackFailedError("a mistake in a callback")


#: The environment of the simulation that runs now: a run is also ended where no launch script has passed anything.
ENVIRONMENT: ContextVar[Environment] = ContextVar("ENVIRONMENT")


@dataclass
class SimulatedArgs(OnboardingRequiredArgs, ScreenTaskRequiredArgs, UseGoldUnitArgs, BlueprintArgs):
    """Settings of the blueprint."""

    is_chat: bool = False


@dataclass
class SimulatedState(OnboardingSharedState, ScreenTaskSharedState, GoldUnitSharedState):
    """The script's part."""

    plan: JobPlan | None = None


class Solo(TaskRunner):
    """Waits for a submission, and says something first."""

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        await agent.observe({"text": f"unit {unit.unit_id}"})
        await agent.await_submit()

    async def run_onboarding(self, agent: OnboardingAgent) -> None:
        await say_and_hear(agent)


class Pair(TaskRunner):
    """Two who talk: whatever one says goes to the other."""

    is_concurrent = True

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        """Let somebody who is evaluated talk to nobody."""
        await self._pass_on(agent, [])
        await agent.observe({"task_data": {"task_done": True}})

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        async with trio.open_nursery() as nursery:
            for agent in agents:
                nursery.start_soon(self._pass_on, agent, [other for other in agents if other is not agent])
        for agent in agents:
            await agent.observe({"task_data": {"task_done": True}})

    async def _pass_on(self, agent: Agent, others: Sequence[Agent]) -> None:
        for _ in range(LINES):
            update = await agent.get_live_update()
            if update is not None:
                for other in others:
                    await other.observe({"text": update["text"]})

    async def run_onboarding(self, agent: OnboardingAgent) -> None:
        await say_and_hear(agent)


async def say_and_hear(agent: OnboardingAgent) -> None:
    """An onboarding over the socket: a question, an answer, thanks."""
    await agent.observe({"text": "ready?"})
    answer = await agent.get_live_update()
    if answer is not None:
        await agent.observe({"text": f"you said {answer['text']}"})
    await agent.await_submit()


@register_mephisto_abstraction()
class SimulatedBlueprint(OnboardingRequired, ScreenTaskRequired, UseGoldUnit):
    """Solo work or pair chats."""

    BLUEPRINT_TYPE: ClassVar[str] = "simulated"
    ArgsClass: ClassVar[type[BlueprintArgs]] = SimulatedArgs
    SharedStateClass: ClassVar[type[SharedTaskState]] = SimulatedState
    shared_state: SimulatedState

    def get_initialization_data(self) -> AssignmentData:
        plan = plan_of(self.shared_state)
        items = [item_of(plan, number) for number in range(plan.assignments)]
        return one_by_one(items) if plan.streams_data else items

    @property
    def label_plan(self) -> LabelPlan | None:
        # A run that is only ended gets nothing from its script.
        return None if self.shared_state.plan is None else self.shared_state.plan.label_plan

    def build_page(self, static_dir: Path) -> None:
        """There is no page."""

    def make_task_runner(self) -> TaskRunner:
        return (Pair if self.args.blueprint.is_chat else Solo)(self.args, self.shared_state)


def item_of(plan: JobPlan, number: int) -> InitializationData:
    """Return the data of an assignment."""
    return InitializationData(shared={"number": number}, unit_data=tuple({"seat": seat} for seat in range(plan.seats)))


async def one_by_one(items: Sequence[InitializationData]) -> AsyncIterator[InitializationData]:
    """Data that takes its time."""
    for item in items:
        await trio.sleep(3)
        yield item


@register_mephisto_abstraction()
class SimulatedArchitect(MemoryArchitect):
    """Runs a router that can die, behind a channel that can be cut."""

    ARCHITECT_TYPE: ClassVar[str] = "simulated"
    ArgsClass: ClassVar[type[ArchitectArgs]] = ArchitectArgs

    @property
    def _surroundings(self) -> Environment:
        return ENVIRONMENT.get()

    async def deploy(self) -> str:
        self._resource = await self.resources.intend("simulated_router", {})
        names = [f"router-{self.task_run}{'+' * number}" for number in range(self._surroundings.router_count)]
        for router in self._surroundings.routers.setdefault(self.task_run, [Router(name) for name in names]):
            router.missed_seconds = self._surroundings.missed_seconds
            router.reports_soon = self._surroundings.reports_soon
            router.deploy()
        await self.resources.acquired(self._resource, {})
        return self._url

    async def reattach(self, resource: int, details: Details) -> str | None:
        if not any(router.is_up for router in self._surroundings.routers.get(self.task_run, ())):
            return None
        self._resource = resource
        return self._url

    def get_channels(
        self,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
    ) -> list[Channel]:
        outside = self._surroundings
        callbacks = (on_channel_open, on_catastrophic_disconnect, on_message)
        channels = [
            UnreliableChannel(f"run-{self.task_run}-{number}", router, outside.chance, *callbacks, outside.check)
            for number, router in enumerate(outside.routers[self.task_run])
        ]
        outside.channels += channels
        return list(channels)

    async def download_file(self, filename: str, save_dir: Path) -> Path:
        outside = self._surroundings
        assert outside.transfers is not None
        return await outside.transfers.download(outside.routers[self.task_run], filename, save_dir)

    async def drop_file(self, filename: str) -> None:
        outside = self._surroundings
        assert outside.transfers is not None
        await outside.transfers.drop(outside.routers[self.task_run], filename)

    async def _stop_server(self) -> None:
        if self._resource is not None:
            for router in self._surroundings.routers.get(self.task_run, ()):
                router.close()


def shared_state(plan: JobPlan, environment: Environment) -> SimulatedState:
    """Return the script's shared state: callbacks that sometimes fail."""

    async def validate(data: Update) -> bool:
        await trio.sleep(1)
        environment.maybe_fail()
        outputs = data["outputs"]
        return bool(outputs["passes"])

    async def can_do(worker: Worker, unit: Unit) -> bool:
        await trio.sleep(0.5)
        return (worker.worker_id + unit.unit_id) % 3 != 0

    async def submitted(unit: Unit) -> bool | None:
        environment.note_submission()
        environment.told[unit.unit_id] = environment.told.get(unit.unit_id, 0) + 1
        await trio.sleep(environment.script_seconds)
        environment.maybe_fail()
        return judged(unit)

    state = SimulatedState(
        plan=plan,
        validate_onboarding=validate,
        worker_can_do_unit=can_do if plan.asks_callback else None,
        on_unit_submitted=submitted,
    )
    if plan.quality is not None:
        state.screening_data_factory = plan.quality.screening_data
        state.get_gold_for_worker = gold_factory(environment.maybe_fail)
        state.worker_needs_gold = needs_gold
    return state


def config(plan: JobPlan) -> DictConfig:
    """The job's configuration, which asks for the run to be taken up if there is one."""
    cfg: DictConfig = pickle.loads(_blank())
    cfg.provider._provider_type = plan.provider_type
    cfg.blueprint.is_chat = plan.is_chat
    cfg.task.budget = None if plan.budget_cents is None else f"{plan.budget_cents / 100:.2f}"
    cfg.task.provider_fee_percent = plan.fee_percent
    cfg.blueprint.onboarding_qualification = QUALIFICATION if plan.has_onboarding else None
    cfg.task.task_name = plan.name
    cfg.task.allowed_concurrent = plan.allowed_concurrent
    cfg.task.maximum_units_per_worker = plan.maximum_units
    cfg.task.max_num_concurrent_units = plan.concurrent_units
    if plan.quality is not None:
        plan.quality.configure(cfg, plan.name)
    return cfg


@cache
def _blank() -> bytes:
    """The configuration before the plan, pickled: it is copied for each simulation, and this is the fastest way."""
    cfg: DictConfig = OmegaConf.structured(MephistoConfig(blueprint=SimulatedArgs()))
    cfg.blueprint._blueprint_type = cfg.architect._architect_type = "simulated"
    task: dict[str, object] = {
        "task_title": "A simulation",
        "task_description": "Pretend.",
        "task_reward": "0.10",
        "bonus_limit": "0.10",
        "task_tags": "simulation",
        "assignment_duration_in_seconds": 300,
        "submission_timeout": 120,
        "resume_incomplete_run": True,
    }
    for key, value in task.items():
        cfg.task[key] = value
    return pickle.dumps(cfg)


def plan_of(state: SharedTaskState) -> JobPlan:
    """The plan that was passed to a blueprint."""
    assert isinstance(state, SimulatedState)
    assert state.plan is not None
    return state.plan
