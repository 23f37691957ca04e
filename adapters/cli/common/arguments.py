"""Arguments and options shared by the verbs: the log, entities in it, a point in time, secret values.

The first argument is the database: a log file, the data folder that contains it, or the address of a PostgreSQL
database, of whose log a copy is then kept in the user's cache folder. It may be omitted: then it is the
one named in config.yml, or `mephisto_data` in the current folder. So a first argument that is an id (`3`, `unit-12`)
is not taken for a database; write `./3` for a file with such a name. Where an entity is required and nothing else is
given, that is the entity.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from ....core.entity_ref import ID_PREFIX, WORKER, EntityRef, find_entity, parse_entity_ref
from ....core.errors import ConfigError, UnknownEntityError
from ....projections.mephisto_db.reader import MephistoDB
from ....projections.queries.entity_ref import ViewLookup
from ....projections.registry import PROJECTIONS
from ...advice import advised, remember_database
from ...composition.data_dir import DATABASE_FILE, data_dir
from ...composition.log_choice import copy_of, is_address, refresh_copy, update_copy
from ...composition.script_plugins import import_launch_script
from ...erasure.unfinished import finish_erasure
from ...log.sqlite.as_of import LogAsOf, open_as_of
from ...private_files import make_private_folder
from .candidates import candidates

#: Stands for a value that is read from standard input or prompted for.
FROM_INPUT = "-"
#: Runs that are named if one has to be chosen.
LISTED_RUNS = 10

_MICROSECONDS = 1_000_000


class DatabaseType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A log file, its folder, or the address of a PostgreSQL database; an empty value is the default data folder."""

    name = "database"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ARG002
        """Return the path of the log file."""
        if isinstance(value, str) and value:
            remember_database(ctx, value)
            if is_address(value):
                return copy_of(value) if ctx is not None and ctx.resilient_parsing else _made_copy(value)
        path = value if isinstance(value, Path) else Path(value) if value else data_dir()
        return path / DATABASE_FILE if path.is_dir() or not value else path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer files, and ids in the default log for what follows, because the database may be omitted."""
        files = CompletionItem(incomplete, type="file")
        following = [one for one in ctx.command.params if isinstance(one, click.Argument) and one is not param]
        if following and isinstance(following[0].type, EntityType):
            return [files, *following[0].type.shell_complete(ctx, following[0], incomplete)]
        return [files]


def _made_copy(address: str) -> Path:
    """Return the copy, in the user's cache folder, of the log in a database; it is made if there is none.

    Raises:
        ConfigError: the address has a password, or the driver is not installed.
        LogError: the server cannot be used, or has no log.
    """
    path = copy_of(address)
    if not path.exists():
        make_private_folder(path.parent)
        update_copy(path, PROJECTIONS)
    return path


class EntityType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """An entity of certain kinds, by id (`unit-12`, `unit12`) or, for a worker, by the name at the provider.

    The text is checked here as far as that is possible without the log; `LogCommand` then looks it up.
    """

    name = "id"

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, if it may refer to such an entity."""
        text = str(value).strip()
        other = parse_entity_ref(text)
        if (
            not text
            or (other is not None and other.kind not in self.kinds)
            or (WORKER not in self.kinds and not any(parse_entity_ref(_bare(text), one) for one in self.kinds))
        ):
            examples = ", ".join(f"{kind}-1" for kind in self.kinds)
            message = f"{value!r} is not an id that fits here; write for instance {examples}."
            if other is not None and other.kind == "unit" and "agent" in self.kinds:
                message += advised(f" `mephisto-es timeline {other}` names the agents of the unit.", ctx)
            self.fail(message, param, ctx)
        return text

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Offer the ids of the database of this call, by default of the default log."""
        try:
            return candidates(ctx.params.get("database") or data_dir() / DATABASE_FILE, self.kinds, incomplete)
        except ConfigError:
            return []

    def find(self, db: MephistoDB, text: str) -> EntityRef:
        """Return the entity that a converted text refers to. Raises the errors of `find_entity`."""
        return find_entity(ViewLookup(db), text, self.kinds)


class RunType(EntityType):
    """A run: `1` or `run-1`."""

    name = "run"

    def __init__(self) -> None:
        super().__init__("run")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, if it may be the id of a run; an empty text stands for an omitted one."""
        if value and parse_entity_ref(_bare(str(value)), "run") is None:
            self.fail(f"{value!r} is not the id of a run; write 1 or run-1.", param, ctx)
        return str(value)


class OnlyRunType(RunType):
    """A run, which may be omitted if there is only one."""


