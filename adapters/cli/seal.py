"""Implements `mephisto-es seal`: sign what is in a log now, so that nobody can rewrite it unnoticed."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError
from ...events.ids import TaskRunId
from ...projections.sealing.cosignatures import COSIGNER
from ...projections.sealing.notes import read_verifier_key
from ..log.sqlite.as_of import open_as_of
from ..sealing.extra import KEY_FILE, read_text
from ..sealing.keys import SealKey, read_or_make_key
from ..sealing.seals import seal_log
from ..sealing.witness_client import Witness
from ..terminal import echo
from .common.arguments import LogCommand, log_argument, run_argument
from .common.output import as_json_option, print_json


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

    \b
    Examples:
      mephisto-es seal mephisto_data 1 --name example.edu/lab/ratings
      mephisto-es seal mephisto_data 1 -o june.seal --since may.seal
      mephisto-es seal mephisto_data 1 --witness https://witness.other.edu --witness-key other.edu+0a1b2c3d+BA...
    """
    if len(witness_urls) != len(witness_keys):
        raise click.UsageError("each --witness needs a --witness-key: the public key that its people have published")
    witnesses = [
        Witness(url, read_verifier_key(text, COSIGNER)) for url, text in zip(witness_urls, witness_keys, strict=True)
    ]
    with open_as_of(database) as moment:
        moment.db.get_task_run(TaskRunId(run.number))
    key = _named_key(key_file or database.with_name(KEY_FILE), name)
    target = output or database.with_name(f"{run}.seal")
    done = seal_log(database, key, None if since is None else read_text(since), witnesses)
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
        key.verifier.text,
        str(extension) if extension else None,
        tuple(witness.key.name for witness in witnesses),
    )
    if as_json:
        print_json(report)
        return
    echo(f"{target}: {events.size:,} events are sealed, root {events.root.hex()}")
    if extension is not None:
        echo(f"{extension}: the log was only extended since {since}")
    for witness in witnesses:
        echo(f"cosigned by {witness.key.name}")
    echo(f"public key: {key.verifier.text}")


def _named_key(path: Path, name: str | None) -> SealKey:
    """Read the key, or make it; what it has sealed before has its name."""
    key = read_or_make_key(path, name)
    if name is not None and name != key.name:
        raise ConfigError(f"the key is named {key.name!r}", key="--name", hint="Leave it out, or name another --key")
    return key
