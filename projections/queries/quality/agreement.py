"""Measures how far workers agree about the same items: percent agreement, Krippendorff's alpha, kappas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import msgspec

#: An answer to a question with few answers.
Label = bool | int | float | str
#: The answers to one item, by worker.
ItemAnswers = Mapping[int, Label]

#: Items that two workers must share before their agreement counts for Cohen's kappa.
MIN_SHARED_ITEMS = 5


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """The agreement of workers about one question. A figure is None where it is not defined."""

    #: Items that at least two workers answered.
    items: int
    #: Pairs of answers to the same item, and those of them that are equal.
    pairs: int
    equal_pairs: int
    #: The share of equal pairs.
    percent: float | None
    #: Krippendorff's alpha.
    alpha: float | None
    #: The distance of two answers that alpha uses: `nominal` (equal or not) or `interval` (the squared difference).
    alpha_metric: str
    #: Fleiss' kappa over the items that have the most usual number of answers, that number, and those items.
    fleiss_kappa: float | None
    fleiss_answers: int
    fleiss_items: int
    #: Mean of Cohen's kappa of all pairs of workers who share enough items, weighted by these, and those pairs.
    cohen_kappa: float | None
    cohen_pairs: int


def agreement_about(items: Sequence[ItemAnswers], *, is_numeric: bool) -> Agreement:
    """Return the agreement about a question.

    Args:
        items: the answers to each item.
        is_numeric: whether the answers are numbers, of which some are nearer to each other than others.
    """
    shared = [item for item in items if len(item) > 1]
    equal, pairs = _equal_pairs(shared)
    fleiss, per_item, count = fleiss_kappa(shared)
    cohen, worker_pairs = mean_cohen_kappa(shared)
    return Agreement(
        items=len(shared),
        pairs=pairs,
        equal_pairs=equal,
        percent=equal / pairs if pairs else None,
        alpha=interval_alpha(shared) if is_numeric else nominal_alpha(shared),
        alpha_metric="interval" if is_numeric else "nominal",
        fleiss_kappa=fleiss,
        fleiss_answers=per_item,
        fleiss_items=count,
        cohen_kappa=cohen,
        cohen_pairs=worker_pairs,
    )


def nominal_alpha(items: Sequence[ItemAnswers]) -> float | None:
    """Return Krippendorff's alpha for answers that are equal or not; None if there is nothing to compare."""
    shared = [Counter(item.values()) for item in items if len(item) > 1]
    total = sum(one.total() for one in shared)
    overall = sum(shared, Counter[Label]())
    expected = total * total - sum(count * count for count in overall.values())
    observed = sum((one.total() ** 2 - sum(n * n for n in one.values())) / (one.total() - 1) for one in shared)
    # Expected disagreement is out of n (n - 1) pairs, observed out of n: their quotient keeps n - 1.
    return 1 - (total - 1) * observed / expected if expected else None


def interval_alpha(items: Sequence[ItemAnswers]) -> float | None:
    """Return Krippendorff's alpha for numbers, whose distance is the squared difference."""
    shared = [[float(value) for value in item.values()] for item in items if len(item) > 1]
    total = sum(map(len, shared))
    expected = _squared_differences([value for one in shared for value in one])
    observed = sum(_squared_differences(one) / (len(one) - 1) for one in shared)
    return 1 - (total - 1) * observed / expected if expected else None


def fleiss_kappa(items: Sequence[ItemAnswers]) -> tuple[float | None, int, int]:
    """Return Fleiss' kappa of the items with the most usual number of answers, that number, and how many items."""
    sizes = Counter(len(item) for item in items if len(item) > 1)
    if not sizes:
        return None, 0, 0
    # Of two numbers that are equally usual, the larger one.
    size = max(sizes, key=lambda one: (sizes[one], one))
    chosen = [Counter(item.values()) for item in items if len(item) == size]
    overall = sum(chosen, Counter[Label]())
    total = overall.total()
    by_chance = sum((count / total) ** 2 for count in overall.values())
    observed = sum(sum(n * (n - 1) for n in one.values()) for one in chosen) / (total * (size - 1))
    kappa = (observed - by_chance) / (1 - by_chance) if by_chance < 1 else None
    return kappa, size, len(chosen)


def mean_cohen_kappa(items: Sequence[ItemAnswers], min_shared: int = MIN_SHARED_ITEMS) -> tuple[float | None, int]:
    """Return the mean kappa of pairs of workers, weighted by the items they share, and the number of pairs.

    Args:
        items: the answers to each item.
        min_shared: items that two workers must share.
    """
    answers: dict[tuple[int, int], list[tuple[Label, Label]]] = {}
    for item in items:
        for one, other in combinations(sorted(item), 2):
            answers.setdefault((one, other), []).append((item[one], item[other]))
    kappas = [
        (kappa, len(given))
        for given in answers.values()
        if len(given) >= min_shared and (kappa := cohen_kappa(given)) is not None
    ]
    weight = sum(shared for _, shared in kappas)
    return (sum(kappa * shared for kappa, shared in kappas) / weight if weight else None), len(kappas)


def cohen_kappa(answers: Sequence[tuple[Label, Label]]) -> float | None:
    """Return Cohen's kappa of two workers; None if both always gave the same answer."""
    count = len(answers)
    ours, theirs = Counter(one for one, _ in answers), Counter(other for _, other in answers)
    by_chance = sum(ours[label] * theirs[label] for label in ours) / count**2
    observed = sum(one == other for one, other in answers) / count
    return (observed - by_chance) / (1 - by_chance) if by_chance < 1 else None


def agreement_with_others(items: Sequence[ItemAnswers]) -> dict[int, tuple[int, int]]:
    """Return the equal and all pairs of answers to the same item that each worker is part of."""
    found: dict[int, tuple[int, int]] = {}
    for item in items:
        for worker, others, equal in _with_others(item):
            before_equal, before = found.get(worker, (0, 0))
            found[worker] = (before_equal + equal, before + others)
    return found


def _with_others(item: ItemAnswers) -> Iterator[tuple[int, int, int]]:
    counts = Counter(item.values())
    for worker, label in item.items():
        yield worker, len(item) - 1, counts[label] - 1


def _equal_pairs(items: Sequence[ItemAnswers]) -> tuple[int, int]:
    equal = sum(n * (n - 1) // 2 for item in items for n in Counter(item.values()).values())
    return equal, sum(len(item) * (len(item) - 1) // 2 for item in items)


def _squared_differences(values: Sequence[float]) -> float:
    """Return the sum of the squared differences of all ordered pairs."""
    mean = sum(values) / len(values) if values else 0.0
    return 2 * len(values) * sum((value - mean) ** 2 for value in values)
