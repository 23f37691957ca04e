import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.core.abstractions.qualifications import (
    QUAL_EQUAL,
    QUAL_EXISTS,
    QUAL_GREATER,
    QUAL_GREATER_EQUAL,
    QUAL_IN_LIST,
    QUAL_LESS,
    QUAL_LESS_EQUAL,
    QUAL_NOT_EQUAL,
    QUAL_NOT_EXIST,
    QUAL_NOT_IN_LIST,
    Comparator,
    QualificationRule,
    make_qualification_dict,
    qualification_holds,
    qualification_rule,
    rules_for_provider,
    unmet_rules,
    worker_is_qualified,
)
from mephisto_es.core.errors import ConfigError

WITH_NUMBER = (QUAL_GREATER, QUAL_GREATER_EQUAL, QUAL_LESS, QUAL_LESS_EQUAL, QUAL_EQUAL, QUAL_NOT_EQUAL)
WITH_LIST = (QUAL_IN_LIST, QUAL_NOT_IN_LIST)
WITHOUT_VALUE = (QUAL_EXISTS, QUAL_NOT_EXIST)

#: comparator, value of the rule -> the granted values (None: not granted) that satisfy it, out of those asked.
TABLE = [
    (QUAL_GREATER, 2, {3}),
    (QUAL_GREATER_EQUAL, 2, {2, 3}),
    (QUAL_LESS, 2, {-1, 0, 1}),
    (QUAL_LESS_EQUAL, 2, {-1, 0, 1, 2}),
    (QUAL_EQUAL, 2, {2}),
    (QUAL_EQUAL, 0, {0}),
    (QUAL_NOT_EQUAL, 2, {-1, 0, 1, 3}),
    (QUAL_EXISTS, None, {-1, 0, 1, 2, 3}),
    (QUAL_NOT_EXIST, None, {None}),
    (QUAL_IN_LIST, [1, 3], {1, 3}),
    (QUAL_IN_LIST, [], set()),
    (QUAL_NOT_IN_LIST, [1, 3], {-1, 0, 2}),
    (QUAL_NOT_IN_LIST, [], {-1, 0, 1, 2, 3}),
]


def rule(comparator: str, value: int | list[int] | None, name: str = "skill") -> QualificationRule:
    return qualification_rule(make_qualification_dict(name, comparator, value))


def granted(value: int | None) -> dict[str, int]:
    return {"other": 2} if value is None else {"other": 2, "skill": value}


@pytest.mark.parametrize(("comparator", "value", "satisfied_by"), TABLE)
def test_each_comparator_holds_for_exactly_its_values(
    comparator: str, value: int | list[int] | None, satisfied_by: set[int | None]
) -> None:
    asked = (None, -1, 0, 1, 2, 3)
    assert {has for has in asked if qualification_holds(rule(comparator, value), granted(has))} == satisfied_by


def test_the_table_above_has_all_ten_comparators() -> None:
    assert {comparator for comparator, _, _ in TABLE} == {comparator.value for comparator in Comparator}
    assert len(Comparator) == 10


@given(st.integers(), st.integers())
def test_the_six_comparisons_agree_with_each_other(has: int, number: int) -> None:
    def holds(comparator: str) -> bool:
        return qualification_holds(rule(comparator, number), granted(has))

    assert holds(QUAL_GREATER) == (not holds(QUAL_LESS_EQUAL))
    assert holds(QUAL_LESS) == (not holds(QUAL_GREATER_EQUAL))
    assert holds(QUAL_EQUAL) == (not holds(QUAL_NOT_EQUAL))
    assert holds(QUAL_EQUAL) == (holds(QUAL_LESS_EQUAL) and holds(QUAL_GREATER_EQUAL))
    assert [holds(QUAL_LESS), holds(QUAL_EQUAL), holds(QUAL_GREATER)].count(True) == 1


@given(st.integers(), st.lists(st.integers()))
def test_in_and_not_in_are_each_other_s_opposite_for_who_has_it(has: int, numbers: list[int]) -> None:
    inside = qualification_holds(rule(QUAL_IN_LIST, numbers), granted(has))
    assert inside == (has in numbers)
    assert inside != qualification_holds(rule(QUAL_NOT_IN_LIST, numbers), granted(has))


