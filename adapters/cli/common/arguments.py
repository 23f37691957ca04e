"""Arguments and options shared by the verbs: the log, entities in it, a point in time, secret values.

The first argument is the database: a log file, or the data folder that contains it. It may be omitted: then it is the
one named in config.yml, or `mephisto_data` in the current folder. So a first argument that is an id (`3`, `unit-12`)
is not taken for a database; write `./3` for a file with such a name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click

from ....projections.queries.entity_ref import EntityRef, parse_entity_ref
from ...composition.data_dir import DATABASE_FILE, data_dir
from ...erasure.unfinished import finish_erasure
from ...log.sqlite.as_of import LogAsOf, open_as_of

#: Stands for a value that is read from standard input or prompted for.
FROM_INPUT = "-"

_MICROSECONDS = 1_000_000


class DatabaseType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A log file, or its folder; an empty value stands for the default data folder."""

    name = "database"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ARG002
        """Return the path of the log file."""
        path = value if isinstance(value, Path) else Path(value) if value else data_dir()
        return path / DATABASE_FILE if path.is_dir() or not value else path


class RunType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """The id of a run: `1` or `run-1`."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> EntityRef:
        """Return the run."""
        if isinstance(value, EntityRef):
            return value
        run = parse_entity_ref(f"run-{value}") or parse_entity_ref(value)
        if run is None or run.kind != "run":
            self.fail(f"{value!r} is not the id of a run; write 1 or run-1.", param, ctx)
        return run


class EntityType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """The id of an entity of certain kinds: `unit-12`."""

    name = "id"

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> EntityRef:
        """Return the entity."""
        entity = value if isinstance(value, EntityRef) else parse_entity_ref(value)
        if entity is None or entity.kind not in self._kinds:
            examples = ", ".join(f"{kind}-1" for kind in self._kinds)
            self.fail(f"{value!r} is not an id that fits here; write for instance {examples}.", param, ctx)
        return entity


class LogCommand(click.Command):
    """A verb whose first argument, the database, may be omitted although another argument follows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; if the first one is an id, the database was omitted."""
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        first = given.get("database")
        if isinstance(first, str) and is_id(first):
            args = ["", *args]
        return super().parse_args(ctx, args)


def is_id(text: str) -> bool:
    """Return whether an argument is an id rather than a database."""
    return text.isdecimal() or parse_entity_ref(text) is not None


author_option = click.option(
    "--as",
    "author",
    metavar="NAME",
    help="Who makes this decision, as the log records it. Default: your login name.",
)


def _without_remains(ctx: click.Context, param: click.Parameter, database: Path) -> Path:  # noqa: ARG001
    """Delete what an interrupted erasure left in a log, whatever the verb is about to do."""
    finish_erasure(database)
    return database


log_argument = click.argument("database", type=DatabaseType(), default="", callback=_without_remains)
run_argument = click.argument("run", type=RunType())


class TimestampType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A time in ISO 8601, in UTC unless it names another zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return microseconds since the epoch."""
        if isinstance(value, int):
            return value
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time; write for instance '2026-01-31 14:05:00'.", param, ctx)
        return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * _MICROSECONDS)


class AsOfOption(NamedTuple):
    """The point in time that a verb is asked about: a time, a position, or by default the end of the log."""

    at: int | None = None
    seq: int | None = None

    def open(self, database: Path) -> AbstractContextManager[LogAsOf]:
        """Open a log as of this point. Raises the errors of `open_as_of`."""
        return open_as_of(database, seq=self.seq, at=self.at)


def as_of_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Add the options `--at` and `--seq` to a verb, which receives them as its argument `as_of`."""

    @click.option("--at", type=TimestampType(), metavar="TIME", help="As of a time (UTC), instead of now.")
    @click.option("--seq", type=click.IntRange(min=0), help="As of a position in the log, instead of its end.")
    @wraps(verb)
    def with_as_of(*, at: int | None, seq: int | None, **given: object) -> None:
        if at is not None and seq is not None:
            raise click.UsageError("--at and --seq exclude each other; give only one of them.")
        verb(as_of=AsOfOption(at, seq), **given)

    return with_as_of


def read_value(name: str, written: str) -> str:
    """Return a value from the command line; for `-`, read it from standard input, hidden if typed at a terminal."""
    if written != FROM_INPUT:
        return written
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True))
    return sys.stdin.readline().rstrip("\n")
