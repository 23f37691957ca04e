"""How a verb is told which moment of a log it is about."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click

from ..log.sqlite.as_of import LogAsOf, open_as_of

_MICROSECONDS = 1_000_000


class PointInTime(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A time in ISO 8601, UTC unless it says otherwise; in microseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Microseconds since the epoch."""
        if isinstance(value, int):
            return value
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time; write for instance '2026-01-31 14:05:00'.", param, ctx)
        return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * _MICROSECONDS)


class AsOfOption(NamedTuple):
    """The moment that was asked for; neither: the head of the log."""

    at: int | None = None
    seq: int | None = None

    def open(self, database: Path) -> AbstractContextManager[LogAsOf]:
        """Open a log as of the moment. Raises as `open_as_of` does."""
        return open_as_of(database, seq=self.seq, at=self.at)


def when_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options `--at` and `--seq`; what they say comes as its argument `when`."""

    @click.option("--at", type=PointInTime(), metavar="TIME", help="As of a time (UTC), instead of now.")
    @click.option("--seq", type=click.IntRange(min=0), help="As of a position in the log, instead of its end.")
    @wraps(verb)
    def with_when(*, at: int | None, seq: int | None, **given: object) -> None:
        if at is not None and seq is not None:
            raise click.UsageError("--at and --seq say two things; give one of them.")
        verb(when=AsOfOption(at, seq), **given)

    return with_when
