"""`mephisto-es projections`: the views that a log file holds, and how to make them anew."""

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
from .common.output import as_json_option, console, print_json

LIST, REBUILD = "list", "rebuild"
#: Differences that are printed for people; `--json` has them all.
SHOWN_DIFFERENCES = 20


class View(msgspec.Struct, frozen=True):
    """A view of a log file."""

    name: str
    #: The last event in it, and in the log; None: the view was never made.
    seq: int | None
    head: int
    #: Whether this version made it; if not, the next operator makes it anew.
    current: bool
    #: Rows of each of its tables.
    rows: dict[str, int]


class ProjectionsCommand(click.Command):
    """A verb whose first argument is a database that may be left out, although a word follows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; where the first argument is the word, the database was left out."""
        return super().parse_args(ctx, ["", *args] if args and args[0] in (LIST, REBUILD) else args)


@click.command("projections", cls=ProjectionsCommand)
@log_argument
@click.argument("action", type=click.Choice([LIST, REBUILD]))
@click.option(
    "--name", type=click.Choice([each.name for each in PROJECTIONS]), help="Only this one, instead of all there are."
)
@as_json_option
def projections_command(database: Path, action: str, name: str | None, as_json: bool) -> None:
    """List the views in the log in DATABASE, or make them anew from its events.

    A rebuild makes new tables, compares them with the old ones, and then swaps them; readers see the old ones until
    then. It needs the log for writing, so no operator may be at work on it meanwhile.

    \b
    Examples:
      mephisto-es projections mephisto_data list
      mephisto-es projections mephisto_data rebuild
    """
    chosen = [each for each in PROJECTIONS if name in (None, each.name)]
    if action == LIST:
        views = _views(database, chosen)
        print_json({"views": views}) if as_json else _print_views(views)
    else:
        rebuilt = _rebuild(database, chosen)
        print_json({"rebuilt": list(map(_described, rebuilt))}) if as_json else _print_rebuilt(rebuilt)


def _views(database: Path, projections: Sequence[Projection]) -> list[View]:
    with closing(AuditedFile(database)) as log:
        stored = {view.name: view for view in log.views()}
        head = log.head().seq
        return [_view(log, projection, stored.get(projection.name), head) for projection in projections]


def _view(log: AuditedFile, projection: Projection, stored: StoredView | None, head: int) -> View:
    if stored is None:
        return View(projection.name, None, head, current=False, rows={})
    rows = {table: log.tables.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in projection.tables}
    return View(projection.name, stored.seq, head, stored.code == code_fingerprint(projection), rows)


def _rebuild(database: Path, projections: Sequence[Projection]) -> list[Rebuilt]:
    if not database.is_file():
        raise UnusableLogError(f"there is no log at {database}; check the path")
    with SqliteLog.create_or_open(database) as log:
        return [log.rebuild(projection) for projection in projections]


def _described(done: Rebuilt) -> dict[str, object]:
    differences = None if done.differences is None else list(map(str, done.differences))
    return {"name": done.name, "generation": done.generation, "seq": done.seq, "differences": differences}


def _print_views(views: Sequence[View]) -> None:
    grid = Table("view", "at", "made by", "rows", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for view in views:
        at = "never made" if view.seq is None else f"seq {view.seq:,} of {view.head:,}"
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
