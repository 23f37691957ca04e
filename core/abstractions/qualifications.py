"""Qualification rules, and whether a worker satisfies them.

A worker has qualifications by name, each with an integer value. A rule compares one of them. As in Mephisto, a
qualification that the worker does not have satisfies `DoesNotExist` and nothing else, not even `NotEqualTo` or
`NotIn`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from typing import TypedDict, assert_never

import msgspec

from ..errors import ConfigError
from ..suggestions import did_you_mean


class Comparator(Enum):
    """Comparison that a rule makes; the values are those of Mephisto and of crowd providers."""

    GREATER = "GreaterThan"
    GREATER_EQUAL = "GreaterThanOrEqualTo"
    LESS = "LessThan"
    LESS_EQUAL = "LessThanOrEqualTo"
    EQUAL = "EqualTo"
    NOT_EQUAL = "NotEqualTo"
    EXISTS = "Exists"
    NOT_EXIST = "DoesNotExist"
    IN_LIST = "In"
    NOT_IN_LIST = "NotIn"


QUAL_GREATER = Comparator.GREATER.value
QUAL_GREATER_EQUAL = Comparator.GREATER_EQUAL.value
QUAL_LESS = Comparator.LESS.value
QUAL_LESS_EQUAL = Comparator.LESS_EQUAL.value
QUAL_EQUAL = Comparator.EQUAL.value
QUAL_NOT_EQUAL = Comparator.NOT_EQUAL.value
QUAL_EXISTS = Comparator.EXISTS.value
QUAL_NOT_EXIST = Comparator.NOT_EXIST.value
QUAL_IN_LIST = Comparator.IN_LIST.value
QUAL_NOT_IN_LIST = Comparator.NOT_IN_LIST.value

_COMPARISONS: Mapping[Comparator, Callable[[int, int], bool]] = {
    Comparator.GREATER: operator.gt,
    Comparator.GREATER_EQUAL: operator.ge,
    Comparator.LESS: operator.lt,
    Comparator.LESS_EQUAL: operator.le,
    Comparator.EQUAL: operator.eq,
    Comparator.NOT_EQUAL: operator.ne,
}


class QualificationDict(TypedDict):
    """A rule in the form that scripts pass in `SharedTaskState.qualifications`."""

    qualification_name: str
    comparator: str
    value: int | list[int] | None
    applicable_providers: list[str] | None


class QualificationRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule whose value fits its comparator.

    Raises:
        ConfigError: the name is empty, or the value is not of the kind that the comparator takes.
    """

    qualification_name: str
    comparator: Comparator
    #: A number to compare with, the numbers of a list, or None for the comparators that need no value.
    value: int | tuple[int, ...] | None
    #: Providers whose workers the rule applies to; None for all.
    applicable_providers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.qualification_name:
            raise ConfigError("a qualification rule has no name", key="qualification_name")
        if self.comparator in _COMPARISONS:
            valid, takes = isinstance(self.value, int), "one whole number"
        elif self.comparator in (Comparator.IN_LIST, Comparator.NOT_IN_LIST):
            valid, takes = isinstance(self.value, tuple), "a list of whole numbers"
        else:
            valid, takes = self.value is None, "no value (None)"
        if not valid:
            raise ConfigError(
                f"the rule {self.qualification_name!r} {self.comparator.value} has the value {self.value!r}",
                key="value",
                hint=f"{self.comparator.value} takes {takes}",
            )


def make_qualification_dict(
    qualification_name: str,
    comparator: str,
    value: int | list[int] | None,
    applicable_providers: list[str] | None = None,
) -> QualificationDict:
    """Return a rule for `SharedTaskState.qualifications`.

    Args:
        qualification_name: the qualification that the rule compares.
        comparator: one of the ten `QUAL_...` names.
        value: a number, a list of numbers for `QUAL_IN_LIST` and `QUAL_NOT_IN_LIST`, None for `QUAL_EXISTS` and
            `QUAL_NOT_EXIST`.
        applicable_providers: the providers whose workers the rule applies to; None for all.

    Raises:
        ConfigError: the comparator is unknown, or the value does not fit it.
    """
    rule = QualificationDict(
        qualification_name=qualification_name,
        comparator=comparator,
        value=value,
        applicable_providers=applicable_providers,
    )
    qualification_rule(rule)
    return rule


def qualification_rule(written: Mapping[str, object]) -> QualificationRule:
    """Read a rule in the form of `make_qualification_dict`.

    Raises:
        ConfigError: a part of the rule is wrong; the error names the part.
    """
    comparators = [comparator.value for comparator in Comparator]
    comparator = written.get("comparator")
    if comparator not in comparators:
        raise ConfigError(
            f"the comparator {comparator!r} of a qualification rule does not exist",
            key="comparator",
            hint=did_you_mean(str(comparator), comparators),
        )
    try:
        return msgspec.convert(written, QualificationRule)
    except msgspec.ValidationError as error:
        raise ConfigError(f"a qualification rule cannot be read: {error}", key="qualifications") from error


def rules_for_provider(
    written: Iterable[Mapping[str, object]], provider_type: str, known_providers: Callable[[], Collection[str]]
) -> tuple[QualificationRule, ...]:
    """Read the rules of a run, and keep those that apply to the workers of its provider.

    Args:
        written: the rules, as a script or a blueprint writes them.
        provider_type: the run's provider.
        known_providers: returns the names of all providers. Only called if a rule names one: it may have to search all
            installed packages.

    Raises:
        ConfigError: a rule is wrong, or names an unknown provider. A misspelt name would otherwise switch the rule off
            silently.
    """
    kept = []
    for rule in map(qualification_rule, written):
        for provider in rule.applicable_providers or ():
            if provider not in (known := known_providers()):
                raise ConfigError(
                    f"the rule {rule.qualification_name!r} is for the provider {provider!r}, which does not exist",
                    key="applicable_providers",
                    hint=did_you_mean(provider, known),
                )
        if rule.applicable_providers is None or provider_type in rule.applicable_providers:
            kept.append(rule)
    return tuple(kept)


def qualification_holds(rule: QualificationRule, granted: Mapping[str, int]) -> bool:
    """Return whether a worker's qualifications satisfy one rule."""
    has = granted.get(rule.qualification_name)
    if has is None:
        return rule.comparator is Comparator.NOT_EXIST
    match rule.value:
        case None:
            return rule.comparator is Comparator.EXISTS
        case int(number):
            return _COMPARISONS[rule.comparator](has, number)
        case tuple(numbers):
            return (has in numbers) == (rule.comparator is Comparator.IN_LIST)
        case _:
            assert_never(rule.value)


def unmet_rules(granted: Mapping[str, int], rules: Iterable[QualificationRule]) -> tuple[QualificationRule, ...]:
    """Return the rules that a worker does not satisfy, in order."""
    return tuple(rule for rule in rules if not qualification_holds(rule, granted))


def worker_is_qualified(granted: Mapping[str, int], rules: Iterable[QualificationRule]) -> bool:
    """Return whether a worker satisfies all rules."""
    return not unmet_rules(granted, rules)
