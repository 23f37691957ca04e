"""Implements `mephisto-es prove`: show what happened to one unit, and nothing else of a sealed log."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ...core.entity_ref import EntityRef
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
    required=True,
    metavar="FILE",
    help="The seal that the proof refers to.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file.  [default: UNIT.proof]"
)
@as_json_option
def prove_command(database: Path, unit: EntityRef, seal_file: Path, output: Path | None, as_json: bool) -> None:
    """Write a proof of what happened to UNIT: all its events and those of its agents, and that none is left out.

    Whoever has the public key can check it with `mephisto-es verify --proof`, without the log. It has no answer and no
    name, only commitments to them, and nothing of other units. The run must have ended.

    \b
    Example:
      mephisto-es prove mephisto_data unit-12 --seal mephisto_data/run-1.seal
    """
    proof = prove(database, unit, read_text(seal_file))
    target = output or database.with_name(f"{unit}.proof")
    target.write_bytes(msgspec.json.format(msgspec.json.encode(proof), indent=1) + b"\n")
    report = ProveReport(str(unit), str(target), len(proof.events))
    if as_json:
        print_json(report)
    else:
        echo(f"{target}: {report.events:,} events of {unit} are proved")
