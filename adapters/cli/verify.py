"""Implements `mephisto-es verify`: check that no event was changed and none is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec
from rich.markup import escape

from ...events.envelope import recorded_of
from ...projections.audit.verify import ChainReport
from ...projections.queries.history.timeline import entry_of
from ...projections.registry import PROJECTIONS
from ...projections.sealing.comparison import SealComparison
from ...projections.sealing.consistency import ProvedExtension
from ...projections.sealing.cosignatures import COSIGNER
from ...projections.sealing.notes import SealError, read_verifier_key
from ...projections.sealing.receipt import ProvedReceipt
from ..log.anchor import line
from ..log.audit.replay import verified
from ..sealing.extra import load_seals
from ..sealing.seal_files import PublicKeys, read_text
from ..terminal import echo
from .common.arguments import log_argument
from .common.output import ILLEGAL, as_json_option, console, print_findings, print_json, working


class GenuineSeal(msgspec.Struct, frozen=True):
    """A seal that was checked; the log begins with what it seals."""

    #: The name of the key that signed it.
    name: str
    #: The number of events that are sealed.
    events: int
    root: str
    #: The names of the witnesses whose cosignatures were asked for and found.
    witnesses: tuple[str, ...]


class LogReport(ChainReport, frozen=True, kw_only=True):
    """The result of verifying a log, with the seal and the receipt that it was compared with."""

    #: None if the log was not compared with a seal.
    seal: GenuineSeal | None = None
    #: What the receipt says, and the log has; None if it was not compared with a receipt.
    receipt: str | None = None


class ProofReport(msgspec.Struct, frozen=True):
    """The verdict on a proof."""

    genuine: bool
    #: What it shows, or what is wrong with it.
    about: str


class ComparisonReport(msgspec.Struct, frozen=True):
    """The relation of two seals of one log."""

    #: `same`, `extended`, `fork` or `undecided`.
    comparison: str
    #: The same in a sentence.
    about: str


#: What is said about two seals.
_COMPARED = {
    SealComparison.SAME: "both seals are of the same log",
    SealComparison.EXTENDED: "both seals are of one log, which was extended between them",
    SealComparison.FORK: "fork: the key has signed two versions of this log; keep both seals, they prove it",
    SealComparison.UNDECIDED: "the seals have different sizes, and only a copy of the log with the larger one can tell",
}


@click.command("verify")
@log_argument
@click.option("--anchor", is_flag=True, help="Print only the head of the chain as one line, to be stored elsewhere.")
@click.option(
    "--kept",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also compare the log with such lines, stored in FILE.",
)
@click.option(
    "--seal",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Also check that the log begins with what was sealed.",
)
@click.option(
    "--proof",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Check a proof instead of a log; no log is needed.",
)
@click.option(
    "--compare",
    nargs=2,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="SEAL SEAL",
    help="Compare two seals of a log; seals of different sizes need the log.",
)
@click.option(
    "--receipt",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Also check that the log has what a worker's receipt says.",
)
@click.option("--public-key", metavar="KEY", help="The public key of the seals and proofs, as `seal` printed it.")
@click.option(
    "--witness-key", "witness_keys", multiple=True, metavar="KEY", help="Also want the cosignature of this witness."
)
@as_json_option
def verify_command(
    database: Path,
    anchor: bool,
    kept: Path | None,
    seal: Path | None,
    proof: Path | None,
    compare: tuple[Path, Path] | None,
    receipt: Path | None,
    public_key: str | None,
    witness_keys: tuple[str, ...],
    as_json: bool,
) -> None:
    """Check the hash chain of the log in DATABASE, and compare it with its anchors. `replay` checks everything else
    too.

    The anchor file next to the log reveals a missing end. If somebody rewrote both, a line stored elsewhere reveals it.

    \b
    Examples:
      mephisto-es verify mephisto_data
      mephisto-es verify mephisto_data --anchor >> /mnt/elsewhere/anchors
      mephisto-es verify mephisto_data --kept /mnt/elsewhere/anchors
      mephisto-es verify mephisto_data --seal may.seal --public-key example.edu/lab+0a1b2c3d+AQ...
      mephisto-es verify --proof unit-12.proof --public-key example.edu/lab+0a1b2c3d+AQ...
      mephisto-es verify --proof agent-31.receipt --public-key example.edu/lab+0a1b2c3d+AQ...
      mephisto-es verify --compare may.seal other.seal --public-key example.edu/lab+0a1b2c3d+AQ...

    Exit code 0: intact. 1: something was changed, and is named. 2: the file is not a usable log.
    """
    if (seal or proof or compare or receipt) and public_key is None:
        raise click.UsageError("--seal, --receipt, --proof and --compare need --public-key: whose key should it be?")
    keys = PublicKeys(public_key or "", witness_keys)
    if compare is not None:
        sys.exit(_compare(*compare, keys, database if database.exists() else None, as_json=as_json))
    if proof is not None:
        sys.exit(_verify_proof(proof, keys, as_json=as_json))
    try:
        genuine = None if seal is None else _check_seal(database, seal, keys)
        received = None if receipt is None else load_seals().check_receipt(database, read_text(receipt), keys).sentence
    except SealError as error:
        if as_json:
            print_json(ProofReport(False, str(error)))
        else:
            echo(f"✗ {error}", err=True)
        sys.exit(ILLEGAL)
    with working("checking the chain", is_quiet=as_json):
        chain = verified(database, kept, PROJECTIONS)
    report = msgspec.structs.replace(
        msgspec.convert(chain, LogReport, from_attributes=True), seal=genuine, receipt=received
    )
    if as_json:
        print_json(report)
    elif anchor and report.whole:
        echo(line(report.head))
    else:
        _print(report, database)
    sys.exit(0 if report.whole else ILLEGAL)


def _check_seal(database: Path, file: Path, keys: PublicKeys) -> GenuineSeal:
    """Check a log against a seal.

    Raises:
        SealError: the seal is not genuine, or the log is not the one that was sealed.
    """
    checkpoint = load_seals().check_seal(database, read_text(file), keys)
    return GenuineSeal(checkpoint.origin, checkpoint.events.size, checkpoint.events.root.hex(), _names(keys))


def _names(keys: PublicKeys) -> tuple[str, ...]:
    """Return the names of the witnesses who must have cosigned."""
    return tuple(read_verifier_key(text, COSIGNER).name for text in keys.witnesses)


def _compare(one: Path, other: Path, keys: PublicKeys, database: Path | None, *, as_json: bool) -> int:
    """Compare two seals, print what is found, and return the exit code."""
    try:
        found = load_seals().compare_seals(read_text(one), read_text(other), keys, database)
    except SealError as error:
        if as_json:
            print_json(ProofReport(False, str(error)))
        else:
            echo(f"✗ {error}")
        return ILLEGAL
    if as_json:
        print_json(ComparisonReport(found.value, _COMPARED[found]))
    else:
        echo(f"{'✗ ' if found.is_doubtful else ''}{_COMPARED[found]}")
    return ILLEGAL if found.is_doubtful else 0


def _verify_proof(file: Path, keys: PublicKeys, *, as_json: bool) -> int:
    """Check a proof, print what it shows, and return the exit code."""
    try:
        found = load_seals().verify_proof(read_text(file), keys)
    except SealError as error:
        if as_json:
            print_json(ProofReport(False, str(error)))
        else:
            echo(f"✗ {error}")
        return ILLEGAL
    if isinstance(found, ProvedExtension):
        old, new = found.old.events.size, found.new.events.size
        lines = [f"{found.new.origin}: {new:,} events, which extend the {old:,} that were sealed before"]
    elif isinstance(found, ProvedReceipt):
        promised = len(found.entries) - found.proved
        lines = [found.sentence, f"  {found.proved} of {len(found.entries)} events are proved to be in the sealed log"]
        if promised:
            lines.append(f"  {promised} are promised: ask for the receipt again once the log is sealed")
    else:
        proof, sealed = found.proof, found.checkpoint
        lines = [
            f"unit-{proof.unit} of run-{proof.run}, in the log {sealed.origin} of {sealed.events.size:,} events; "
            "no event of the unit, its item or its agents is left out"
        ]
        for index, envelope in found.events:
            entry = entry_of(recorded_of((index + 1, envelope)))
            lines.append(f"  {entry.date}  {entry.stream}  {entry.text}")
    if names := _names(keys):
        lines.append(f"  cosigned by {', '.join(names)}")
    if as_json:
        print_json(ProofReport(True, "\n".join(lines)))
    else:
        echo("\n".join(["genuine  " + lines[0], *lines[1:]]))
    return 0


def _print(report: LogReport, database: Path) -> None:
    verdict = "[bold green]intact[/]" if report.whole else "[bold red]not intact[/]"
    anchored = "nothing" if report.anchored_seq is None else f"seq {report.anchored_seq:,}"
    console().print(
        f"{verdict}  {escape(str(database))}: {report.events:,} events in {report.seconds:.2f} s, "
        f"anchored to {anchored}\nhead  seq {report.seq:,}  {report.chain}"
    )
    if report.seal is not None:
        cosigned = f"; cosigned by {', '.join(report.seal.witnesses)}" if report.seal.witnesses else ""
        echo(
            f"seal  genuine: {report.seal.name} sealed {report.seal.events:,} events, "
            f"and the log begins with exactly these{cosigned}"
        )
    if report.receipt is not None:
        echo(f"receipt  genuine: {report.receipt}")
    print_findings(report.findings, report.findings_left_out, report.notes)
