"""Implements `mephisto-es diff`: show what changed between two points in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.markup import escape

from ...projections.queries.diff import Change, ChangeKind, changes
from ..log.sqlite.as_of import LogAsOf
from .common.arguments import AsOfOption, TimestampType, log_argument
from .common.output import as_json_option, console, print_json, working


class LogPlace(msgspec.Struct, frozen=True):
    """A point in a log: its last position and, in microseconds, the time there."""

    seq: int
    at: int


class LogDiff(msgspec.Struct, frozen=True):
    """The difference between two points of a log."""

    before: LogPlace
    after: LogPlace
    changes: tuple[Change, ...]


class PointInTimeType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A position (`120`) or a time."""

    name = "point"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> AsOfOption:
        """Return the point in time."""
        if isinstance(value, AsOfOption):
            return value
        if value.isdecimal():
            return AsOfOption(seq=int(value))
        return AsOfOption(at=TimestampType().convert(value, param, ctx))


class DiffCommand(click.Command):
    """A verb whose first argument, the database, may be omitted although two arguments follow."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; if there are only two, the database was omitted."""
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        if isinstance(given.get("before"), str) and not isinstance(given.get("after"), str):
            args = ["", *args]
        return super().parse_args(ctx, args)


@click.command("diff", cls=DiffCommand)
@log_argument
@click.argument("before", type=PointInTimeType(), metavar="A")
@click.argument("after", type=PointInTimeType(), metavar="B")
@as_json_option
def diff_command(database: Path, before: AsOfOption, after: AsOfOption, as_json: bool) -> None:
    """Show which rows of the log in DATABASE changed between A and B: two times, or two positions in the log.

    \b
    Examples:
      mephisto-es diff mephisto_data 100 120
      mephisto-es diff mephisto_data "2026-01-31 14:00" "2026-01-31 14:05"
    """
    with working("comparing", is_quiet=as_json), before.open(database) as old, after.open(database) as new:
        found = LogDiff(_place(old), _place(new), tuple(changes(old.db, new.db)))
    if as_json:
        print_json(found)
    else:
        console().print(f"[bold]seq {found.before.seq:,} to {found.after.seq:,}[/]")
        for text in map(_line, found.changes):
            console().print(text)


def _place(moment: LogAsOf) -> LogPlace:
    return LogPlace(moment.seq, moment.at)


def _line(change: Change) -> str:
    row = f"{change.table}[{_word(change.key)}]"
    match change.kind:
        case ChangeKind.ADDED:
            return f"[green]+ {escape(row)}[/] {escape(', '.join(_values(change, 1)))}"
        case ChangeKind.REMOVED:
            return f"[red]- {escape(row)}[/] {escape(', '.join(_values(change, 0)))}"
        case ChangeKind.CHANGED:
            steps = (f"{column} {_word(was)} → {_word(now)}" for column, (was, now) in change.columns.items())
            return f"[yellow]~ {escape(row)}[/] {escape(', '.join(steps))}"


def _values(change: Change, side: int) -> Iterator[str]:
    return (f"{column} {_word(values[side])}" for column, values in change.columns.items())


def _word(value: object) -> str:
    return "nothing" if value is None else str(value)
