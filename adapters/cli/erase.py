"""Implements `mephisto-es erase`: delete what is known about a worker."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import trio

from ...core.entity_ref import EntityRef
from ...core.errors import LogError
from ...core.operations.control.requests import EraseRequest, ErasureReport
from ...events.ids import WorkerId
from ..composition.log_choice import log_address
from ..control.client import open_control
from ..control.protocol import author_of
from ..terminal import echo
from .common.arguments import EntityType, LogCommand, author_option, log_argument
from .common.output import ILLEGAL, as_json_option, print_json


@click.command("erase", cls=LogCommand)
@log_argument
@click.argument("worker", type=EntityType("worker"))
@click.option("--reason", required=True, help="The reason. It is recorded in the log, so do not name anybody in it.")
@author_option
@as_json_option
def erase_command(database: Path, worker: EntityRef, reason: str, author: str | None, as_json: bool) -> None:
    """Delete WORKER's name and everything they sent from the log in DATABASE, its tables and its data folder.

    The events stay, without the personal values: the hash chain still verifies, and `replay` reports them as erased.
    This works while a run is live, if the worker is not at work. The journal of a server that runs is not touched, and
    is named: erase the worker again when the run has ended. Copies elsewhere are not reached, except those of a log on
    a PostgreSQL server: they delete the values when they are brought up to date, and those that have not confirmed it
    within a moment are named. Backups and write-ahead archives of that server, and folders of runs on other machines,
    are not reached. If it was interrupted, repeat it: what is left is deleted, at the latest by the next command on
    this log.

    \b
    Example:
      mephisto-es erase mephisto_data worker-3 --reason "asked us to on 2026-02-01"

    Exit code 0: nothing of the worker is left in this data folder. 1: it was refused, or files there still contain the
    name or submissions, and are listed. 2: the file is not a usable log.
    """
    request = EraseRequest(worker=WorkerId(worker.number), reason=reason)
    done = trio.run(_erase, database, request, author_of(author))
    if as_json:
        print_json(done)
    else:
        _print(done)
    sys.exit(0 if done.complete else ILLEGAL)


async def _erase(database: Path, request: EraseRequest, author: str) -> ErasureReport:
    async with open_control(database, author) as control:
        erasure = (await control.execute(request)).erasure
    if erasure is None:
        raise LogError("the process that has the log open did not report on the erasure; repeat the command")
    return erasure


def _print(done: ErasureReport) -> None:
    was_erased = "was erased before" if done.repeated else "is erased"
    echo(
        f"worker-{done.worker} {was_erased}, at seq {done.seq:,}: "
        f"{done.payloads:,} values and {len(done.uploads):,} files were deleted"
    )
    for path in done.journals_in_use:
        echo(
            f"✗ {path}, the journal of a server that runs, may still have the worker's name: erase again after the run"
        )
    for path in done.left:
        if path in done.journals_in_use:
            continue
        echo(f"✗ {path} still contains the worker's name or submissions; delete or recreate it")
    for copy in done.unconfirmed:
        echo(f"not confirmed by the copy at {copy}, which deletes them when it is brought up to date")
    if log_address() is not None:
        echo("not reached: the database server's backups and write-ahead archives, which keep the values")
        echo("not reached: folders of runs on other machines: erase the worker again there once the runs have ended")
    if done.held_by_reader:
        echo("✗ a program has the log open for reading: end it; the next command on this log then deletes the rest")
