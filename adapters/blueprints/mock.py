"""Provides a task without content, for trying out everything around a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar

import trio
from omegaconf import DictConfig

from ...core.abstractions.agent import Agent, Assignment, InitializationData, Unit
from ...core.abstractions.args import BlueprintArgs
from ...core.abstractions.blueprint import AssignmentData, PlannedUnits
from ...core.abstractions.mixins import OnboardingRequired, OnboardingRequiredArgs
from ...core.abstractions.screen_task_required import ScreenTaskRequired, ScreenTaskRequiredArgs, ScreenTaskSharedState
from ...core.abstractions.shared_task_state import OnboardingSharedState, SharedTaskState
from ...core.abstractions.task_runner import TaskRunner
from ...core.abstractions.use_gold_unit import GoldUnitSharedState, UseGoldUnit, UseGoldUnitArgs
from ...core.errors import AgentTimeoutError, ConfigError
from ...core.operations.registry import register_mephisto_abstraction
from .page_files import CLIENT, put_folder

_PAGE = """<!doctype html>
<html lang="en">
  <head><meta charset="utf-8" /><title>Mock task</title><script src="/wrap_crowd_source.js"></script></head>
  <body><p>A mock task.</p></body>
</html>
"""


@dataclass
class MockBlueprintArgs(OnboardingRequiredArgs, ScreenTaskRequiredArgs, UseGoldUnitArgs, BlueprintArgs):
    """Settings of the mock blueprint."""

    num_assignments: int = field(default=1, metadata={"help": "Number of assignments."})
    units_per_assignment: int = field(default=1, metadata={"help": "Number of units in each assignment."})
    is_concurrent: bool = field(default=False, metadata={"help": "Whether the workers of an assignment work together."})
    use_onboarding: bool = field(
        default=False, metadata={"help": "Whether workers are onboarded, also without an onboarding_qualification."}
    )
    timeout_time: int = field(
        default=0, metadata={"help": "Seconds that the task code waits for a submission; 0 for no limit."}
    )
    task_source_review: str | None = field(
        default=None,
        metadata={"help": "The page in which the review desk shows work: a bundle for Mephisto's review app, or HTML."},
    )


@dataclass
class MockSharedState(OnboardingSharedState, ScreenTaskSharedState, GoldUnitSharedState):
    """The shared state of a mock task: that of all steps that workers may meet."""


class MockTaskRunner(TaskRunner):
    """Waits for submissions, and records its calls.

    Attributes:
        started: the units that were started, in order.
        finished: the units that were submitted.
        cleaned_up: the units that were not finished.
    """

    def __init__(self, args: DictConfig, shared_state: SharedTaskState) -> None:
        super().__init__(args, shared_state)
        self.is_concurrent = args.blueprint.is_concurrent
        self.started: list[Unit] = []
        self.finished: list[Unit] = []
        self.cleaned_up: list[Unit] = []

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        """Wait for the submission."""
        self.started.append(unit)
        await self._wait_for(agent)
        self.finished.append(unit)

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:  # noqa: ARG002
        """Wait for all submissions."""
        for agent in agents:
            self.started.append(agent.unit)
        for agent in agents:
            await self._wait_for(agent)
            self.finished.append(agent.unit)

    async def _wait_for(self, agent: Agent) -> None:
        """Wait for a submission, for a limited time if `timeout_time` says so.

        Raises:
            AgentLeftError: the agent left; or it did not submit in time.
        """
        seconds: int = self.args.blueprint.timeout_time
        if not await agent.await_submit(seconds or None):
            raise AgentTimeoutError(agent.agent_id)

    async def cleanup_unit(self, unit: Unit) -> None:
        """Record that the unit was not finished."""
        self.cleaned_up.append(unit)
        await trio.lowlevel.checkpoint()


@register_mephisto_abstraction()
class MockBlueprint(OnboardingRequired, ScreenTaskRequired, UseGoldUnit):
    """Provides a configured number of assignments, each with its number as data."""

    BLUEPRINT_TYPE: ClassVar[str] = "mock"
    ArgsClass: ClassVar[type[BlueprintArgs]] = MockBlueprintArgs
    TaskRunnerClass: ClassVar[type[TaskRunner]] = MockTaskRunner

    shared_state: MockSharedState

    def __init__(self, args: DictConfig, shared_state: SharedTaskState) -> None:
        if not isinstance(shared_state, MockSharedState):
            names = {known.name for known in fields(MockSharedState)} & {known.name for known in fields(shared_state)}
            passed = {name: getattr(shared_state, name) for name in names}
            shared_state = MockSharedState(**passed)
        super().__init__(args, shared_state)

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Check that the numbers are at least 1, and the settings of the steps before a task.

        Raises:
            ConfigError: one is not.
        """
        super().assert_task_args(args, shared_state)
        for name in ("num_assignments", "units_per_assignment"):
            if args.blueprint[name] < 1:
                key = f"mephisto.blueprint.{name}"
                raise ConfigError(f"{key} is {args.blueprint[name]}", key=key, hint="It must be 1 or more")

    @property
    def onboarding_qualification(self) -> str | None:
        """Name of the qualification that marks onboarded workers; `use_onboarding` alone gives it the task's name."""
        named = super().onboarding_qualification
        if named is None and self.args.blueprint.use_onboarding:
            return f"{self.args.task.task_name or self.BLUEPRINT_TYPE} onboarding"
        return named

    def get_initialization_data(self) -> AssignmentData:
        """Return `{"index": 0}`, `{"index": 1}` ..."""
        units: tuple[dict[str, object], ...] = ({},) * self.args.blueprint.units_per_assignment
        return [
            InitializationData(shared={"index": index}, unit_data=units)
            for index in range(self.args.blueprint.num_assignments)
        ]

    def count_units(self) -> PlannedUnits:
        """Return the number of units that the settings say."""
        units = self.args.blueprint.units_per_assignment
        return PlannedUnits(self.args.blueprint.num_assignments * units, units)

    def build_page(self, static_dir: Path) -> None:
        """Create a page with one sentence."""
        put_folder(CLIENT, static_dir)
        (static_dir / "index.html").write_text(_PAGE)
