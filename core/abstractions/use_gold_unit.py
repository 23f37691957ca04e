"""The gold mixin: units with known answers, mixed in between ordinary work, show whether a worker can be relied on."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from omegaconf import DictConfig

from ..errors import ConfigError
from .agent import Update
from .callbacks import called_with
from .mixins import EvaluatingBlueprint, require, require_validation
from .qualifications import QUAL_NOT_EXIST, make_qualification_dict
from .shared_task_state import SharedTaskState


class GoldWorker(NamedTuple):
    """The worker that a gold unit is for."""

    worker_id: int
    #: How many gold units the worker was given in this run before.
    golds_given: int
    #: A text that is the same whenever the run is gone through again, and another one for each run and worker.
    seed: str


#: `get_gold_for_worker(worker)`: the data of the worker's next gold unit; None: there is none for it.
GoldFactory = Callable[[GoldWorker], Update | Awaitable[Update | None] | None]


def get_gold_factory(golds: Sequence[Update]) -> Callable[[GoldWorker], Update]:
    """Give each worker the golds in a random order of its own, and again in another one when it has had all.

    Raises:
        ConfigError: there are none.
    """
    if not golds:
        raise ConfigError("there are no gold units", key="golds", hint="Pass at least one to get_gold_factory")

    def get_gold_for_worker(worker: GoldWorker) -> Update:
        round_number, place = divmod(worker.golds_given, len(golds))
        order = Random(f"{worker.seed}/{round_number}").sample(range(len(golds)), len(golds))
        return golds[order[place]]

    return get_gold_for_worker


def worker_needs_gold(units_completed: int, num_correct: int, num_incorrect: int, min_golds: int) -> bool:
    """Whether a worker's next unit should be a gold one: always up to `min_golds` right ones, then ever more seldom.

    Three more come with the first 100 ordinary units, ten with the first 1,000, and one for each wrong one.
    """
    return num_correct < min_golds + num_incorrect + math.isqrt(units_completed) // 3


def worker_qualifies(
    units_completed: int,  # noqa: ARG001 - a script's own rule may look at it
    num_correct: int,  # noqa: ARG001
    num_incorrect: int,
    max_incorrect_golds: int,
) -> bool:
    """Whether a worker may go on: as long as it had no more than `max_incorrect_golds` wrong."""
    return num_incorrect <= max_incorrect_golds


def _empty_gold(_worker: GoldWorker) -> Update:
    return {}


@dataclass
class UseGoldUnitArgs:
    """The settings of gold units."""

    use_golds: bool = field(default=False, metadata={"help": "Whether gold units are used in this run."})
    gold_qualification_base: str | None = field(
        default=None, metadata={"help": "The names of the qualifications that count a worker's units begin with this."}
    )
    max_gold_units: int | None = field(
        default=None, metadata={"help": "Gold units in the run at most; each is paid like any unit."}
    )
    min_golds: int = field(default=1, metadata={"help": "Gold units a worker has to get right before ordinary work."})
    max_incorrect_golds: int = field(
        default=0, metadata={"help": "Gold units a worker may get wrong; with one more it gets no work any more."}
    )


@dataclass
class GoldUnitSharedState(SharedTaskState):
    """What a script passes for gold units."""

    get_gold_for_worker: GoldFactory = field(default=_empty_gold, metadata=called_with("worker"))
    #: Asked before each unit; see the function of the same name for the arguments.
    worker_needs_gold: Callable[[int, int, int, int], bool | Awaitable[bool]] = field(
        default=worker_needs_gold,
        metadata=called_with("units_completed", "num_correct", "num_incorrect", "min_golds"),
    )
    worker_qualifies: Callable[[int, int, int, int], bool | Awaitable[bool]] = field(
        default=worker_qualifies,
        metadata=called_with("units_completed", "num_correct", "num_incorrect", "max_incorrect_golds"),
    )


class Golds(NamedTuple):
    """How a run uses gold units."""

    base: str
    max_units: int
    min_golds: int
    max_incorrect: int

    @property
    def completed_qualification(self) -> str:
        """Counts a worker's ordinary units."""
        return f"{self.base}-completed-count"

    @property
    def correct_qualification(self) -> str:
        """Counts the gold units that a worker got right."""
        return f"{self.base}-correct-golds"

    @property
    def wrong_qualification(self) -> str:
        """Counts the gold units that a worker got wrong."""
        return f"{self.base}-wrong-golds"

    @property
    def disqualified_qualification(self) -> str:
        """Who has it got too many wrong."""
        return f"{self.base}-disqualified"

    @property
    def qualifications(self) -> tuple[str, str, str, str]:
        """All of them, in this order."""
        return (
            self.completed_qualification,
            self.correct_qualification,
            self.wrong_qualification,
            self.disqualified_qualification,
        )


class UseGoldUnit(EvaluatingBlueprint):
    """A blueprint that can mix gold units into workers' ordinary work."""

    shared_state: GoldUnitSharedState

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """See whether gold units that are asked for can be made.

        Raises:
            ConfigError: a setting or callback is missing.
        """
        super().assert_task_args(args, shared_state)
        if not args.blueprint.use_golds:
            return
        require(args, "use_golds", "gold_qualification_base", "max_gold_units")
        require_validation(shared_state, "use_golds")
        for name in ("max_gold_units", "min_golds", "max_incorrect_golds"):
            if args.blueprint[name] < 0:
                key = f"mephisto.blueprint.{name}"
                raise ConfigError(f"{key} is {args.blueprint[name]}", key=key, hint="It must be 0 or more")

    @classmethod
    def get_required_qualifications(cls, args: DictConfig, shared_state: SharedTaskState) -> list[Mapping[str, object]]:
        """The rules that workers must satisfy whatever the script says: who got too many golds wrong is left out."""
        rules = super().get_required_qualifications(args, shared_state)
        if not args.blueprint.use_golds:
            return rules
        disqualified = _golds(args).disqualified_qualification
        return [*rules, make_qualification_dict(disqualified, QUAL_NOT_EXIST, None)]

    @property
    def golds(self) -> Golds | None:
        """How gold units are used; None: they are not."""
        return _golds(self.args) if self.args.blueprint.use_golds else None


def _golds(args: DictConfig) -> Golds:
    settings = args.blueprint
    return Golds(
        settings.gold_qualification_base,
        settings.max_gold_units,
        settings.min_golds,
        settings.max_incorrect_golds,
    )
