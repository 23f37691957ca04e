"""Implements `mephisto-es witness`: cosign the seals of other labs, so that they cannot show two versions of a log."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import trio

from ...projections.sealing.cosignatures import COSIGNER
from ...projections.sealing.notes import read_verifier_key
from ..composition.clock_and_ids import SystemClock
from ..sealing.keys import read_or_make_key
from ..sealing.witness_server import ReferenceWitness, WitnessedLogs, run_witness
from ..sealing.witness_store import WitnessStore
from ..terminal import echo

KEY_FILE = "witness.key"
HIGHEST_PORT = 65535


@click.command("witness")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--log", "logs", multiple=True, metavar="KEY", help="The public key of a log to cosign, as `seal` printed it."
)
@click.option("--name", help="The name of a new key, such as other.edu/witness.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=8030,
    show_default=True,
    type=click.IntRange(0, HIGHEST_PORT),
    help="The port; 0: any free one.",
)
def witness_command(folder: Path, logs: tuple[str, ...], name: str | None, host: str, port: int) -> None:
    """Cosign the seals of logs of others, and remember in FOLDER what was cosigned.

    A log is cosigned only if it extends everything that this witness has cosigned of it, so its lab cannot rewrite it,
    and cannot show you another version than others. A witness sees the size and the root of a log, and nothing of what
    is in it.

    The first start makes a key in FOLDER; publish the public key that is printed. Without --log nothing else happens.
    Keep FOLDER: a witness that forgets would cosign another version. Let others in through a proxy that provides TLS.
    Ctrl-C ends it.

    \b
    Examples:
      mephisto-es witness witness_data --name other.edu/witness
      mephisto-es witness witness_data --log example.edu/lab/ratings+1f0c22aa+AW...
    """
    known = tuple(read_verifier_key(one) for one in logs)
    store = WitnessStore(folder)
    try:
        key = read_or_make_key(folder / KEY_FILE, name, COSIGNER)
        echo(f"public key of this witness: {key.verifier.text}")
        if not known:
            echo("Name the logs to cosign with --log.")
            return
        for origin in dict.fromkeys(one.name for one in known):
            last = store.last(origin)
            echo(f"{origin}: {'nothing was cosigned' if last is None else f'{last.tree.size:,} events were cosigned'}")
        witness = ReferenceWitness(WitnessedLogs(key, known), store, SystemClock())
        trio.run(partial(run_witness, witness, host, port, lambda url: echo(f"listening at {url}")))
    finally:
        store.close()
