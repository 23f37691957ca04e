"""Ends a person's visit: an address of the panel with the ids that arrived, or a code of the person's own.

A code is computed from the run's key, so it can be checked later from a list, and one person's code is of no use to
another.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import Enum
from string import Formatter
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from ....core.errors import ConfigError
from .invitations import MIN_KEY_BYTES

#: Letters and digits that people do not confuse (Crockford's base 32, without I, L, O and U).
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 12
GROUP_LENGTH = 4
#: What a template may use.
FIELDS = frozenset({"participant", "work", "study", "code"})
_PURPOSE = b"mephisto-es completion 1\0"
#: Letters that people write for others.
_READ_AS = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


class LinkEnding(Enum):
    """Ways in which a visit can end."""

    COMPLETE = "complete"
    SCREENED_OUT = "screened_out"
    #: The run had no place for the person.
    FULL = "full"


class EndingAddresses(NamedTuple):
    """Templates of addresses for each ending; None: the page shows the code, or only thanks."""

    complete: str | None = None
    screened_out: str | None = None
    full: str | None = None

    def of(self, ending: LinkEnding) -> str | None:
        """Return the template of an ending."""
        chosen: str | None = getattr(self, ending.value)
        return chosen


class CompletionCodes:
    """The codes of one run."""

    def __init__(self, key: bytes, run: int) -> None:
        """Keep the key.

        Args:
            key: a secret of the run, at least 16 random bytes.
            run: the run's id.

        Raises:
            ConfigError: the key is too short.
        """
        if len(key) < MIN_KEY_BYTES:
            raise ConfigError(f"the key of completion codes has fewer than {MIN_KEY_BYTES} bytes")
        self._key = key
        self._run = run

    def code(self, participant: str, ending: LinkEnding = LinkEnding.COMPLETE) -> str:
        """Return the code of one person for one ending, in groups: `7K3M-9QXT-0B5R`."""
        subject = f"{self._run}\0{ending.value}\0{participant}".encode()
        number = int.from_bytes(hmac.new(self._key, _PURPOSE + subject, hashlib.sha256).digest()[:8])
        letters = "".join(ALPHABET[number >> (5 * place) & 31] for place in range(CODE_LENGTH))
        return "-".join(letters[start : start + GROUP_LENGTH] for start in range(0, CODE_LENGTH, GROUP_LENGTH))

    def ending_of(self, participant: str, typed: str) -> LinkEnding | None:
        """Return the ending that a code proves for a person; None: it is not a code of theirs.

        Args:
            participant: the person.
            typed: the code, as the person wrote it: either case, with or without dashes.
        """
        plain = typed.upper().translate(_READ_AS)
        for ending in LinkEnding:
            expected = self.code(participant, ending).replace("-", "")
            if hmac.compare_digest(expected.encode(), plain.encode("utf-8", "replace")):
                return ending
        return None


def check_template(template: str) -> None:
    """Check a template of a completion address.

    Raises:
        ConfigError: it is no address, or has a field that nobody can fill in.
    """
    fields = _fields_of(template)
    unknown = sorted(field for field in fields if field not in FIELDS)
    if unknown:
        raise _wrong_template(f"has the unknown field {{{unknown[0]}}}")
    parts = urlsplit(template)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _wrong_template("is not a web address")
    if "{" in parts.netloc:
        raise _wrong_template("has a field in the name of the server")


def completion_address(template: str, fields: Mapping[str, str]) -> str:
    """Fill a person's values into a template; each is quoted, so it stays one value.

    Args:
        template: one that `check_template` passed.
        fields: the values by name.
    """
    return template.format_map({name: quote(value, safe="") for name, value in fields.items()})


def _fields_of(template: str) -> set[str]:
    """Return the names of a template's fields.

    Raises:
        ConfigError: it is malformed, or does more than name a field.
    """
    fields = set()
    try:
        for _, field, form, conversion in Formatter().parse(template):
            if field is None:
                continue
            if form or conversion or not field.isidentifier():
                raise _wrong_template(f"has {{{field}}}, which is more than the name of a field")
            fields.add(field)
    except ValueError as error:
        raise _wrong_template("has a brace without its partner") from error
    return fields


def _wrong_template(reason: str) -> ConfigError:
    return ConfigError(
        f"the completion address {reason}",
        key="provider.completion_url",
        hint=f"Write it as https://panel.example/done?id={{participant}}; fields are {', '.join(sorted(FIELDS))}",
    )
