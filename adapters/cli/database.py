"""How every verb is told which log it is about, and what in it.

The first argument is the database: a log file, or the data folder that it is in. It may be left out: then it is that
of config.yml, or `mephisto_data` in the folder where the command is run. So a first argument that is an id (`3`,
`unit-12`) is not taken for a database; a file of such a name is written `./3`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ...projections.queries.entity_ref import EntityRef, parse_subject
from ..composition.data_dir import DATABASE_FILE, data_dir


class DatabaseType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A log file, or the folder it is in; empty: the data folder where none is named."""

    name = "database"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ARG002
        """The path of the file."""
        path = value if isinstance(value, Path) else Path(value) if value else data_dir()
        return path / DATABASE_FILE if path.is_dir() or not value else path


class RunType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """The id of a run: `1` or `run-1`."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> EntityRef:
        """The run."""
        if isinstance(value, EntityRef):
            return value
        subject = parse_subject(f"run-{value}") or parse_subject(value)
        if subject is None or subject.kind != "run":
            self.fail(f"{value!r} is not the id of a run; write 1 or run-1.", param, ctx)
        return subject


class SubjectType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """The id of an entity of one of some kinds: `unit-12`."""

    name = "id"

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> EntityRef:
        """The entity."""
        subject = value if isinstance(value, EntityRef) else parse_subject(value)
        if subject is None or subject.kind not in self._kinds:
            wanted = ", ".join(f"{kind}-1" for kind in self._kinds)
            self.fail(f"{value!r} is not an id this verb knows; write for instance {wanted}.", param, ctx)
        return subject


class SubjectCommand(click.Command):
    """A verb whose first argument is a database that may be left out, although another argument follows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; where the first argument is an id, the database was left out."""
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        first = given.get("database")
        if isinstance(first, str) and is_id(first):
            args = ["", *args]
        return super().parse_args(ctx, args)


def is_id(text: str) -> bool:
    """Whether an argument is an id, and not a database."""
    return text.isdecimal() or parse_subject(text) is not None


log_argument = click.argument("database", type=DatabaseType(), default="")
run_argument = click.argument("run", type=RunType())
