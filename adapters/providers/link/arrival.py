"""Reads from the address of a page who has arrived, with names of parameters that the researcher chose.

A site that was set up wrongly sends people with its placeholder in place of an id. Everyone would then be the same
worker, so such an address is refused with words for the person, and no agent is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec

from ....core.errors import ConfigError, MephistoError

#: Longest value of a parameter.
MAX_VALUE_LENGTH = 200
#: Longest query that is read, and most parameters in it.
MAX_QUERY_LENGTH = 4096
MAX_PARAMETERS = 50

#: Marks of sites' placeholders: `{{%PROLIFIC_PID%}}`, `{{MW_ID}}`, `${e://Field/pid}`, `%SURVEY_CODE%`, `[%pid%]`.
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\$\{|%\w+%|^\[.*\]$|^<.*>$|^X{3,}$|^ASSIGNMENT_ID", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9_.~-]{1,64}")


class ArrivalRefusal(Enum):
    """Reasons for not letting a person in, in words for that person."""

    MISSING = "This address lacks your id. Please open the study again from the page that invited you."
    REPEATED = "This address has more than one id. Please open the study again from the page that invited you."
    PLACEHOLDER = "This address has a placeholder where your id should be. Please tell the person who invited you."
    UNUSABLE = "The id in this address cannot be used. Please open the study again from the page that invited you."


class ArrivalRefusedError(MephistoError):
    """An address does not tell who has arrived.

    Attributes:
        reason: the reason; its value is for the person.
        parameter: the parameter at fault, as the researcher named it.
    """

    def __init__(self, reason: ArrivalRefusal, parameter: str) -> None:
        self.reason = reason
        self.parameter = parameter
        super().__init__(f"the parameter {parameter} of the address is {reason.name.lower()}")


class ArrivalNames(NamedTuple):
    """Names of the parameters that a site adds to the address."""

    #: Who the person is there.
    participant: str
    #: The piece of work there: an assignment, submission or session. None: the site sends none.
    work: str | None = None
    #: The study or project there. None: the site sends none.
    study: str | None = None
    #: True if a missing `work` or `study` is refused; sites leave them out at times.
    is_complete: bool = False
    #: True if the site writes one id in either case.
    ignores_case: bool = False


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A person's ids at a site. They are personal values."""

    participant: str
    work: str | None = None
    study: str | None = None

    def fields(self) -> dict[str, str]:
        """Return the ids by name, for a completion address; an id that did not arrive is empty."""
        return {"participant": self.participant, "work": self.work or "", "study": self.study or ""}


def check_names(names: ArrivalNames) -> None:
    """Check that names of parameters can be used.

    Raises:
        ConfigError: one cannot stand in an address, or two are the same.
    """
    chosen = [name for name in (names.participant, names.work, names.study) if name is not None]
    for name in chosen:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} cannot be the name of a parameter of an address",
                key="provider.participant_parameter",
                hint="Use letters, digits, dots, dashes and underscores",
            )
    if len(set(chosen)) < len(chosen):
        raise ConfigError("two parameters of the address have the same name", key="provider.participant_parameter")


def read_arrival(query: str, names: ArrivalNames) -> Arrival:
    """Return who has arrived.

    Args:
        query: the address from after the question mark, as the browser sent it.
        names: the parameters that count; all others are ignored.

    Raises:
        ArrivalRefusedError: it does not tell.
    """
    if len(query) > MAX_QUERY_LENGTH:
        raise ArrivalRefusedError(ArrivalRefusal.UNUSABLE, names.participant)
    try:
        values = parse_qs(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise ArrivalRefusedError(ArrivalRefusal.UNUSABLE, names.participant) from error
    participant = _one(values, names.participant)
    if participant is None:
        raise ArrivalRefusedError(ArrivalRefusal.MISSING, names.participant)
    optional = dict(_optional(values, names))
    return Arrival(
        participant=participant.casefold() if names.ignores_case else participant,
        work=optional.get("work"),
        study=optional.get("study"),
    )


def _optional(values: dict[str, list[str]], names: ArrivalNames) -> Iterator[tuple[str, str]]:
    for field, name in (("work", names.work), ("study", names.study)):
        value = None if name is None else _one(values, name)
        if value is not None:
            yield field, value.casefold() if names.ignores_case else value
        elif name is not None and names.is_complete:
            raise ArrivalRefusedError(ArrivalRefusal.MISSING, name)


def _one(values: dict[str, list[str]], name: str) -> str | None:
    """Return the value of a parameter; None: it is missing or blank.

    Raises:
        ArrivalRefusedError: it cannot be used.
    """
    found = [value.strip() for value in values.get(name, [])]
    if len(set(found)) > 1:
        raise ArrivalRefusedError(ArrivalRefusal.REPEATED, name)
    if not found or not found[0]:
        return None
    value = found[0]
    if _PLACEHOLDER.search(value):
        raise ArrivalRefusedError(ArrivalRefusal.PLACEHOLDER, name)
    if len(value) > MAX_VALUE_LENGTH or not value.isprintable():
        raise ArrivalRefusedError(ArrivalRefusal.UNUSABLE, name)
    return value
