"""Reports the quality of a run's data: agreement and labels per question, and figures and signs per worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import islice

import msgspec

from ....core.commands.labels import LabelPlan
from ....events.ids import AssignmentId, TaskRunId
from ..as_of import AsOf
from .agreement import Agreement, agreement_about
from .answers import Question, QuestionKind, questions_of, read_work, shown_label
from .class_shares import Interval
from .decided_labels import LabelDecisions, decided_labels, label_decisions
from .final_labels import final_method
from .labels import Aggregator, QuestionLabels, labels_of, shares_of
from .methods import METHODS
from .stop_labels import StopLabels, stop_labels
from .worker_quality import QualityRules, WorkerQuality, workers_of
from .worker_signs import RepeatedText, fast_limit, repeated_texts

#: Repeated texts that are reported.
MAX_REPEATED_TEXTS = 100


class QuestionQuality(msgspec.Struct, frozen=True, kw_only=True):
    """The quality of the answers to one question."""

    question: str
    kind: QuestionKind
    answers: int
    items: int
    workers: int
    #: How often each answer was given, if it is a choice.
    choices: dict[str, int]
    #: None for free text.
    agreement: Agreement | None
    #: True if a stop rule decided by these answers how many of them an item got.
    is_stopped_by_rule: bool = False
    #: Number of answers to each item, the first ones, that the agreement is computed from; None: all are.
    first_answers: int | None = None
    #: The shares of the choices among items, and the accuracy of answers; None if it is no choice, or no item has two
    #: answers.
    shares: QuestionShares | None = None
    #: Items with different answers, if it is a choice, and those of them that no reviewer has decided.
    differing: int
    undecided: int


class EstimatedShare(msgspec.Struct, frozen=True, kw_only=True):
    """The share of one choice among the items."""

    share: float
    #: The 95 % credible interval.
    interval: Interval


class QuestionShares(msgspec.Struct, frozen=True, kw_only=True):
    """The shares of all choices of a question, corrected for wrong answers."""

    choices: dict[str, EstimatedShare]
    #: Probability that an answer is right.
    accuracy: float
    accuracy_interval: Interval


class QualityReport(msgspec.Struct, frozen=True, kw_only=True):
    """The quality of a run's data as of a position."""

    run: str
    task_name: str
    seq: int
    pieces: int
    rules: QualityRules
    #: Seconds below which a piece is faster than usual; None if there are too few.
    fast_below_seconds: float | None
    questions: tuple[QuestionQuality, ...]
    #: Best first, after those about whose answers nothing is known.
    workers: tuple[WorkerQuality, ...]
    labels: tuple[QuestionLabels, ...]
    #: The method that gives the final labels of each question with a choice, and why.
    final_labels: dict[str, str]
    #: Free texts that were submitted for more than one item, the most frequent first.
    repeated_texts: tuple[RepeatedText, ...]
    #: How each figure is computed.
    methods: Mapping[str, str]


def quality_rules(as_of: AsOf, run: TaskRunId) -> QualityRules:
    """Return the rules in the configuration of a run.

    Raises:
        UnknownEntityError: there is no such run.
    """
    try:
        return msgspec.json.decode(as_of.db.get_task_run(run).init_params, type=_RuledConfig).quality
    except msgspec.DecodeError:
        # An imported run has Mephisto's configuration, or none.
        return QualityRules()


class _RuledConfig(msgspec.Struct):
    quality: QualityRules = msgspec.field(default_factory=QualityRules)


def quality_report(
    as_of: AsOf,
    run: TaskRunId,
    *,
    rules: QualityRules | None = None,
    aggregator: Aggregator | None = None,
    plan: LabelPlan | None = None,
) -> QualityReport:
    """Report the quality of a run's data.

    Args:
        as_of: the log as of the position.
        run: the run.
        rules: what suggests a look at a worker; by default the rules of the run.
        aggregator: estimates labels and skills; without it, labels are majorities and there are no skills.
        plan: the stop rule of the run; None if it has none.

    Raises:
        UnknownEntityError: there is no such run.
    """
    chosen = quality_rules(as_of, run) if rules is None else rules
    pieces = read_work(as_of, run)
    questions = questions_of(pieces)
    decided = label_decisions(as_of, run)
    labels = [one for question in questions for one in labels_of(question, aggregator, decided)]
    limit, repeated = fast_limit(pieces), repeated_texts(pieces, questions)
    return QualityReport(
        run=f"run-{run}",
        task_name=as_of.db.get_task(as_of.db.get_task_run(run).task_id).task_name,
        seq=as_of.seq,
        pieces=len(pieces),
        rules=chosen,
        fast_below_seconds=limit,
        questions=tuple(question_quality(one, decided_labels(decided, one.name), plan) for one in questions),
        workers=workers_of(pieces, questions, labels, repeated, limit, chosen),
        labels=tuple(labels),
        final_labels=_final_labels(questions, labels, decided, stop_labels(as_of, run, plan, questions)),
        repeated_texts=repeated[:MAX_REPEATED_TEXTS],
        methods=METHODS,
    )


def _final_labels(
    questions: Sequence[Question], labels: Sequence[QuestionLabels], decided: LabelDecisions, settled: StopLabels
) -> dict[str, str]:
    methods = {one.name: [label.method for label in labels if label.question == one.name] for one in questions}
    found = {
        one.name: final_method(one, methods[one.name], settled, decided_labels(decided, one.name)) for one in questions
    }
    return {name: text for name, text in found.items() if text is not None}


def question_quality(
    question: Question, decided: Collection[AssignmentId] = (), plan: LabelPlan | None = None
) -> QuestionQuality:
    """Return the figures of one question.

    Where a stop rule looks at the answers, items whose first ones agree get no more. So the agreement is computed from
    as many answers as each item gets in any case.

    Args:
        question: the question.
        decided: the items on which a reviewer decided the answer to it.
        plan: the stop rule of the run; None if it has none.
    """
    is_choice = question.kind is QuestionKind.CHOICE
    differing = [item for item, given in question.items.items() if is_choice and len(set(given.values())) > 1]
    answers = [label for item in question.items.values() for label in item.values()]
    counts = Counter(answers)
    is_text = question.kind is QuestionKind.TEXT
    is_stopped = plan is not None and plan.answer == question.name
    first = plan.rule.least if plan is not None and is_stopped and plan.rule.least > 1 else None
    compared = [dict(islice(given.items(), first)) for given in question.items.values()]
    return QuestionQuality(
        question=question.name,
        kind=question.kind,
        answers=len(answers),
        items=len(question.items),
        workers=len({worker for item in question.items.values() for worker in item}),
        choices={shown_label(choice): counts[choice] for choice in question.choices},
        shares=_question_shares(question),
        agreement=None if is_text else agreement_about(compared, is_numeric=question.is_numeric),
        is_stopped_by_rule=is_stopped,
        first_answers=first,
        differing=len(differing),
        undecided=sum(item not in decided for item in differing),
    )


def _question_shares(question: Question) -> QuestionShares | None:
    found = shares_of(question)
    if found is None:
        return None
    estimated = zip(question.choices, found.shares, found.intervals, strict=True)
    return QuestionShares(
        choices={shown_label(choice): EstimatedShare(share=share, interval=ends) for choice, share, ends in estimated},
        accuracy=found.accuracy,
        accuracy_interval=found.accuracy_interval,
    )
