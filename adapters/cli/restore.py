"""Implements `mephisto-es restore`: put a backup in the place of a log."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from ...projections.registry import PROJECTIONS
from ..log.audit.restore import NewerEvents, RestoreReport, restore
from ..terminal import echo
from .common.arguments import log_argument
from .common.output import ILLEGAL, as_json_option, print_json, working
from .replay import print_report


@click.command("restore")
@log_argument
@click.option(
    "-i",
    "--input",
    "backup",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The backup.",
)
@click.option("--discard-newer", is_flag=True, help="Restore even if the log has events that the backup lacks.")
@as_json_option
def restore_command(database: Path, backup: Path, discard_newer: bool, as_json: bool) -> None:
    """Replay the backup in FILE, and put a copy of it in the place of the log in DATABASE.

    The replaced log stays beside it as `mephisto.db.replaced-<time>`. A log with events that the backup lacks is not
    replaced without --discard-newer; the verb then lists what has to be done again: erased workers, and payments that
    were requested.

    \b
    Example:
      mephisto-es restore mephisto_data -i /mnt/elsewhere/monday.db

    Exit code 0: restored. 1: the backup is not legal, or a file could not be written; the log is as it was. 2: the file
    is not a usable log, an operator is writing the log, or --discard-newer is needed.
    """
    stamp = datetime.now(UTC).strftime("replaced-%Y%m%dT%H%M%S.%fZ")
    with working("checking and restoring the backup", is_quiet=as_json):
        done = restore(backup, database, PROJECTIONS, stamp, discards_newer=discard_newer)
    if as_json:
        print_json(done)
    else:
        _print(done, backup, database)
    sys.exit(0 if done.backup.legal else ILLEGAL)


def _print(done: RestoreReport, backup: Path, database: Path) -> None:
    print_report(done.backup, backup)
    if not done.backup.legal:
        echo(f"nothing was restored; `mephisto-es doctor {backup} -o NEW` saves what can be saved of the backup")
        return
    echo(f"restored  {database}")
    if done.replaced is not None:
        echo(f"the replaced log is {database.with_name(done.replaced)}")
    if done.discarded is None and done.anchored_seq is not None and done.anchored_seq > done.backup.seq:
        echo(f"the replaced log once had {done.anchored_seq:,} events; {done.backup.seq:,} are restored")
    if done.discarded is not None:
        _print_discarded(done.discarded, database)


def _print_discarded(newer: NewerEvents, database: Path) -> None:
    echo(f"{newer.events:,} events are only in the replaced log")
    for worker in newer.erased_workers:
        echo(f"erase again: mephisto-es erase {database} worker-{worker}")
    for payment in newer.requested_payments:
        echo(f"look up before you pay: payment-{payment} was requested after the backup was made")
