"""Reads the labels that the stop rule of a run settled on, or would give now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ....core.commands.labels import LabelPlan
from ....core.state.label_model import LabelModel, estimated_accuracy
from ....events import streams
from ....events.assignment import AssignmentExtended, AssignmentSettled, LabelEvidence
from ....events.ids import AssignmentId, TaskRunId
from ..as_of import AsOf
from .agreement import Label
from .answers import Question, shown_label

#: The label of each item and its probability, by question; empty for a run without `stop_when`.
StopLabels = Mapping[str, Mapping[AssignmentId, tuple[Label, float]]]


def stop_labels(as_of: AsOf, run: TaskRunId, plan: LabelPlan | None, questions: Sequence[Question]) -> StopLabels:
    """Return the labels by the stop rule of a run.

    The probability is the one in the latest decision about the item. If its answers have changed since, it is computed
    from those that count now, by the same model.

    Args:
        as_of: the log as of a position.
        run: the run.
        plan: the answer that the run looks at, and its rule; None if it has no rule.
        questions: the questions with the answers that count.
    """
    question = None if plan is None else next((one for one in questions if one.name == plan.answer), None)
    if plan is None or question is None:
        return {}
    counts = {item: _counts(plan, answers.values()) for item, answers in question.items.items()}
    accuracy = plan.accuracy
    if accuracy is None:
        patterns = Counter(tuple(sorted(filter(None, found))) for found in counts.values())
        accuracy = estimated_accuracy(patterns, len(plan.classes))
    model, decided = LabelModel(len(plan.classes), accuracy), _latest_evidence(as_of, run)
    labels: dict[AssignmentId, tuple[Label, float]] = {}
    for item, found in counts.items():
        if any(found):
            text, evidence = plan.classes[found.index(max(found))], decided.get(item)
            label = next(one for one in question.items[item].values() if shown_label(one) == text)
            is_current = evidence is not None and evidence.counts == found
            labels[item] = (label, evidence.posterior if evidence and is_current else model.posterior(found))
    return {question.name: labels}


def _counts(plan: LabelPlan, answers: Iterable[Label]) -> tuple[int, ...]:
    """Return the number of answers for each class."""
    given = Counter(map(shown_label, answers))
    return tuple(given[name] for name in plan.classes)


def _latest_evidence(as_of: AsOf, run: TaskRunId) -> dict[AssignmentId, LabelEvidence]:
    return {
        AssignmentId(streams.number_of(envelope.stream)): envelope.event.evidence
        for _, envelope in as_of.under(f"assignment/{run}/")
        if isinstance(envelope.event, AssignmentExtended | AssignmentSettled)
    }
