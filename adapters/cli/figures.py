"""How figures are written for people."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from ...core.operations.configuration.money import amount
from ...projections.queries.money.spending import Spending

#: Columns of a table that is not printed to a terminal.
PIPED_WIDTH = 160

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def console() -> Console:
    """Where verbs print for people: lines are never broken, so that they can be pasted and searched."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def facts() -> Table:
    """A table of names and values, without lines."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def by_status(counts: Mapping[str, int]) -> str:
    """Counts by status: `completed 3, launched 1`."""
    return ", ".join(f"{status} {count:,}" for status, count in counts.items()) or "none"


def spent(spending: Spending) -> str:
    """What of a budget is spoken for: `7.00 of 10.00 left, 2.00 owed, 1.00 kept back`."""
    spoken_for = f"{amount(spending.committed_cents)} owed, {amount(spending.reserved_cents)} kept back"
    return f"{amount(spending.left_cents)} of {amount(spending.budget_cents)} left, {spoken_for}"


def duration(seconds: float) -> str:
    """A time span in its two largest units: `2 h 5 min`."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"
