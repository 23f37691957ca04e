"""Provides a task without content, for trying out everything around a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import trio
from omegaconf import DictConfig

from ...core.abstractions.agent import Agent, Assignment, InitializationData, Unit
from ...core.abstractions.args import BlueprintArgs
from ...core.abstractions.blueprint import AssignmentData, Blueprint, PlannedUnits, SharedTaskState
from ...core.abstractions.task_runner import TaskRunner
from ...core.errors import ConfigError
from ...core.operations.registry import register_mephisto_abstraction
from .page_files import CLIENT, put_folder

_PAGE = """<!doctype html>
<html lang="en">
  <head><meta charset="utf-8" /><title>Mock task</title><script src="/wrap_crowd_source.js"></script></head>
  <body><p>A mock task.</p></body>
</html>
"""


@dataclass
class MockBlueprintArgs(BlueprintArgs):
    """Settings of the mock blueprint."""

    num_assignments: int = field(default=1, metadata={"help": "Number of assignments."})
    units_per_assignment: int = field(default=1, metadata={"help": "Number of units in each assignment."})
    is_concurrent: bool = field(default=False, metadata={"help": "Whether the workers of an assignment work together."})


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
        await agent.await_submit()
        self.finished.append(unit)

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:  # noqa: ARG002
        """Wait for all submissions."""
        for agent in agents:
            self.started.append(agent.unit)
        for agent in agents:
            await agent.await_submit()
            self.finished.append(agent.unit)

    async def cleanup_unit(self, unit: Unit) -> None:
        """Record that the unit was not finished."""
        self.cleaned_up.append(unit)
        await trio.lowlevel.checkpoint()


@register_mephisto_abstraction()
class MockBlueprint(Blueprint):
    """Provides a configured number of assignments, each with its number as data."""

    BLUEPRINT_TYPE: ClassVar[str] = "mock"
    ArgsClass: ClassVar[type[BlueprintArgs]] = MockBlueprintArgs
    TaskRunnerClass: ClassVar[type[TaskRunner]] = MockTaskRunner

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:  # noqa: ARG003
        """Check that the numbers are at least 1.

        Raises:
            ConfigError: one is not.
        """
        for name in ("num_assignments", "units_per_assignment"):
            if args.blueprint[name] < 1:
                key = f"mephisto.blueprint.{name}"
                raise ConfigError(f"{key} is {args.blueprint[name]}", key=key, hint="It must be 1 or more")

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
