"""Formats statuses, counts, money and durations for people. Shared by the command line and the web pages."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.commands.review import PERSON_PREFIX
from ..core.operations.configuration.money import amount
from ..projections.queries.money.spending import Spending

#: Characters of a text from a stranger that are printed.
MAX_STRANGERS_TEXT = 200

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def format_status(status: str) -> str:
    """Return a status in words: `soft rejected`."""
    return status.replace("_", " ")


def format_worker(worker: int, name: str | None) -> str:
    """Return a worker's id with the name at the provider, if it is to be shown: `worker-3 (R_x7)`."""
    return f"worker-{worker}" if name is None else f"worker-{worker} ({name})"


def format_author(author: str | None) -> str:
    """Return the author of a decision as people know them: `ann`, and not `user/ann`."""
    return "an unknown author" if author is None else author.removeprefix(PERSON_PREFIX)


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun: `1 piece`, `1,200 pieces`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def format_counts(counts: Mapping[str, int]) -> str:
    """Return counts by name: `completed 3, launched 1`; `none` if there are no counts."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def format_spending(spending: Spending) -> str:
    """Return the state of a budget: `7.00 of 10.00 left, 2.00 owed or paid, 1.00 reserved`."""
    committed, reserved = amount(spending.committed_cents), amount(spending.reserved_cents)
    left = f"{amount(spending.left_cents)} of {amount(spending.budget_cents)} left"
    return f"{left}, {committed} owed or paid, {reserved} reserved"


def format_duration(seconds: float) -> str:
    """Return a time span in its two largest units: `2 h 5 min`."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def printable(text: str, limit: int = MAX_STRANGERS_TEXT) -> str:
    """Return a text from a stranger in a form that is safe to print: one line, without control characters, not long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: limit + 1])
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
