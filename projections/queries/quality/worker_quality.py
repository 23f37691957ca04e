"""Computes the figures of each worker, and what suggests a look at their work."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import msgspec

from ....core.lifecycles.unit import UnitStatus
from ....events.ids import SCREENING_UNIT_INDEX, WorkerId
from ..review_queue import UnitKind
from .agreement import agreement_with_others
from .answers import Question, QuestionKind, SubmittedWork
from .labels import ADJUDICATED, DAWID_SKENE, QuestionLabels
from .process_signals import SignalFigures, figures_of
from .worker_signs import RepeatedText, Series, longest_series

#: Statuses of submitted work, unreviewed work first.
REVIEWED_STATUSES = (UnitStatus.COMPLETED, UnitStatus.ACCEPTED, UnitStatus.SOFT_REJECTED, UnitStatus.REJECTED)


class QualityRules(msgspec.Struct, frozen=True, kw_only=True):
    """Rules that suggest a look at a worker. They never decide anything."""

    #: Share of gold units that should be right.
    min_gold: float | None = None
    #: Seconds that a piece of work should take.
    min_seconds: float | None = None


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """A reason to look at the work of a worker. It is no reason for anything else."""

    text: str
    #: Selects the work: fields of a `ReviewFilter`, with their texts.
    where: dict[str, str]


class WorkerQuality(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one worker, and what suggests a look."""

    worker: WorkerId
    #: 1 is the best; None if nothing is known about the worker's answers.
    rank: int | None
    pieces: int
    #: Pieces by the status of their units.
    by_status: dict[str, int]
    median_seconds: float | None
    skill: float | None
    #: Skill by method, the mean over the questions.
    skills: dict[str, float]
    #: Share of equal pairs with others.
    agreement: float | None
    pairs: int
    gold_passed: int
    gold: int
    #: Answers equal to what reviewers decided, and all answers about which they decided.
    adjudicated_right: int
    adjudicated: int
    screening_passed: int
    screening: int
    fast: int
    same_in_a_row: int
    repeated_texts: int
    #: How the worker filled in forms; None if the task does not count that.
    signals: SignalFigures | None
    #: What suggests a look at this worker's work. No reason for anything by itself.
    suggestions: tuple[Suggestion, ...]


def workers_of(
    pieces: Sequence[SubmittedWork],
    questions: Sequence[Question],
    labels: Sequence[QuestionLabels],
    repeated_texts: Iterable[RepeatedText],
    limit: float | None,
    rules: QualityRules,
) -> tuple[WorkerQuality, ...]:
    """Return the figures of all workers: best first, after those about whose answers nothing is known.

    Args:
        pieces: all submitted work, in the order of submission.
        questions: the questions that it answers.
        labels: the labels, with the skills that come with them.
        repeated_texts: the texts that were submitted for more than one item.
        limit: seconds below which a piece is faster than usual; None if there are too few.
        rules: what suggests a look.
    """
    by_worker: defaultdict[WorkerId, list[SubmittedWork]] = defaultdict(list)
    for piece in pieces:
        by_worker[piece.worker].append(piece)
    series, repeated = longest_series(pieces, questions), Counter[WorkerId]()
    for text in repeated_texts:
        repeated.update(text.repetitions)
    pairs, skills, right = _pairs(questions), _skills(questions, labels), _right(by_worker, questions, labels)
    found = []
    for worker, own in by_worker.items():
        equal, count = pairs.get(worker, (0, 0))
        gold, screening = _evaluated(own, gold=True), _evaluated(own, gold=False)
        seconds = [piece.seconds for piece in own if piece.seconds is not None]
        of_worker = skills.get(worker, {})
        fast = sum(limit is not None and one < limit for one in seconds)
        longest = series.get(worker, Series(0, 1.0))
        found.append(
            WorkerQuality(
                worker=worker,
                rank=None,
                pieces=len(own),
                by_status=dict(Counter(piece.status.value for piece in own)),
                median_seconds=median(seconds) if seconds else None,
                skill=of_worker.get(DAWID_SKENE),
                skills=of_worker,
                agreement=equal / count if count else None,
                pairs=count,
                gold_passed=sum(gold),
                gold=len(gold),
                adjudicated_right=right.get(worker, (0, 0))[0],
                adjudicated=right.get(worker, (0, 0))[1],
                screening_passed=sum(screening),
                screening=len(screening),
                fast=fast,
                same_in_a_row=longest.length,
                repeated_texts=repeated[worker],
                signals=figures_of([piece.signals for piece in own if piece.signals is not None]),
                suggestions=tuple(_suggestions(own, limit, longest, repeated[worker], rules)),
            )
        )
    return _ranked(found)


