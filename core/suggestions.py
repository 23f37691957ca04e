"""Suggests known words for unknown ones."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

#: Minimum similarity (0 to 1) of a suggestion.
MIN_SIMILARITY = 0.6


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word most similar to `word`; None if none is similar enough."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=MIN_SIMILARITY)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint for an error message: the nearest known word, or else all of them."""
    choices = sorted(known)
    near = nearest(word, choices)
    if near is not None:
        return f"Did you mean {near!r}?"
    return f"Known are: {', '.join(choices)}" if choices else "None is known"
