"""Implements `mephisto-es prove`: show what happened to one unit, and nothing else of a sealed log."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError
from ..log.sqlite.as_of import open_as_of
from ..sealing.extra import read_text
from ..sealing.seals import prove
from ..terminal import echo
from .common.arguments import EntityType, LogCommand, log_argument
from .common.output import as_json_option, print_json


class ProveReport(msgspec.Struct, frozen=True):
    """A new proof."""

    unit: str
    proof: str
    #: The number of events in it.
    events: int


@click.command("prove", cls=LogCommand)
@log_argument
@click.argument("unit", type=EntityType("unit"))
@click.option(
    "--seal",
    "seal_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="The seal that the proof refers to.  [default: that of the run, beside the log]",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file.  [default: UNIT.proof]"
)
@as_json_option
def prove_command(database: Path, unit: EntityRef, seal_file: Path | None, output: Path | None, as_json: bool) -> None:
    """Write a proof of what happened to UNIT: all its events and those of its agents, and that none is left out.

    Whoever has the public key can check it with `mephisto-es verify --proof`, without the log. It has no answer and no
    name, only commitments to them, and nothing of other units. The run must have ended.

    \b
    Example:
      mephisto-es prove unit-12
    """
    proof = prove(database, unit, read_text(seal_file or _seal_of(database, unit)))
    target = output or database.with_name(f"{unit}.proof")
    target.write_bytes(msgspec.json.format(msgspec.json.encode(proof), indent=1) + b"\n")
    report = ProveReport(str(unit), str(target), len(proof.events))
    if as_json:
        print_json(report)
    else:
        echo(f"{target}: {report.events:,} events of {unit} are proved")


def _seal_of(database: Path, unit: EntityRef) -> Path:
    """Return the seal that `mephisto-es seal` wrote for the run of a unit."""
    with open_as_of(database) as moment:
        run = moment.db.get_unit(unit.number).task_run_id
    path = database.with_name(f"run-{run}.seal")
    if not path.exists():
        raise ConfigError(
            f"run-{run} has not been sealed", key="--seal", hint=f"Run: mephisto-es seal {database} {run}"
        )
    return path