def _suggestions(
    own: Sequence[SubmittedWork], limit: float | None, longest: Series, repeated: int, rules: QualityRules
) -> Iterable[Suggestion]:
    """Yield what suggests a look at a worker."""
    golds = [piece for piece in own if piece.passed is not None and piece.unit_index != SCREENING_UNIT_INDEX]
    right = sum(bool(piece.passed) for piece in golds)
    timed = [piece for piece in own if piece.seconds is not None]
    if rules.min_gold is not None and golds and right / len(golds) < rules.min_gold:
        text = f"{right} of {len(golds)} gold units right, below {rules.min_gold:.0%} (quality.min_gold)"
        yield _suggestion(text, golds, kind=UnitKind.GOLD.value)
    hurried = _faster(timed, rules.min_seconds)
    if hurried:
        text = f"{len(hurried)} of {len(timed)} pieces in less than {rules.min_seconds:g} s (quality.min_seconds)"
        yield _suggestion(text, hurried, max_seconds=f"{rules.min_seconds:g}")
    fast = _faster(timed, limit)
    if fast:
        text = f"{len(fast)} of {len(timed)} pieces much faster than usual"
        yield _suggestion(text, fast, max_seconds=f"{limit:.6g}")
    if longest.is_unlikely:
        yield _suggestion(f"the same answers {longest.length} times in a row", own)
    if repeated:
        yield _suggestion(f"{repeated} text{'s' * (repeated != 1)} submitted before for another item", own)


def _faster(timed: Iterable[SubmittedWork], limit: float | None) -> list[SubmittedWork]:
    return [piece for piece in timed if limit is not None and piece.seconds is not None and piece.seconds < limit]


def _suggestion(text: str, shows: Sequence[SubmittedWork], **where: str) -> Suggestion:
    """Return a suggestion with the filter that selects the work that shows it: unreviewed work, if there is any."""
    statuses = {piece.status for piece in shows}
    status = next(one for one in REVIEWED_STATUSES if one in statuses)
    if status is not UnitStatus.COMPLETED:
        where["status"] = status.value
    return Suggestion(text=text, where={"worker": f"worker-{shows[0].worker}", **where})


def _evaluated(pieces: Iterable[SubmittedWork], *, gold: bool) -> list[bool]:
    return [
        piece.passed
        for piece in pieces
        if piece.passed is not None and (piece.unit_index != SCREENING_UNIT_INDEX) == gold
    ]


def _pairs(questions: Iterable[Question]) -> dict[int, tuple[int, int]]:
    """Return the equal and all pairs of answers of each worker, over all questions with a choice."""
    found: dict[int, tuple[int, int]] = {}
    for question in questions:
        if question.kind is QuestionKind.CHOICE:
            for worker, (equal, count) in agreement_with_others([*question.items.values()]).items():
                before, before_count = found.get(worker, (0, 0))
                found[worker] = (before + equal, before_count + count)
    return found


def _right(
    by_worker: Mapping[WorkerId, Sequence[SubmittedWork]],
    questions: Iterable[Question],
    labels: Iterable[QuestionLabels],
) -> dict[WorkerId, tuple[int, int]]:
    """Return how many answers of each worker are what reviewers decided, of how many about which they decided."""
    choices = {one.name for one in questions if one.kind is QuestionKind.CHOICE}
    decided = {
        (one.question, label.item): label.label
        for one in labels
        if one.method == ADJUDICATED and one.question in choices
        for label in one.labels
    }
    found = {}
    for worker, pieces in by_worker.items():
        equal = [
            answer == decided[name, piece.item]
            for piece in pieces
            for name, answer in piece.answers.items()
            if (name, piece.item) in decided
        ]
        found[worker] = (sum(equal), len(equal))
    return found


def _skills(questions: Iterable[Question], labels: Iterable[QuestionLabels]) -> dict[WorkerId, dict[str, float]]:
    """Return each worker's mean skill by method, weighted by their answers to each question."""
    answers = {one.name: Counter(worker for item in one.items.values() for worker in item) for one in questions}
    sums: defaultdict[WorkerId, defaultdict[str, list[tuple[float, int]]]] = defaultdict(lambda: defaultdict(list))
    for one in labels:
        for worker, skill in one.skills.items():
            sums[worker][one.method].append((skill, answers[one.question][worker]))
    return {
        worker: {
            method: sum(skill * weight for skill, weight in given) / sum(weight for _, weight in given)
            for method, given in by_method.items()
        }
        for worker, by_method in sums.items()
    }


def _ranked(workers: Sequence[WorkerQuality]) -> tuple[WorkerQuality, ...]:
    def score(one: WorkerQuality) -> float | None:
        return one.agreement if one.skill is None else one.skill

    unknown = sorted((one for one in workers if score(one) is None), key=lambda one: one.worker)
    known = sorted(
        (one for one in workers if score(one) is not None), key=lambda one: (-(score(one) or 0.0), one.worker)
    )
    ranked = [msgspec.structs.replace(one, rank=number) for number, one in enumerate(known, start=1)]
    return (*unknown, *ranked)