class LogCommand(click.Command):
    """A verb whose first argument, the database, may be omitted although others follow.

    Its arguments and options of type `EntityType` are looked up in the database before the verb is called.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; add an empty database if it was omitted."""
        if ctx.resilient_parsing and args and self._wants_value(args[-1]):
            # A shell completes the value of an option. Without its value, click would not parse the rest either.
            args = args[:-1]
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        arguments = [param for param in self.params if isinstance(param, click.Argument)]
        texts = [text for one in arguments if isinstance(text := given.get(one.name or ""), str)]
        if texts and len(arguments) > 1 and self._omits_database(texts, sum(one.required for one in arguments)):
            args = ["", *args]
        return super().parse_args(ctx, args)

    def _wants_value(self, word: str) -> bool:
        options = (param for param in self.params if isinstance(param, click.Option) and word in param.opts)
        return any(not option.is_flag for option in options)

    @staticmethod
    def _omits_database(texts: Sequence[str], required: int) -> bool:
        if is_address(texts[0]):
            return False
        return is_id(texts[0]) or (len(texts) <= required and not Path(texts[0]).exists())

    def invoke(self, ctx: click.Context) -> Any:
        """Look the entities up, and call the verb."""
        # The return type is click's: whatever a command returns.
        _check_moment(ctx.params.get("at"), ctx.params.get("seq"))
        wanted = {one.name: one.type for one in self.params if isinstance(one.type, EntityType) and one.name}
        only = any(isinstance(kind, OnlyRunType) and not ctx.params[name] for name, kind in wanted.items())
        if only or any(ctx.params[name] for name in wanted):
            with open_as_of(ctx.params["database"]) as moment:
                for name, kind in wanted.items():
                    ctx.params[name] = _found(moment.db, kind, ctx.params[name])
        return super().invoke(ctx)


def _found(db: MephistoDB, kind: EntityType, written: str | tuple[str, ...] | None) -> Any:
    """Return the entity that was written, a tuple of them, or None if none was.

    Raises:
        CommandRefusedError: there is no such entity, or it is not clear which is meant.
    """
    if isinstance(written, tuple):
        return tuple(_found(db, kind, text) for text in written)
    if written:
        return kind.find(db, written)
    return only_run(db) if isinstance(kind, OnlyRunType) else None


def only_run(db: MephistoDB) -> EntityRef:
    """Return the only run of a log.

    Raises:
        UnknownEntityError: there is none.
        click.UsageError: there are several; the message lists the latest.
    """
    runs = db.find_task_runs()
    if not runs:
        raise UnknownEntityError("run in this log yet")
    if len(runs) > 1:
        latest = ", ".join(f"run-{run.task_run_id} ({run.status})" for run in runs[-LISTED_RUNS:])
        more = "the latest are " if len(runs) > LISTED_RUNS else ""
        raise click.UsageError(f"This log has {len(runs):,} runs; name one of them as RUN: {more}{latest}.")
    return EntityRef("run", runs[0].task_run_id)


def is_id(text: str) -> bool:
    """Return whether an argument is an id rather than a database. A file or folder named `run1` is a database."""
    if text.isdecimal():
        return True
    return parse_entity_ref(text) is not None and ("-" in text or not Path(text).exists())


def _bare(text: str) -> str:
    return text.strip().removeprefix(ID_PREFIX)


pseudonyms_option = click.option(
    "--pseudonyms", is_flag=True, help="Show workers only by their ids, without their names at the provider."
)


def _import_script(ctx: click.Context, param: click.Parameter, script: Path | None) -> None:  # noqa: ARG001
    """Register what a launch script defines, before the verb needs it."""
    if script is not None and not ctx.resilient_parsing:
        import_launch_script(script)


script_option = click.option(
    "--script",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    expose_value=False,
    is_eager=True,
    callback=_import_script,
    metavar="FILE",
    help="The launch script, if it defines the run's crowd provider; it is imported, and launches nothing.",
)
author_option = click.option(
    "--as",
    "author",
    metavar="NAME",
    help="Who makes this decision, as the log records it. Default: your login name.",
)


def _without_remains(ctx: click.Context, param: click.Parameter, database: Path) -> Path:  # noqa: ARG001
    """Bring a copy up to date, and delete what an interrupted erasure left in a log, whatever the verb will do."""
    # A shell that completes a word does not run the verb.
    if not ctx.resilient_parsing:
        refresh_copy(database, PROJECTIONS)
        finish_erasure(database)
    return database


log_argument = click.argument("database", type=DatabaseType(), default="", callback=_without_remains)
run_argument = click.argument("run", type=OnlyRunType(), required=False)


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


def _check_moment(at: int | None, seq: int | None) -> None:
    """Check that at most one point in time is given.

    Raises:
        click.UsageError: there are two.
    """
    if at is not None and seq is not None:
        raise click.UsageError("--at and --seq exclude each other; give only one of them.")


def as_of_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Add the options `--at` and `--seq` to a verb, which receives them as its argument `as_of`."""

    @click.option("--at", type=TimestampType(), metavar="TIME", help="As of a time (UTC), instead of now.")
    @click.option("--seq", type=click.IntRange(min=0), help="As of a position in the log, instead of its end.")
    @wraps(verb)
    def with_as_of(*, at: int | None, seq: int | None, **given: object) -> None:
        _check_moment(at, seq)
        verb(as_of=AsOfOption(at, seq), **given)

    return with_as_of


def read_value(name: str, written: str) -> str:
    """Return a value from the command line; for `-`, read it from standard input, hidden if typed at a terminal."""
    if written != FROM_INPUT:
        return written
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True))
    return sys.stdin.readline().rstrip("\n")
