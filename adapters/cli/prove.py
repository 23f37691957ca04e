"""Implements `mephisto-es prove`: show what happened to one unit, and nothing else of a sealed log."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError
from ...events.ids import AgentId
from ...projections.sealing.receipt import Receipt
from ...projections.sealing.unit_proof import UnitProof
from ..log.sqlite.as_of import open_as_of
from ..sealing.receipts import LogReceipts
from ..sealing.seal_files import read_text
from ..sealing.seals import prove
from ..terminal import echo
from .common.arguments import EntityType, LogCommand, log_argument
from .common.output import as_json_option, print_json, working


class ProveReport(msgspec.Struct, frozen=True):
    """A new proof."""

    work: str
    proof: str
    #: The number of events in it.
    events: int
    #: Those of them that are proved; the others are promised.
    proved: int


@click.command("prove", cls=LogCommand)
@log_argument
@click.argument("work", type=EntityType("unit", "agent"))
@click.option(
    "--seal",
    "seal_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="The seal that the proof refers to.  [default: that of the run, beside the log]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file.  [default: WORK.proof, AGENT.receipt]",
)
@as_json_option
def prove_command(database: Path, work: EntityRef, seal_file: Path | None, output: Path | None, as_json: bool) -> None:
    """Write a proof of what happened to a unit: all events of it, its item and its agents, and that none is left out.

    Whoever has the public key can check it with `mephisto-es verify --proof`, without the log. It has no
    worker's answer and no name, only commitments to them, and of other units only numbers. The run must have ended.

    For an agent it writes the receipt that the agent's worker can also get from their own page. It tells the worker no
    more than the page does, so the run may be live; what was sealed is proved, and the rest is promised.

    \b
    Examples:
      mephisto-es prove mephisto_data unit-12
      mephisto-es prove mephisto_data agent-31
    """
    is_unit = work.kind == "unit"
    with working("reading the log", is_quiet=as_json):
        if is_unit:
            proof = prove(database, work, read_text(seal_file or _seal_of(database, work)))
            text, events, proved = _json_of(proof), len(proof.events), len(proof.events)
        else:
            receipt = _receipt_of(database, work, seal_file)
            text, events, proved = _json_of(receipt), len(receipt.events), len(receipt.proofs)
    target = output or database.with_name(f"{work}.{'proof' if is_unit else 'receipt'}")
    target.write_bytes(text)
    if as_json:
        print_json(ProveReport(str(work), str(target), events, proved))
    else:
        echo(f"{target}: {proved:,} of {events:,} events of {work} are proved")


def _json_of(proof: UnitProof | Receipt) -> bytes:
    return msgspec.json.format(msgspec.json.encode(proof), indent=1) + b"\n"


def _receipt_of(database: Path, agent: EntityRef, seal: Path | None) -> Receipt:
    with open_as_of(database) as moment:
        run = moment.db.get_agent(agent.number).task_run_id
    return LogReceipts(database).receipt(run, AgentId(agent.number), None if seal is None else read_text(seal))


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
