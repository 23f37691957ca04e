"""Agreement figures, against tables that were computed elsewhere or by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mephisto_es.projections.queries.quality.agreement import (
    ItemAnswers,
    Label,
    agreement_about,
    agreement_with_others,
    cohen_kappa,
    fleiss_kappa,
    interval_alpha,
    mean_cohen_kappa,
    nominal_alpha,
)

#: Answers of four observers to twelve items (Krippendorff, Computing Krippendorff's alpha-reliability, 2011, part C).
OBSERVERS: Sequence[Sequence[int | None]] = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
#: Subjects and how often each of five categories was given by fourteen raters (Fleiss, 1971, as often retold).
FLEISS = (
    (0, 0, 0, 0, 14),
    (0, 2, 6, 4, 2),
    (0, 0, 3, 5, 6),
    (0, 3, 9, 2, 0),
    (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0),
    (2, 5, 3, 2, 2),
    (6, 5, 2, 1, 0),
    (0, 2, 2, 3, 7),
)


def items_of(observers: Sequence[Sequence[int | None]]) -> list[ItemAnswers]:
    return [
        {worker: value for worker, value in enumerate(column) if value is not None}
        for column in zip(*observers, strict=True)
    ]


def of_counts(counts: Sequence[int]) -> ItemAnswers:
    return dict(enumerate(category for category, count in enumerate(counts) for _ in range(count)))


def test_krippendorffs_own_example() -> None:
    items = items_of(OBSERVERS)
    assert nominal_alpha(items) == pytest.approx(0.743, abs=5e-4)
    assert interval_alpha(items) == pytest.approx(0.849, abs=5e-4)


def test_two_observers_and_two_values() -> None:
    first, second = (0, 1, 0, 0, 0, 0, 0, 0, 1, 0), (1, 1, 1, 0, 0, 1, 0, 0, 0, 0)
    assert nominal_alpha(items_of((first, second))) == pytest.approx(0.095, abs=5e-4)


def test_fleiss_kappa() -> None:
    kappa, answers, items = fleiss_kappa([*map(of_counts, FLEISS), {1: 0, 2: 1}])
    assert (round(kappa or 0, 3), answers, items) == (0.210, 14, 10)


def test_cohens_kappa() -> None:
    answers: list[tuple[Label, Label]] = [*[("yes", "yes")] * 20, *[("yes", "no")] * 5]
    answers += [*[("no", "yes")] * 10, *[("no", "no")] * 15]
    assert cohen_kappa(answers) == pytest.approx(0.4)
    items: list[ItemAnswers] = [{1: one, 2: other} for one, other in answers]
    kappa, pairs = mean_cohen_kappa(items)
    assert (round(kappa or 0, 6), pairs) == (0.4, 1)
    assert mean_cohen_kappa(items, min_shared=51) == (None, 0)


def test_a_small_table_by_hand() -> None:
    """Pairs: 3 of 3 equal in the first item, 1 of 3 in the second, 0 of 1 in the third; the last has no pair."""
    items: list[ItemAnswers] = [{1: "a", 2: "a", 3: "a"}, {1: "a", 2: "a", 3: "b"}, {1: "a", 2: "b"}, {1: "b"}]
    found = agreement_about(items, is_numeric=False)
    assert (found.items, found.pairs, found.equal_pairs, found.percent) == (3, 7, 4, 4 / 7)
    # Of 8 answers 6 are a and 2 are b. Expected: 2 * 6 * 2 / (8 * 7). Observed: (4 / 2 + 2 / 1) / 8.
    assert found.alpha == pytest.approx(1 - (4 / 8) / (24 / 56))
    # Two items have 3 answers, 5 a and 1 b: (1 + 1/3) / 2 observed, 26/36 by chance.
    assert found.fleiss_kappa == pytest.approx((2 / 3 - 26 / 36) / (10 / 36))
    assert (found.fleiss_answers, found.fleiss_items) == (3, 2)
    assert found.cohen_kappa is None
    assert agreement_with_others(items) == {1: (3, 5), 2: (3, 5), 3: (2, 4)}


def test_without_disagreement_or_without_pairs_nothing_is_divided_by_zero() -> None:
    alike = agreement_about([{1: 3, 2: 3}] * 6, is_numeric=True)
    assert (alike.percent, alike.alpha, alike.fleiss_kappa, alike.cohen_kappa) == (1.0, None, None, None)
    alone = agreement_about([{1: "a"}, {2: "b"}], is_numeric=False)
    assert (alone.pairs, alone.percent, alone.alpha, alone.fleiss_kappa) == (0, None, None, None)
