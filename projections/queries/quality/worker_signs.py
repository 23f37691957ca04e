"""Finds signs of careless work: too fast, always the same answers, the same texts again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import log
from statistics import median
from typing import NamedTuple

import msgspec

from ....events.ids import WorkerId
from .agreement import Label
from .answers import Question, QuestionKind, SubmittedWork

#: Modified z-score of the logarithm of the time below which a piece of work is an outlier (Iglewicz and Hoaglin, 1993).
FAST_SCORE = -3.5
#: Relates the median absolute deviation to a standard deviation.
_SCORE_FACTOR = 0.6745
#: Pieces of work that are too few to tell what is usual.
MIN_PIECES = 10
#: Equal answers in a row that are never a sign.
MIN_SERIES = 5
#: Chance of a series of equal answers below which it is a sign.
UNLIKELY = 0.001
#: Characters of a text that is too short to be copied.
MIN_TEXT = 20


class Series(NamedTuple):
    """The longest series of pieces of work with the same answers."""

    length: int
    #: Chance that a worker who answers like all others has a series of this length.
    chance: float

    @property
    def is_unlikely(self) -> bool:
        """True if the series is long, and hardly a coincidence."""
        return self.length >= MIN_SERIES and self.chance < UNLIKELY


class RepeatedText(msgspec.Struct, frozen=True, kw_only=True):
    """A free text that was submitted for more than one item."""

    question: str
    #: As it was first submitted.
    text: str
    items: int
    pieces: int
    #: Pieces with this text of each worker, and those for another item than that of the first.
    by_worker: dict[WorkerId, int]
    repetitions: dict[WorkerId, int]


def fast_limit(pieces: Iterable[SubmittedWork]) -> float | None:
    """Return the seconds below which a piece of work is faster than usual in its run; None if there are too few."""
    logs = [log(piece.seconds) for piece in pieces if piece.seconds is not None and piece.seconds > 0]
    if len(logs) < MIN_PIECES:
        return None
    middle = median(logs)
    deviation = median(abs(one - middle) for one in logs)
    return float(2.718281828459045 ** (middle + FAST_SCORE * deviation / _SCORE_FACTOR))


def longest_series(pieces: Sequence[SubmittedWork], questions: Sequence[Question]) -> dict[WorkerId, Series]:
    """Return the longest series of each worker's ordinary work in which all choices were answered the same.

    Args:
        pieces: the work in the order of submission.
        questions: the questions; those with free text or many numbers are left out.
    """
    names = [one.name for one in questions if one.kind is QuestionKind.CHOICE and len(one.choices) > 1]
    if not names:
        return {}
    answered: defaultdict[WorkerId, list[tuple[Label | None, ...]]] = defaultdict(list)
    for piece in pieces:
        if piece.unit_index >= 0:
            answered[piece.worker].append(tuple(piece.answers.get(name) for name in names))
    overall = Counter(answer for answers in answered.values() for answer in answers)
    total = overall.total()
    return {
        worker: _longest(answers, {one: count / total for one, count in overall.items()})
        for worker, answers in answered.items()
    }


def _longest(answers: Sequence[tuple[Label | None, ...]], shares: dict[tuple[Label | None, ...], float]) -> Series:
    best, length = Series(0, 1.0), 0
    for number, answer in enumerate(answers):
        length = length + 1 if number and answer == answers[number - 1] else 1
        if length > best.length:
            # The series may begin anywhere; all its answers but the first have to equal that one.
            chance = min(1.0, shares[answer] ** (length - 1) * len(answers))
            best = Series(length, chance)
    return best


def repeated_texts(pieces: Sequence[SubmittedWork], questions: Sequence[Question]) -> tuple[RepeatedText, ...]:
    """Return the free texts that were submitted for several items, the most frequent first.

    Capital letters and spaces make no difference; short texts do not count.

    Args:
        pieces: the work in the order of submission.
        questions: the questions.
    """
    names = [one.name for one in questions if one.kind is QuestionKind.TEXT]
    given: defaultdict[tuple[str, str], list[tuple[SubmittedWork, str]]] = defaultdict(list)
    for piece in pieces:
        for name in names:
            text = piece.answers.get(name)
            if isinstance(text, str) and len(text) >= MIN_TEXT:
                given[name, " ".join(text.casefold().split())].append((piece, text))
    found = [
        RepeatedText(
            question=name,
            text=same[0][1],
            items=len({piece.item for piece, _ in same}),
            pieces=len(same),
            by_worker=dict(Counter(piece.worker for piece, _ in same)),
            repetitions=dict(Counter(piece.worker for piece, _ in same if piece.item != same[0][0].item)),
        )
        for (name, _), same in given.items()
    ]
    return tuple(sorted((one for one in found if one.items > 1), key=lambda one: -one.pieces))
