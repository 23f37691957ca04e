"""Runs a whole operator in memory, with a minimal log, router and blueprint."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import trio
import trio.testing
from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter, PageGoneError
from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import InitializationData, Update
from mephisto_es.core.abstractions.args import BlueprintArgs, CrowdProviderArgs
from mephisto_es.core.abstractions.blueprint import AssignmentData, SharedTaskState
from mephisto_es.core.abstractions.crowd.visits import VisitTerms
from mephisto_es.core.abstractions.crowd_provider import CrowdProvider
from mephisto_es.core.abstractions.mixins import OnboardingRequired, OnboardingRequiredArgs
from mephisto_es.core.abstractions.screen_task_required import (
    ScreenTaskRequired,
    ScreenTaskRequiredArgs,
    ScreenTaskSharedState,
)
from mephisto_es.core.abstractions.shared_task_state import OnboardingSharedState
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.abstractions.use_gold_unit import GoldUnitSharedState, UseGoldUnit, UseGoldUnitArgs
from mephisto_es.core.commands.labels import LabelPlan
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.operations.control.own_page_requests import MakeReceipt, OwnPageServices
from mephisto_es.core.operations.hydra_config import MephistoConfig
from mephisto_es.core.operations.operator import Operator
from mephisto_es.core.operations.registry import register_mephisto_abstraction
from mephisto_es.core.operations.run.live_task_run import LiveTaskRun
from mephisto_es.core.operations.services.consents import withdrawer_in_log
from mephisto_es.core.packet_data import ProviderData
from mephisto_es.core.ports import Ids, Offload, RunOwnership

from ...commands import CHECKED_DECISIONS

T = TypeVar("T")

register_mephisto_abstraction()(MemoryArchitect)


@dataclass
class HarnessArgs(OnboardingRequiredArgs, ScreenTaskRequiredArgs, UseGoldUnitArgs, BlueprintArgs):
    """Settings of the blueprint."""

    #: A file of items, one a line, in place of what the test passes.
    data_jsonl: str | None = None


@dataclass
class HarnessTaskState(OnboardingSharedState, ScreenTaskSharedState, GoldUnitSharedState):
    """State that a test passes to the blueprint."""

    data: AssignmentData = ()
    runner: type[TaskRunner] = TaskRunner
    label_plan: LabelPlan | None = None
    #: Functions of the blueprint and the provider, by name, in place of their own.
    plugins: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@register_mephisto_abstraction()
class HarnessBlueprint(OnboardingRequired, ScreenTaskRequired, UseGoldUnit):
    """A blueprint with the data and the task runner of the test."""

    BLUEPRINT_TYPE: ClassVar[str] = "harness"
    ArgsClass: ClassVar[type[BlueprintArgs]] = HarnessArgs
    SharedStateClass: ClassVar[type[SharedTaskState]] = HarnessTaskState
    shared_state: HarnessTaskState

    def get_initialization_data(self) -> AssignmentData:
        if (file := self.args.blueprint.data_jsonl) is not None:
            return [InitializationData(shared=json.loads(line)) for line in Path(file).read_text().splitlines()]
        return self.shared_state.data

    @property
    def label_plan(self) -> LabelPlan | None:
        return self.shared_state.label_plan

    def check_submission(self, answers: object) -> tuple[str, ...]:
        check = self.shared_state.plugins.get("check_submission", super().check_submission)
        return cast("tuple[str, ...]", check(answers))

    def build_page(self, static_dir: Path) -> None:
        (static_dir / "index.html").write_text("<p>A page</p>")

    def make_task_runner(self) -> TaskRunner:
        return self.shared_state.runner(self.args, self.shared_state)


@register_mephisto_abstraction()
class HarnessProvider(CrowdProvider):
    """A provider whose workers come by themselves."""

    PROVIDER_TYPE: ClassVar[str] = "harness"
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = CrowdProviderArgs

    @property
    def requester_name(self) -> str:
        return "harness_requester"

    def get_wrapper_js_path(self) -> Path:
        return Path(__file__)

    def worker_url(self, server_url: str) -> str:
        return server_url

    def visit_terms(self, page: ProviderData, now_seconds: float) -> VisitTerms:
        return cast("VisitTerms", self._plugin("visit_terms", super().visit_terms)(page, now_seconds))

    def completion_code(self, worker_name: str) -> str | None:
        return cast("str | None", self._plugin("completion_code", super().completion_code)(worker_name))

    def _plugin(self, name: str, own: Callable[..., object]) -> Callable[..., object]:
        shared = self.shared_state
        return shared.plugins.get(name, own) if isinstance(shared, HarnessTaskState) else own


class TrioClock:
    """A wall clock that follows trio's clock, which tests advance."""

    def now_us(self) -> int:
        return 1_700_000_000_000_000 + int(trio.current_time() * 1_000_000)


async def on_the_loop(call: Callable[[], T], /) -> T:
    """Call the log without a thread, because an autojump clock does not wait for threads."""
    await trio.lowlevel.checkpoint()
    return call()


