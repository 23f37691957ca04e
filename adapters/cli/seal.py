"""Implements `mephisto-es seal`: sign what is in a log now, so that nobody can rewrite it unnoticed."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path

import click
import msgspec

from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError
from ...events.ids import TaskRunId
from ...projections.sealing.checkpoint import unchecked_checkpoint
from ...projections.sealing.cosignatures import COSIGNER
from ...projections.sealing.notes import SealError, read_verifier_key
from ..log.sqlite.as_of import open_as_of
from ..sealing.keys import SealKey, read_or_make_key
from ..sealing.seal_files import KEY_FILE, read_text
from ..sealing.seals import seal_log
from ..sealing.witness_client import Witness
from ..terminal import echo
from .common.arguments import LogCommand, log_argument, run_argument
from .common.output import as_json_option, print_json, working


class SealReport(msgspec.Struct, frozen=True):
    """A new seal."""

    run: str
    seal: str
    #: The number of events that are sealed.
    events: int
    root: str
    public_key: str
    #: The file with the proof that the log extends an older seal.
    consistency: str | None
    #: The names of the witnesses that have cosigned the seal.
    witnesses: tuple[str, ...]
    #: The new name of an earlier seal that was in the file of this one.
    kept: str | None = None


@click.command("seal", cls=LogCommand)
@log_argument
@run_argument
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file.  [default: RUN.seal]")
@click.option("--key", "key_file", type=click.Path(path_type=Path, dir_okay=False), help="The key that signs.")
@click.option("--name", help="The name of a new key, such as example.edu/lab/ratings.")
@click.option(
    "--since",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="OLD",
    help="An older seal: prove that the log was only extended since.",
)
@click.option("--witness", "witness_urls", multiple=True, metavar="URL", help="Have a witness cosign the seal.")
@click.option(
    "--witness-key", "witness_keys", multiple=True, metavar="KEY", help="The public key of each --witness, in order."
)
@as_json_option
def seal_command(
    database: Path,
    run: EntityRef,
    output: Path | None,
    key_file: Path | None,
    name: str | None,
    since: Path | None,
    witness_urls: tuple[str, ...],
    witness_keys: tuple[str, ...],
    as_json: bool,
) -> None:
    """Sign what is in the log in DATABASE now, all events of RUN included, and write the seal beside the log.

    The seal is small and shows nothing of the log. Give it to somebody, or publish it with the public key: then nobody,
    you included, can change or remove a sealed event unnoticed, and `prove` can show what happened to a unit. The first
    seal makes a key beside the log; keep it, and publish its public key.

    A witness is run by somebody else with `mephisto-es witness`. It cosigns the seal if the log extends what it has
    cosigned before; if it does not, nothing is written. So you cannot show different versions to different people.

    An earlier seal is never overwritten: RUN.seal is renamed to RUN.SIZE.seal first, and a file named with --output
    that has another seal is refused.

    \b
    Examples:
      mephisto-es seal mephisto_data 1 --name example.edu/lab/ratings
      mephisto-es seal mephisto_data 1 -o june.seal --since may.seal
      mephisto-es seal mephisto_data 1 --witness https://witness.other.edu --witness-key other.edu+0a1b2c3d+BA...
    """
    if len(witness_urls) != len(witness_keys):
        raise click.UsageError("each --witness needs a --witness-key: the public key that its people have published")
    keys = [read_verifier_key(text, COSIGNER) for text in witness_keys]
    witnesses = [Witness(url, key) for url, key in zip(witness_urls, keys, strict=True)]
    with open_as_of(database) as moment:
        moment.db.get_task_run(TaskRunId(run.number))
    seal_key = _named_key(key_file or database.with_name(KEY_FILE), name)
    target = output or database.with_name(f"{run}.seal")
    with working("sealing the log", is_quiet=as_json):
        done = seal_log(database, seal_key, None if since is None else read_text(since), witnesses)
    kept = _keep_other(target, done.note, is_named=output is not None)
    target.write_text(done.note, encoding="utf-8")
    extension = None
    if done.consistency is not None:
        extension = target.with_name(f"{target.name}.consistency")
        extension.write_bytes(msgspec.json.encode(done.consistency))
    events = done.checkpoint.events
    report = SealReport(
        str(run),
        str(target),
        events.size,
        events.root.hex(),
        seal_key.verifier.text,
        str(extension) if extension else None,
        tuple(witness.key.name for witness in witnesses),
        str(kept) if kept else None,
    )
    if as_json:
        print_json(report)
    else:
        _print(report, since)


def _print(report: SealReport, since: Path | None) -> None:
    echo(f"{report.seal}: {report.events:,} events are sealed, root {report.root}")
    if report.kept is not None:
        echo(f"{report.kept}: the earlier seal, renamed")
    if report.consistency is not None:
        # The older seal may be the one that was renamed just now.
        old = report.kept if report.kept is not None and since == Path(report.seal) else since
        echo(f"{report.consistency}: the log was only extended since {old}")
    for name in report.witnesses:
        echo(f"cosigned by {name}")
    echo(f"public key: {report.public_key}")


def _keep_other(target: Path, note: str, *, is_named: bool) -> Path | None:
    """Rename an earlier, different seal to `run-1.SIZE.seal`, and return its new path; None if there is none.

    Args:
        target: the file of the new seal.
        note: the new seal.
        is_named: True if somebody named the file; then an earlier seal there is not touched.

    Raises:
        ConfigError: the file has another seal and was named, or is no seal.
    """
    if not target.exists() or (found := read_text(target)) == note:
        return None
    hint = "Name another file with --output"
    if is_named:
        raise ConfigError(f"{target} exists and is not this seal", key="--output", hint=hint)
    try:
        size = unchecked_checkpoint(found).events.size
    except SealError as error:
        raise ConfigError(f"{target} exists and is not a seal", key="--output", hint=hint) from error
    names = chain([f"{target.stem}.{size}.seal"], (f"{target.stem}.{size}-{number}.seal" for number in count(2)))
    kept = next(path for path in map(target.with_name, names) if not path.exists())
    for ending in (".consistency", ""):
        if (old := target.with_name(target.name + ending)).exists():
            old.rename(kept.with_name(kept.name + ending))
    return kept


def _named_key(path: Path, name: str | None) -> SealKey:
    """Read the key, or make it; what it has sealed before has its name."""
    key = read_or_make_key(path, name)
    if name is not None and name != key.name:
        raise ConfigError(
            f"the key is named {key.name!r}", key="--name", hint="Leave --name out, or make another key with --key FILE"
        )
    return key
