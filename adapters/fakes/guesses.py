"""Switches for what no document says about a site: each guess has a way that holds and one that may hold."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from ...core.errors import ConfigError
from ...core.suggestions import did_you_mean

GuessType = TypeVar("GuessType", bound="GuessEnum")


class Guess(NamedTuple):
    """One thing that no document says."""

    #: The fake's behaviour, unless the guess is flipped.
    default: str
    flipped: str
    #: Where the doubt comes from.
    source: str


class GuessEnum(Enum):
    """The guesses of one site, by the names of their switches; their values are `Guess`."""

    @property
    def guess(self) -> Guess:
        """Both ways of the guess."""
        value: Guess = self.value
        return value


class Guesses(Generic[GuessType]):
    """The guesses of a running fake that are flipped."""

    def __init__(self, kind: type[GuessType], flipped: Iterable[str] = ()) -> None:
        """Begin with some guesses flipped.

        Raises:
            ConfigError: a name is not that of a guess.
        """
        self.kind = kind
        self.flip_only(flipped)

    def flip_only(self, names: Iterable[str]) -> None:
        """Flip these guesses, and no others.

        Raises:
            ConfigError: a name is not that of a guess; nothing was changed.
        """
        flipped = set()
        known = {guess.name.lower(): guess for guess in self.kind}
        for name in names:
            if name.lower() not in known:
                raise ConfigError(
                    f"there is no guess {name!r}", hint=did_you_mean(name, known) or f"Guesses are {', '.join(known)}"
                )
            flipped.add(known[name.lower()])
        self._flipped = frozenset(flipped)

    def is_flipped(self, guess: GuessType) -> bool:
        """Return True if the other way of a guess holds."""
        return guess in self._flipped

    def names(self) -> list[str]:
        """Return the names of the flipped guesses, in order."""
        return sorted(guess.name.lower() for guess in self._flipped)


def guess_table(kind: type[GuessEnum]) -> str:
    """Return a site's guesses as the table of its `GUESSES.md`."""
    lines = ["| switch | the fake's way | the other way | source of the doubt |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{one.name.lower()}` | {one.guess.default} | {one.guess.flipped} | {one.guess.source} |" for one in kind
    ]
    return "\n".join(lines)