@dataclass
class OperatorHarness:
    """An operator with its log."""

    operator: Operator
    log: MemoryLog
    #: The qualification of those who were onboarded; None: nobody has to be.
    onboarding: str | None = None
    #: What the blueprint is told in all runs.
    blueprint: Mapping[str, object] = field(default_factory=dict)

    async def launch(self, shared: HarnessTaskState, **settings: object) -> LiveTaskRun:
        cfg = config(**settings)
        cfg.blueprint.onboarding_qualification = self.onboarding
        for name, value in self.blueprint.items():
            cfg.blueprint[name] = value
        run = await self.operator.launch_task_run_or_die(cfg, shared)
        return self.operator.get_running_task_runs()[run]

    def router(self, live_run: LiveTaskRun) -> MemoryRouter:
        return MemoryArchitect.routers[live_run.task_run]

    def statuses(self, category: str) -> dict[str, int]:
        """Return the number of entities in each status, according to the state."""
        state = self.operator.ledger.state
        states = {
            "unit": [unit.status.value for unit in state.units.values()],
            "agent": [agent.status.value for agent in state.agents.values()],
            "task_run": [run.status.value for run in state.task_runs.values()],
        }
        return dict(Counter(states[category]))


@asynccontextmanager
async def open_harness(
    path: Path,
    log: MemoryLog | None = None,
    onboarding: str | None = None,
    blueprint: Mapping[str, object] | None = None,
    offload: Offload = on_the_loop,
    ids: Ids | None = None,
    ownership: RunOwnership | None = None,
    make_receipt: MakeReceipt | None = None,
) -> AsyncIterator[OperatorHarness]:
    log = log or MemoryLog()
    ledger = Ledger(log, TrioClock(), offload, CHECKED_DECISIONS)
    virtual = isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)
    with trio.fail_after(100_000 if virtual else 60):
        async with trio.open_nursery() as writer:
            await writer.start(ledger.run)
            ids = ids or SystemIds(ledger.state.highest_ids(), epoch=log.head().seq)
            own_pages = OwnPageServices(withdrawer_in_log(ledger, ids), make_receipt)
            async with trio.open_nursery() as nursery:
                operator = Operator(ledger, ids, TrioClock(), path, nursery, ownership=ownership, own_pages=own_pages)
                try:
                    yield OperatorHarness(operator, log, onboarding, blueprint or {})
                except BaseException:
                    # As in a crash: nothing more is recorded.
                    writer.cancel_scope.cancel()
                    raise
                # Before the writer, as `open_operator` does: what is being recorded still is.
                nursery.cancel_scope.cancel()
            writer.cancel_scope.cancel()


def config(**settings: object) -> DictConfig:
    """Return the `mephisto` section of a configuration, with some settings of the task."""
    # To build it, or to copy it node by node, would take a quarter of a short run.
    cfg: DictConfig = pickle.loads(_pickled_config())
    for key, value in settings.items():
        cfg.task[key] = value
    return cfg


@cache
def _pickled_config() -> bytes:
    cfg: DictConfig = OmegaConf.structured(MephistoConfig(blueprint=HarnessArgs()))
    cfg.blueprint._blueprint_type = "harness"
    cfg.provider._provider_type = "harness"
    cfg.architect._architect_type = "memory"
    cfg.task.task_title = "A harness"
    cfg.task.task_description = "Build it."
    cfg.task.task_reward = "0.10"
    cfg.task.task_tags = "harness"
    return pickle.dumps(cfg)


def items(count: int, workers: int = 1) -> list[InitializationData]:
    """Return the data of some assignments."""
    return [
        InitializationData(shared={"number": number}, unit_data=tuple({"seat": seat} for seat in range(workers)))
        for number in range(count)
    ]


def page_of(worker: str, visit: object = 0) -> Update:
    """Return the data that the provider's page sends for a worker."""
    return {
        "worker_name": worker,
        "agent_registration_id": f"{visit}-{worker}",
        "assignment_id": str(visit),
        "provider_type": "harness",
    }


async def ask(router: MemoryRouter, worker: str, visit: object = 0) -> dict[str, Any]:
    """Ask for an agent, as the page of a worker does."""
    return await router.request_agent(page_of(worker, visit))


async def work(router: MemoryRouter, worker: str, visits: int, seconds: float = 0.1) -> int:
    """Do units as long as there are any; returns their number."""
    for visit in range(visits):
        try:
            details = await ask(router, worker, visit)
        except PageGoneError:
            return visit
        if details["agent_id"] is None:
            return visit
        await trio.sleep(seconds)
        router.submit_task(details["agent_id"], {"answer": visit})
        await trio.sleep(seconds)
    return visits


async def until(harness: OperatorHarness, holds: Callable[[], bool]) -> None:
    """Wait until a condition holds, checked whenever events become durable."""
    news = trio.Event()
    stop = harness.operator.ledger.subscribe(lambda _: news.set())
    try:
        while not holds():
            news = trio.Event()
            await news.wait()
    finally:
        stop()
