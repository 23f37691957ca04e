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

#: Data of screening units, taken one at a time; `False`: the worker's first ordinary unit serves as the screening.
ScreeningData = Iterable[Update] | AsyncIterable[Update] | Literal[False]

_NOTHING: Iterable[Update] = repeat({})


@dataclass
class ScreenTaskRequiredArgs:
    """The settings of a screening."""

    use_screening_task: bool = field(default=False, metadata={"help": "Whether workers are screened in this run."})
    passed_qualification_name: str | None = field(
        default=None, metadata={"help": "Who has this qualification has passed the screening, in whichever run."}
    )
    max_screening_units: int | None = field(
        default=None,
        metadata={"help": "Screening units in the run at most; each is paid like any unit. 0: ordinary units serve."},
    )


@dataclass
class ScreenTaskSharedState(SharedTaskState):
    """What a script passes for a screening."""

    screening_data_factory: ScreeningData = _NOTHING


class Screening(NamedTuple):
    """How a run screens."""

    passed_qualification: str
    failed_qualification: str
    max_units: int
    #: Whether the first ordinary unit serves as the screening.
    on_ordinary_units: bool


class ScreenTaskRequired(EvaluatingBlueprint):
    """A blueprint that can screen workers: who fails gets the `block_qualification`."""

    shared_state: ScreenTaskSharedState

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """See whether a screening that is asked for can be held.

        Raises:
            ConfigError: a setting or callback is missing, or two contradict each other.
        """
        super().assert_task_args(args, shared_state)
        if not args.blueprint.use_screening_task:
            return
        wanted = ("passed_qualification_name", "block_qualification", "max_screening_units")
        require(args, "use_screening_task", *wanted)
        require_validation(shared_state, "use_screening_task")
        on_ordinary_units = isinstance(shared_state, ScreenTaskSharedState) and (
            shared_state.screening_data_factory is False
        )
        most = args.blueprint.max_screening_units
        if (most != 0) if on_ordinary_units else (most < 1):
            raise ConfigError(
                f"mephisto.blueprint.max_screening_units is {most}",
                key="mephisto.blueprint.max_screening_units",
                hint="It must be 0 if screening_data_factory is False, and 1 or more otherwise",
            )

    @property
    def screening(self) -> Screening | None:
        """How workers are screened; None: they are not."""
        settings = self.args.blueprint
        if not settings.use_screening_task:
            return None
        return Screening(
            settings.passed_qualification_name,
            settings.block_qualification,
            settings.max_screening_units,
            self.shared_state.screening_data_factory is False,
        )
