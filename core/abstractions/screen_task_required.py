"""The screening mixin: a worker's first unit shows whether the worker can do the task."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Literal, NamedTuple

from omegaconf import DictConfig

from ..errors import ConfigError
from .agent import Update
from .mixins import EvaluatingBlueprint, require, require_validation
from .shared_task_state import SharedTaskState

#: Data of screening units, read one at a time; False if a worker's first ordinary unit serves as the screening.
ScreeningData = Iterable[Update] | AsyncIterable[Update] | Literal[False]

_NOTHING: Iterable[Update] = repeat({})


@dataclass
class ScreenTaskRequiredArgs:
    """Settings of a screening."""

    use_screening_task: bool = field(default=False, metadata={"help": "Screen workers in this run."})
    passed_qualification_name: str | None = field(
        default=None, metadata={"help": "Qualification of workers who have passed the screening, in any run."}
    )
    max_screening_units: int | None = field(
        default=None,
        metadata={
            "help": "Maximum number of screening units in the run, each paid like any unit; 0: ordinary units serve."
        },
    )


@dataclass
class ScreenTaskSharedState(SharedTaskState):
    """State for a task with a screening."""

    screening_data_factory: ScreeningData = _NOTHING


class Screening(NamedTuple):
    """Screening settings of a run."""

    passed_qualification: str
    failed_qualification: str
    max_units: int
    #: True if a worker's first ordinary unit serves as the screening.
    on_ordinary_units: bool


class ScreenTaskRequired(EvaluatingBlueprint):
    """Mixin for blueprints that can screen workers; those who fail get the `block_qualification`."""

    shared_state: ScreenTaskSharedState

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Check that a configured screening can be done.

        Raises:
            ConfigError: a setting or callback is missing, or two contradict each other.
        """
        super().assert_task_args(args, shared_state)
        if not args.blueprint.use_screening_task:
            return
        needed = ("passed_qualification_name", "block_qualification", "max_screening_units")
        require(args, "use_screening_task", *needed)
        require_validation(shared_state, "use_screening_task")
        on_ordinary_units = isinstance(shared_state, ScreenTaskSharedState) and (
            shared_state.screening_data_factory is False
        )
        maximum = args.blueprint.max_screening_units
        if (maximum != 0) if on_ordinary_units else (maximum < 1):
            raise ConfigError(
                f"mephisto.blueprint.max_screening_units is {maximum}",
                key="mephisto.blueprint.max_screening_units",
                hint="It must be 0 if screening_data_factory is False, and 1 or more otherwise",
            )

    @property
    def screening(self) -> Screening | None:
        """Screening settings; None if workers are not screened."""
        settings = self.args.blueprint
        if not settings.use_screening_task:
            return None
        return Screening(
            settings.passed_qualification_name,
            settings.block_qualification,
            settings.max_screening_units,
            self.shared_state.screening_data_factory is False,
        )
