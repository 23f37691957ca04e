"""Reads requirements on participants: filters as Prolific has them, or requirements under Mephisto's names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ....core.errors import ConfigError
from ....core.suggestions import did_you_mean
from .api.study_request import ALLOW_GROUP_FILTER, StudyFilter

KEY = "mephisto.provider.prolific_eligibility_requirements"
#: The filter with the ids of people who may not take part.
BLOCK_FILTER = "custom_blocklist"
_Fields = Mapping[str, object]


def _range_of(filter_id: str, lowest: str, highest: str) -> Callable[[_Fields], StudyFilter]:
    def read(fields: _Fields) -> StudyFilter:
        bounds = {
            bound: _number(fields[name]) for bound, name in (("lower", lowest), ("upper", highest)) if name in fields
        }
        return StudyFilter(filter_id=filter_id, selected_range=bounds)

    return read


def _values_of(filter_id: str, name: str) -> Callable[[_Fields], StudyFilter]:
    def read(fields: _Fields) -> StudyFilter:
        values = fields.get(name)
        chosen = [values] if isinstance(values, str) else values
        if not isinstance(chosen, list | tuple):
            raise ConfigError(f"{fields.get('name')} needs {name}", key=KEY)
        return StudyFilter(filter_id=filter_id, selected_values=tuple(map(str, chosen)))

    return read


#: Mephisto's requirements, as filters.
_REQUIREMENTS: dict[str, Callable[[_Fields], StudyFilter]] = {
    "AgeRangeEligibilityRequirement": _range_of("age", "min_age", "max_age"),
    "ApprovalNumbersEligibilityRequirement": _range_of("approval_numbers", "minimum_approvals", "maximum_approvals"),
    "ApprovalRateEligibilityRequirement": _range_of("approval_rate", "minimum_approval_rate", "maximum_approval_rate"),
    "CustomBlacklistEligibilityRequirement": _values_of(BLOCK_FILTER, "black_list"),
    "CustomWhitelistEligibilityRequirement": _values_of("custom_allowlist", "white_list"),
    "ParticipantGroupEligibilityRequirement": _values_of(ALLOW_GROUP_FILTER, "id"),
}


def read_filters(requirements: Iterable[object]) -> tuple[StudyFilter, ...]:
    """Return the filters of a study.

    Args:
        requirements: objects with `filter_id` and `selected_values` or `selected_range`, as Prolific's API takes them,
            or with `name` and the fields of one of Mephisto's requirements.

    Raises:
        ConfigError: one cannot be read.
    """
    return tuple(_read(requirement) for requirement in requirements)


def without_people(filters: Sequence[StudyFilter], people: Sequence[str]) -> tuple[StudyFilter, ...]:
    """Return filters of a study that leave out some people as well; a list of the configuration is extended."""
    if not people:
        return tuple(filters)
    listed = [value for one in filters if one.filter_id == BLOCK_FILTER for value in one.selected_values]
    others = [one for one in filters if one.filter_id != BLOCK_FILTER]
    excluded = tuple(dict.fromkeys((*listed, *people)))
    return (*others, StudyFilter(filter_id=BLOCK_FILTER, selected_values=excluded))


def _read(requirement: object) -> StudyFilter:
    if not isinstance(requirement, Mapping):
        raise ConfigError(f"{requirement!r} is no requirement", key=KEY, hint="Write an object with filter_id")
    fields = {str(name): value for name, value in requirement.items()}
    if "filter_id" in fields:
        values, bounds = fields.get("selected_values") or (), fields.get("selected_range")
        if not isinstance(values, list | tuple) or not isinstance(bounds, Mapping | None):
            raise ConfigError(f"the filter {fields['filter_id']!r} has wrong values", key=KEY)
        return StudyFilter(
            filter_id=str(fields["filter_id"]),
            selected_values=tuple(map(str, values)),
            selected_range=None if bounds is None else {str(name): _number(bounds[name]) for name in bounds},
        )
    name = str(fields.get("name"))
    if name not in _REQUIREMENTS:
        raise ConfigError(f"there is no requirement {name!r}", key=KEY, hint=did_you_mean(name, _REQUIREMENTS))
    return _REQUIREMENTS[name](fields)


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{value!r} is not a whole number", key=KEY)
    return value
