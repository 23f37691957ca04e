"""The ways in which a simulated job finds out who works well, and how many answers its items get."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from random import Random

import trio
from omegaconf import DictConfig

from mephisto_es.core.abstractions.agent import Unit, Update
from mephisto_es.core.abstractions.callbacks import quick
from mephisto_es.core.abstractions.screen_task_required import ScreeningData
from mephisto_es.core.abstractions.use_gold_unit import Golds, GoldWorker
from mephisto_es.core.commands.labels import LabelPlan
from mephisto_es.core.state.label_model import StopRule

#: The field of a submission that has the label, all labels, and how often people choose each. The first is right.
ANSWER = "label"
CLASSES = ("right", "wrong", "absurd")
_CHOSEN = (7, 2, 1)
#: A label that is none of them is chosen once in so many submissions.
_NONSENSE_ONE_IN = 20
#: So many screening units are enough for everybody who comes: more workers come as long as there is work.
SCREENING_UNITS = 200
#: Gold units that a run may have if it can go on without, and if it cannot.
FEW_GOLDS, MANY_GOLDS = 3, 200


class Screenings(Enum):
    """The units by which workers are screened."""

    NONE = "nobody is screened"
    OWN = "units made for it"
    ORDINARY = "a worker's first ordinary unit"


@dataclass(frozen=True)
class QualityPlan:
    """The part of a job that is about quality."""

    #: When items get no more answers; None if they get the same number.
    rule: StopRule | None
    #: Assumed probability that an answer is right; None: it is estimated.
    accuracy: float | None
    screenings: Screenings
    #: Gold units to get right before ordinary work, and that may be wrong; None: there are no gold units.
    min_golds: int | None
    max_incorrect: int

    @classmethod
    def drawn(cls, chance: Random, *, is_chat: bool) -> QualityPlan:
        """A plan by chance; the partners in a chat are as many as it needs."""
        least = chance.randint(1, 2)
        rule = StopRule(chance.choice([0.8, 0.95]), least, least + chance.randint(1, 2))
        return cls(
            rule=None if is_chat or chance.random() < 0.3 else rule,
            accuracy=chance.choice([None, 0.8]),
            screenings=chance.choice([Screenings.NONE, Screenings.OWN, Screenings.ORDINARY]),
            min_golds=chance.choice([None, 0, 1]),
            max_incorrect=chance.choice([0, 1]),
        )

    @property
    def label_plan(self) -> LabelPlan | None:
        """The answers that are looked at; None if items get the same number of them."""
        if self.rule is None:
            return None
        return LabelPlan(answer=ANSWER, classes=CLASSES, accuracy=self.accuracy, rule=self.rule)

    @property
    def max_golds(self) -> int:
        """Gold units that the run may have."""
        return MANY_GOLDS if self.min_golds else FEW_GOLDS

    def passed_name(self, job: str) -> str:
        """Return the name of the qualification of workers who have passed the screening."""
        return f"{job}-passed"

    def golds(self, job: str) -> Golds | None:
        """Return the settings of gold units; None if there are none."""
        if self.min_golds is None:
            return None
        return Golds(f"{job}-gold", self.max_golds, self.min_golds, self.max_incorrect)

    def configure(self, cfg: DictConfig, job: str) -> None:
        """Set what is about quality in a job's configuration."""
        blueprint = cfg.blueprint
        if self.screenings is not Screenings.NONE:
            blueprint.use_screening_task = True
            blueprint.passed_qualification_name = self.passed_name(job)
            blueprint.block_qualification = f"{job}-failed"
            blueprint.max_screening_units = SCREENING_UNITS if self.screenings is Screenings.OWN else 0
        if (golds := self.golds(job)) is not None:
            blueprint.use_golds = True
            blueprint.gold_qualification_base, blueprint.max_gold_units = golds.base, golds.max_units
            blueprint.min_golds, blueprint.max_incorrect_golds = golds.min_golds, golds.max_incorrect

    @property
    def screening_data(self) -> ScreeningData:
        """Data of screening units; False if a worker's first ordinary unit serves."""
        if self.screenings is Screenings.ORDINARY:
            return False
        return _ScreeningItems()


class _ScreeningItems:
    """Data that is read anew by each operator. It is read in the event loop, because threads are not repeatable."""

    async def __aiter__(self) -> AsyncIterator[Update]:
        for number in range(SCREENING_UNITS):
            await trio.sleep(0.1)
            yield {"screening": number}


def chosen_label(chance: Random) -> str:
    """Return the label that somebody chooses."""
    if chance.randrange(_NONSENSE_ONE_IN) == 0:
        return "nonsense"
    return chance.choices(CLASSES, _CHOSEN)[0]


def gold_factory(maybe_fail: Callable[[], None]) -> Callable[[GoldWorker], Awaitable[Update]]:
    """Return the script's function that chooses gold units; now and then it is wrong."""

    async def get_gold_for_worker(worker: GoldWorker) -> Update:
        await trio.sleep(0.5)
        maybe_fail()
        return {"gold": worker.golds_given}

    return get_gold_for_worker


@quick
def needs_gold(units_completed: int, num_correct: int, num_incorrect: int, min_golds: int) -> bool:
    """Want a gold unit for every two ordinary ones, and those at the beginning."""
    return num_correct < min_golds or 2 * (num_correct + num_incorrect) <= units_completed


def judged(unit: Unit) -> bool | None:
    """Return whether a unit that evaluates its worker was done well; None for other work."""
    agent = unit.get_assigned_agent()
    if not unit.is_evaluation or agent is None:
        return None
    outputs = agent.state.outputs
    return bool(outputs is not None and outputs[ANSWER] == CLASSES[0])
