"""Implements `mephisto-es projections`: list the views in a log file, or rebuild them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ...core.errors import UnusableLogError
from ...projections.audit.views import StoredView
from ...projections.engine.fingerprint import code_fingerprint
from ...projections.engine.projection import Projection
from ...projections.registry import PROJECTIONS
from ..log.audit.audited_file import AuditedFile
from ..log.sqlite.log import SqliteLog
from ..log.sqlite.projector import Rebuilt
from .common.arguments import log_argument
from .common.output import as_json_option, console, print_json, working

LIST, REBUILD = "list", "rebuild"
#: Differences that are printed; `--json` prints all of them.
SHOWN_DIFFERENCES = 20


class View(msgspec.Struct, frozen=True):
    """A view in a log file."""

    name: str
    #: The position of the last event in the view; None if it was never built.
    seq: int | None
    #: The position of the last event in the log.
    head: int
    #: Whether this version built it. If not, the next operator rebuilds it.
    current: bool
    #: The number of rows by table.
    rows: dict[str, int]


class ViewList(msgspec.Struct, frozen=True):
    """The views of a log."""

    views: tuple[View, ...]


class RebuiltView(msgspec.Struct, frozen=True):
    """A view that was rebuilt."""

    name: str
    generation: int
    #: The position of the last event in it.
    seq: int
    #: Values that differed from the old tables; None if they were not compared.
    differences: tuple[str, ...] | None


class RebuildList(msgspec.Struct, frozen=True):
    """The views that were rebuilt."""

    rebuilt: tuple[RebuiltView, ...]


class ProjectionsCommand(click.Command):
    """A verb whose first argument, the database, may be omitted although a word follows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; if the first one is the word, the database was omitted."""
        return super().parse_args(ctx, ["", *args] if args and args[0] in (LIST, REBUILD) else args)


@click.command("projections", cls=ProjectionsCommand)
@log_argument
@click.argument("action", type=click.Choice([LIST, REBUILD]))
@click.option("--name", type=click.Choice([each.name for each in PROJECTIONS]), help="Only this view, instead of all.")
@as_json_option
def projections_command(database: Path, action: str, name: str | None, as_json: bool) -> None:
    """List the views in the log in DATABASE, or rebuild them from its events.

    A rebuild creates new tables, compares them with the old ones, and then swaps them; readers see the old ones until
    then. It needs write access to the log, so no operator may run on it.

    \b
    Examples:
      mephisto-es projections mephisto_data list
      mephisto-es projections mephisto_data rebuild
    """
    chosen = [each for each in PROJECTIONS if name in (None, each.name)]
    if action == LIST:
        views = _views(database, chosen)
        print_json(ViewList(tuple(views))) if as_json else _print_views(views)
    else:
        with working("rebuilding", is_quiet=as_json):
            rebuilt = _rebuild(database, chosen)
        print_json(RebuildList(tuple(map(_described, rebuilt)))) if as_json else _print_rebuilt(rebuilt)


def _views(database: Path, projections: Sequence[Projection]) -> list[View]:
    with closing(AuditedFile(database)) as log:
        stored = {view.name: view for view in log.views()}
        head = log.head().seq
        return [_view(log, projection, stored.get(projection.name), head) for projection in projections]


def _view(log: AuditedFile, projection: Projection, stored: StoredView | None, head: int) -> View:
    if stored is None:
        return View(projection.name, None, head, current=False, rows={})
    rows = {table: log.row_count(table) for table in projection.tables}
    return View(projection.name, stored.seq, head, stored.code == code_fingerprint(projection), rows)


def _rebuild(database: Path, projections: Sequence[Projection]) -> list[Rebuilt]:
    if not database.is_file():
        raise UnusableLogError(f"there is no log at {database}; check the path")
    with SqliteLog.create_or_open(database) as log:
        return [log.rebuild(projection) for projection in projections]


def _described(done: Rebuilt) -> RebuiltView:
    differences = None if done.differences is None else tuple(map(str, done.differences))
    return RebuiltView(done.name, done.generation, done.seq, differences)


def _print_views(views: Sequence[View]) -> None:
    grid = Table("view", "at", "built by", "rows", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for view in views:
        at = "never built" if view.seq is None else f"seq {view.seq:,} of {view.head:,}"
        rows = ", ".join(f"{table} {count:,}" for table, count in view.rows.items())
        grid.add_row(view.name, at, "this version" if view.current else "another version", rows)
    console().print(grid)


def _print_rebuilt(rebuilt: Sequence[Rebuilt]) -> None:
    out = console()
    for done in rebuilt:
        compared = "was not compared" if done.differences is None else f"{len(done.differences):,} values differed"
        out.print(f"{done.name}: generation {done.generation} at seq {done.seq:,}; the old one: {compared}")
        for difference in (done.differences or ())[:SHOWN_DIFFERENCES]:
            out.print(f"  {escape(str(difference))}")
