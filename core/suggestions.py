"""Hints for words that nobody knows: the nearest one that somebody does."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

#: How alike two words must be (0 to 1) before one is offered for the other.
LIKENESS = 0.6


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None if none comes close."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=LIKENESS)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint to put behind an error: the nearest known word, or else all of them."""
    choices = sorted(known)
    near = nearest(word, choices)
    if near is not None:
        return f"Did you mean {near!r}?"
    return f"Known are: {', '.join(choices)}" if choices else "None is known"
