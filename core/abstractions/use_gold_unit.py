"""The gold mixin: units with known answers, mixed into ordinary work, show whether a worker is reliable."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from omegaconf import DictConfig

from ...events.ids import WorkerId
from ..errors import ConfigError
from .agent import Update, Worker
from .callbacks import called_with, quick
from .mixins import EvaluatingBlueprint, require, require_validation
from .qualifications import QUAL_NOT_EXIST, make_qualification_dict
from .shared_task_state import SharedTaskState
from .work.handles import WorkReader


class GoldWorker(Worker):
    """The worker who is to get a gold unit.

    Attributes:
        golds_given: number of gold units that the worker got in this run before.
        seed: a text that differs between runs and workers, but is the same when the run is resumed or replayed.
    """

    def __init__(self, worker_id: int, golds_given: int, seed: str, reader: WorkReader | None = None) -> None:
        super().__init__(WorkerId(worker_id), reader)
        self.golds_given = golds_given
        self.seed = seed


#: `get_gold_for_worker(worker)` returns the data of the worker's next gold unit; None if there is none.
GoldFactory = Callable[[GoldWorker], Update | Awaitable[Update | None] | None]


def get_gold_factory(golds: Sequence[Update]) -> Callable[[GoldWorker], Update]:
    """Return a `get_gold_for_worker` that gives each worker all golds in random order, and then again in another.

    Raises:
        ConfigError: `golds` is empty.
    """
    if not golds:
        raise ConfigError("there are no gold units", key="golds", hint="Pass at least one to get_gold_factory")

    @quick
    def get_gold_for_worker(worker: GoldWorker) -> Update:
        round_number, place = divmod(worker.golds_given, len(golds))
        order = Random(f"{worker.seed}/{round_number}").sample(range(len(golds)), len(golds))
        return golds[order[place]]

    return get_gold_for_worker


@quick
def worker_needs_gold(units_completed: int, num_correct: int, num_incorrect: int, min_golds: int) -> bool:
    """Return whether a worker's next unit should be a gold unit: always until `min_golds` are right, then rarely.

    The first 100 ordinary units bring three more gold units, the first 1,000 bring ten, and each wrong answer one.
    """
    return num_correct < min_golds + num_incorrect + math.isqrt(units_completed) // 3


@quick
def worker_qualifies(
    units_completed: int,  # noqa: ARG001 - a script's own rule may need it
    num_correct: int,  # noqa: ARG001
    num_incorrect: int,
    max_incorrect_golds: int,
) -> bool:
    """Return whether a worker may continue: it has at most `max_incorrect_golds` wrong gold units."""
    return num_incorrect <= max_incorrect_golds


@quick
def _empty_gold(_worker: GoldWorker) -> Update:
    return {}


@dataclass
class UseGoldUnitArgs:
    """Settings of gold units."""

    use_golds: bool = field(default=False, metadata={"help": "Use gold units in this run."})
    gold_qualification_base: str | None = field(
        default=None, metadata={"help": "Prefix of the names of the qualifications that count a worker's units."}
    )
    max_gold_units: int | None = field(
        default=None, metadata={"help": "Maximum number of gold units in the run, each paid like any unit."}
    )
    min_golds: int = field(default=1, metadata={"help": "Gold units to get right before ordinary work."})
    max_incorrect_golds: int = field(
        default=0, metadata={"help": "Gold units a worker may get wrong; with one more it gets no more work."}
    )


@dataclass
class GoldUnitSharedState(SharedTaskState):
    """State for a task with gold units."""

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
    """Gold unit settings of a run."""

    base: str
    max_units: int
    min_golds: int
    max_incorrect: int

    @property
    def completed_qualification(self) -> str:
        """Name of the qualification that counts a worker's ordinary units."""
        return f"{self.base}-completed-count"

    @property
    def correct_qualification(self) -> str:
        """Name of the qualification that counts the gold units that a worker got right."""
        return f"{self.base}-correct-golds"

    @property
    def wrong_qualification(self) -> str:
        """Name of the qualification that counts the gold units that a worker got wrong."""
        return f"{self.base}-wrong-golds"

    @property
    def disqualified_qualification(self) -> str:
        """Name of the qualification of workers who got too many wrong."""
        return f"{self.base}-disqualified"

    @property
    def qualifications(self) -> tuple[str, str, str, str]:
        """Names of the four qualifications, in the order in which they are defined."""
        return (
            self.completed_qualification,
            self.correct_qualification,
            self.wrong_qualification,
            self.disqualified_qualification,
        )


class UseGoldUnit(EvaluatingBlueprint):
    """Mixin for blueprints that can mix gold units into workers' ordinary work."""

    shared_state: GoldUnitSharedState

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Check that configured gold units can be made.

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
        """Return the rules that workers must satisfy beside the script's own; they exclude disqualified workers."""
        rules = super().get_required_qualifications(args, shared_state)
        if not args.blueprint.use_golds:
            return rules
        disqualified = _golds(args).disqualified_qualification
        return [*rules, make_qualification_dict(disqualified, QUAL_NOT_EXIST, None)]

    @property
    def golds(self) -> Golds | None:
        """Gold unit settings; None if the run has no gold units."""
        return _golds(self.args) if self.args.blueprint.use_golds else None


def _golds(args: DictConfig) -> Golds:
    settings = args.blueprint
    return Golds(
        settings.gold_qualification_base,
        settings.max_gold_units,
        settings.min_golds,
        settings.max_incorrect_golds,
    )
