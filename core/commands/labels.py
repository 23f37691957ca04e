"""Commands that decide how many answers the items of a run get."""

from __future__ import annotations

import msgspec

from ...events.ids import AgentId, AssignmentId
from ..state.label_model import MOST_ANSWERS, LabelModel, StopRule, bounded_accuracy
from .base import RunCommand
from .task_run import UnitPlan


class LabelPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that a run looks at, and the rule by which an item gets no more of them."""

    #: The field of the submission that has the answer, with dots between the keys of nested objects.
    answer: str
    #: All possible answers, as text.
    classes: tuple[str, ...]
    #: Probability that an answer is right; None to estimate it from the answers.
    accuracy: float | None
    rule: StopRule


class ItemAnswers(msgspec.Struct, frozen=True, gc=False):
    """The answers to one item, and the units that it gets if they do not suffice."""

    assignment: AssignmentId
    #: The agents whose work counts, in the order of their units.
    agents: tuple[AgentId, ...]
    #: The class of each of their answers, by its number; None for one that is none of them.
    answers: tuple[int | None, ...]
    #: As many units as may be needed, numbered after those that there are.
    further: tuple[UnitPlan, ...] = ()


class AssessLabels(RunCommand, frozen=True, kw_only=True, tag="assess_labels"):
    """Give items further units, or no more answers, by how sure their labels are.

    Leaves out items whose answers have changed meanwhile, and does nothing if the run is not live.
    """

    #: The question that the label answers, as reviewers name it.
    question: str
    classes: tuple[str, ...]
    accuracy: float
    #: Number of answers that the accuracy was estimated from; None if the configuration gives it.
    estimated_from: int | None
    rule: StopRule
    items: tuple[ItemAnswers, ...]

    @property
    def model(self) -> LabelModel:
        """The model of the answers."""
        return LabelModel(len(self.classes), self.accuracy)

    @property
    def is_sound(self) -> bool:
        """True if its numbers fit together."""
        classes, rule = len(self.classes), self.rule
        return (
            classes > 1
            and self.accuracy == bounded_accuracy(self.accuracy, classes)
            and 0 < rule.confidence < 1
            and 1 <= rule.least <= rule.most <= MOST_ANSWERS
            and all(len(one.agents) == len(one.answers) for one in self.items)
            and all(answer is None or 0 <= answer < classes for one in self.items for answer in one.answers)
        )


AnyLabelCommand = AssessLabels
