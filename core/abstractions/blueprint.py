"""The interface of blueprints, which define a kind of task: its data, its pages, its code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

from omegaconf import DictConfig

from ..commands.labels import LabelPlan
from .agent import InitializationData, Update
from .args import BlueprintArgs
from .qualifications import QUAL_NOT_EXIST, make_qualification_dict
from .shared_task_state import SharedTaskState as SharedTaskState
from .task_runner import TaskRunner
from .work.tips import read_tips

#: Data of assignments: a list, a generator or an async generator, read one item at a time.
AssignmentData = Iterable[InitializationData] | AsyncIterable[InitializationData]


class PlannedUnits(NamedTuple):
    """The number of units that a run's data makes."""

    units: int
    #: Units of the assignment that has most of them.
    most_in_one: int
    #: Units at least, if items get further ones as they need them; None: just as many as there are.
    least: int | None = None


class Blueprint(ABC):
    """One kind of task, for one run.

    Attributes:
        BLUEPRINT_TYPE: the name that selects this blueprint in a configuration.
        ArgsClass: the dataclass of its settings.
        SharedStateClass: the dataclass of the callbacks and data that a launch script may pass.
        TaskRunnerClass: its server-side code.
    """

    BLUEPRINT_TYPE: ClassVar[str]
    ArgsClass: ClassVar[type[BlueprintArgs]] = BlueprintArgs
    SharedStateClass: ClassVar[type[SharedTaskState]] = SharedTaskState
    TaskRunnerClass: ClassVar[type[TaskRunner]]

    def __init__(self, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Keep the run's whole configuration, whose `args.blueprint` is the blueprint's part, and the shared state."""
        self.args = args
        self.shared_state = shared_state

    @classmethod
    def check_settings(cls, args: DictConfig) -> None:
        """Check the settings of a run, without its script, its data or its page.

        Args:
            args: the whole configuration.

        Raises:
            ConfigError: a setting is wrong.
        """

    @classmethod
    def assert_task_args(
        cls,
        args: DictConfig,
        shared_state: SharedTaskState,  # noqa: ARG003 - for blueprints whose rules depend on it
    ) -> None:
        """Check that a run with this configuration makes sense, before anything is created.

        Raises:
            ConfigError: a setting is wrong or a file is missing.
        """
        cls.check_settings(args)
        read_tips(args.blueprint.tips_location)

    @classmethod
    def get_required_qualifications(
        cls,
        args: DictConfig,
        shared_state: SharedTaskState,  # noqa: ARG003 - for blueprints whose rules depend on it
    ) -> list[Mapping[str, object]]:
        """Return the rules that workers must satisfy beside the script's own: by default, the `block_qualification`."""
        blocked = args.blueprint.block_qualification
        return [] if blocked is None else [make_qualification_dict(blocked, QUAL_NOT_EXIST, None)]

    @abstractmethod
    def get_initialization_data(self) -> AssignmentData:
        """Return the data of the run, one item per assignment."""

    def count_units(self) -> PlannedUnits | None:
        """Return the number of units that the data makes, for the quote; None if nobody knows it before the launch.

        Raises:
            ConfigError: the data cannot be read.
        """
        return None

    @property
    def label_plan(self) -> LabelPlan | None:
        """The answer by which items get further units until their label is sure enough; None if they get none."""
        return None

    @property
    def checks_submissions(self) -> bool:
        """True if `check_submission` looks at anything; otherwise nothing is decoded for it."""
        return type(self).check_submission is not Blueprint.check_submission

    def check_submission(self, answers: object) -> tuple[str, ...]:  # noqa: ARG002 - for blueprints that know a form
        """Return what is wrong with submitted work, for the record: a page cannot be trusted to have checked it.

        The work counts as submitted all the same; whoever reviews it sees the problems. Answers of more than 256 KiB
        are not checked, and that is their problem.

        Args:
            answers: what was submitted, decoded from JSON.

        Returns:
            Problems in a few words each, without anything that the worker wrote; none if all is well.
        """
        return ()

    @abstractmethod
    def build_page(self, static_dir: Path) -> None:
        """Add the page's files to the folder that the server serves from `/`.

        Raises:
            ConfigError: a file of the page is missing.
        """

    def get_frontend_args(self) -> Update:
        """Return the page's task config.

        Raises:
            ConfigError: the tips cannot be read.
        """
        task, tips = self.args.task, read_tips(self.args.blueprint.tips_location)
        return {
            "task_title": task.task_title,
            "task_description": task.task_description,
            **({"tips": tips} if tips else {}),
            **self.shared_state.task_config,
        }

    def make_task_runner(self) -> TaskRunner:
        """Return the server-side code of this run."""
        return self.TaskRunnerClass(self.args, self.shared_state)
