"""Reports how labels came about beside the answers of workers: by a stop rule, and by reviewers who decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from ....core.commands.labels import LabelPlan
from ....events import streams
from ....events.assignment import AssignmentExtended, AssignmentSettled, StopReason
from ....events.ids import AssignmentId, TaskRunId
from ..as_of import AsOf
from .decided_labels import label_decisions

_ANSWERS = """
    SELECT assignment_id, count(*) FROM units
    WHERE task_run_id = ? AND unit_index >= 0 AND status IN ('completed', 'accepted', 'soft_rejected', 'rejected')
    GROUP BY assignment_id
"""


class AdaptiveAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """The answers that the items of a run got by its `stop_when`."""

    #: The field of the submission that the rule looks at.
    question: str
    classes: int
    #: Probability of a label that is enough.
    confidence: float
    #: Answers at least and at most.
    least: int
    most: int
    #: Probability that an answer is right; None if it was estimated from the answers.
    accuracy: float | None
    #: Number of items that get no more answers, by the reason.
    stopped: dict[StopReason, int]
    #: Number of these that have fewer answers than the most allowed.
    stopped_early: int
    #: Answers submitted for all items, and the number by which those that stopped stayed below the most allowed.
    answers: int
    answers_saved: int


class AdjudicatedLabels(msgspec.Struct, frozen=True, kw_only=True):
    """The labels that reviewers decided. Decisions that were taken back are not counted."""

    #: Number of items with a decision, and of people who made one.
    items: int
    reviewers: int
    #: Number of items by question.
    questions: dict[str, int]


class LabelReport(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about the labels of a run as of a position."""

    #: None if each item gets the same number of answers, whatever they are.
    adaptive: AdaptiveAnswers | None
    adjudications: AdjudicatedLabels


def label_report(as_of: AsOf, run: TaskRunId, plan: LabelPlan | None) -> LabelReport:
    """Report how the labels of a run came about.

    Args:
        as_of: the log as of a position.
        run: the run.
        plan: the stop rule of the run; None if it has none.
    """
    return LabelReport(
        adaptive=None if plan is None else _adaptive(as_of, run, plan),
        adjudications=_adjudications(as_of, run),
    )


def _adaptive(as_of: AsOf, run: TaskRunId, plan: LabelPlan) -> AdaptiveAnswers:
    answers: Mapping[AssignmentId, int] = dict(as_of.db.execute(_ANSWERS, (run,)).fetchall())
    latest: dict[AssignmentId, AssignmentSettled | AssignmentExtended] = {}
    for _, envelope in as_of.under(f"assignment/{run}/"):
        if isinstance(envelope.event, AssignmentSettled | AssignmentExtended):
            latest[AssignmentId(streams.number_of(envelope.stream))] = envelope.event
    stopped = {item: event for item, event in latest.items() if isinstance(event, AssignmentSettled)}
    saved = [max(0, event.evidence.most - answers.get(item, 0)) for item, event in stopped.items()]
    reasons = Counter(event.by for event in stopped.values())
    return AdaptiveAnswers(
        question=plan.answer,
        classes=len(plan.classes),
        confidence=plan.rule.confidence,
        least=plan.rule.least,
        most=plan.rule.most,
        accuracy=plan.accuracy,
        stopped={reason: reasons[reason] for reason in StopReason if reason in reasons},
        stopped_early=sum(count > 0 for count in saved),
        answers=sum(answers.values()),
        answers_saved=sum(saved),
    )


def _adjudications(as_of: AsOf, run: TaskRunId) -> AdjudicatedLabels:
    decided = [one for found in label_decisions(as_of, run).values() for one in found.values() if not one.is_taken_back]
    return AdjudicatedLabels(
        items=len({one.item for one in decided}),
        reviewers=len({one.reviewer for one in decided}),
        questions=dict(Counter(one.question for one in decided).most_common()),
    )