rules = st.one_of(
    st.builds(rule, st.sampled_from(WITH_NUMBER), st.integers(-3, 3), st.sampled_from("abc")),
    st.builds(rule, st.sampled_from(WITH_LIST), st.lists(st.integers(-3, 3)), st.sampled_from("abc")),
    st.builds(rule, st.sampled_from(WITHOUT_VALUE), st.none(), st.sampled_from("abc")),
)


@given(rules)
def test_a_worker_without_the_qualification_meets_only_does_not_exist(asked: QualificationRule) -> None:
    assert qualification_holds(asked, {}) == (asked.comparator is Comparator.NOT_EXIST)


@given(st.lists(rules), st.dictionaries(st.sampled_from("abc"), st.integers(-3, 3)))
def test_a_worker_is_qualified_if_no_rule_is_unmet(asked: list[QualificationRule], has: dict[str, int]) -> None:
    unmet = unmet_rules(has, asked)
    assert worker_is_qualified(has, asked) == all(qualification_holds(one, has) for one in asked)
    assert worker_is_qualified(has, asked) == (unmet == ())
    assert not any(qualification_holds(one, has) for one in unmet)


@given(rules)
def test_a_rule_survives_its_way_through_json(asked: QualificationRule) -> None:
    assert msgspec.json.decode(msgspec.json.encode(asked), type=QualificationRule) == asked


def test_the_dict_has_mephistos_keys() -> None:
    assert make_qualification_dict("skill", QUAL_IN_LIST, [1], ["mturk"]) == {
        "qualification_name": "skill",
        "comparator": "In",
        "value": [1],
        "applicable_providers": ["mturk"],
    }


@pytest.mark.parametrize(
    ("name", "comparator", "value", "complaint"),
    [
        ("skill", "GreatrThan", 1, "Did you mean 'GreaterThan'"),
        ("", QUAL_EQUAL, 1, "has no name"),
        ("skill", QUAL_EQUAL, None, "takes one whole number"),
        ("skill", QUAL_EQUAL, [1], "takes one whole number"),
        ("skill", QUAL_EQUAL, "1", "cannot be read"),
        ("skill", QUAL_EQUAL, 1.5, "cannot be read"),
        ("skill", QUAL_EQUAL, True, "cannot be read"),
        ("skill", QUAL_IN_LIST, 1, "takes a list of whole numbers"),
        ("skill", QUAL_IN_LIST, ["a"], "cannot be read"),
        ("skill", QUAL_NOT_IN_LIST, None, "takes a list of whole numbers"),
        ("skill", QUAL_EXISTS, 1, "takes no value"),
        ("skill", QUAL_NOT_EXIST, 0, "takes no value"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(name: str, comparator: str, value: int, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        make_qualification_dict(name, comparator, value)


def test_a_rule_with_a_key_too_many_is_refused() -> None:
    with pytest.raises(ConfigError, match="vaule"):
        qualification_rule({"qualification_name": "a", "comparator": QUAL_EXISTS, "value": None, "vaule": 3})


def test_rules_for_another_provider_are_left_out() -> None:
    everywhere = make_qualification_dict("a", QUAL_EXISTS, None)
    here = make_qualification_dict("b", QUAL_EXISTS, None, ["mock", "mturk"])
    elsewhere = make_qualification_dict("c", QUAL_EXISTS, None, ["mturk"])
    kept = rules_for_provider([everywhere, here, elsewhere], "mock", lambda: ["mock", "mturk"])
    assert [rule.qualification_name for rule in kept] == ["a", "b"]


def test_a_misspelt_provider_does_not_switch_a_rule_off() -> None:
    misspelt = make_qualification_dict("a", QUAL_EXISTS, None, ["mtruk"])
    with pytest.raises(ConfigError, match="Did you mean 'mturk'"):
        rules_for_provider([misspelt], "mock", lambda: ["mock", "mturk"])
