"""Seals a log, proves what is in a sealed log, and checks seals and proofs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...core.chain import ChainRow
from ...core.entity_ref import EntityRef
from ...core.errors import CommandRefusedError
from ...core.lifecycles.task_run import ENDED_RUN_STATUSES, TaskRunStatus
from ...projections.sealing.checkpoint import (
    Checkpoint,
    SealError,
    open_note,
    read_checkpoint,
    read_verifier_key,
    sign_checkpoint,
)
from ...projections.sealing.consistency import ConsistencyProof, ProvedExtension, prove_consistency, verify_consistency
from ...projections.sealing.sealed_log import SealedLog
from ...projections.sealing.unit_proof import ProvedUnit, UnitProof, prove_unit, verify_unit
from ..log.sqlite.as_of import open_as_of
from ..log.sqlite.reader import LogReader
from .keys import SealKey, verify_signature


class Sealed(NamedTuple):
    """A new seal, and the proof that the log was only extended since an older one."""

    note: str
    checkpoint: Checkpoint
    consistency: ConsistencyProof | None


def seal_log(database: Path, key: SealKey, since: str | None = None) -> Sealed:
    """Seal all that is in a log now.

    Args:
        database: the log.
        key: signs the seal.
        since: an older seal of the log.

    Raises:
        SealError: the log is not the one that was sealed before.
        LogError: the log cannot be read.
    """
    log = SealedLog(_rows(database, None))
    checkpoint = log.checkpoint(key.name)
    note = sign_checkpoint(checkpoint, key.public, key.sign)
    return Sealed(note, checkpoint, None if since is None else prove_consistency(log, since, note))


def check_seal(database: Path, seal: str, public_key: str) -> Checkpoint:
    """Check that a log still begins with everything that was sealed.

    Raises:
        SealError: it does not, or the key has not signed the seal.
        LogError: the log cannot be read.
    """
    name, public = read_verifier_key(public_key)
    checkpoint = open_note(seal, name, public, partial(verify_signature, public))
    sealed_log(database, checkpoint)
    return checkpoint


def prove(database: Path, unit: EntityRef, seal: str) -> UnitProof:
    """Return the proof of a unit of an ended run.

    Raises:
        UnknownEntityError: there is no such unit.
        CommandRefusedError: its run has not ended; events have the tokens by which pages speak for their agents.
        SealError: the log is not the one that was sealed, or the unit is younger than the seal.
        LogError: the log cannot be read.
    """
    with open_as_of(database) as moment:
        found = moment.db.get_unit(unit.number)
        status = TaskRunStatus(moment.db.get_task_run(found.task_run_id).status)
    if status not in ENDED_RUN_STATUSES:
        raise CommandRefusedError(f"{unit} belongs to a run that is {status.value}; prove it once the run has ended")
    run = found.task_run_id
    log = sealed_log(database, read_checkpoint(seal.rpartition("\n\n")[0]), (f"unit/{run}/", f"agent/{run}/"))
    proof = prove_unit(log, run, found.unit_id, seal)
    if not proof.events:
        raise SealError(f"{unit} is younger than the seal", "Seal the log again, then prove it")
    return proof


def sealed_log(database: Path, checkpoint: Checkpoint, keep: tuple[str, ...] = ()) -> SealedLog:
    """Read a log up to the position of a seal, and check that it is what was sealed.

    Raises:
        SealError: it is not.
        LogError: the log cannot be read.
    """
    log = SealedLog(_rows(database, checkpoint.events.size), keep)
    if log.checkpoint(checkpoint.origin) != checkpoint:
        raise SealError(
            f"the log is not the one that was sealed: its first {checkpoint.events.size:,} events are others, or gone",
            "Compare it with a backup; `mephisto-es replay` says what is wrong with it",
        )
    return log


def verify_proof(text: str, public_key: str) -> ProvedUnit | ProvedExtension:
    """Check a proof with nothing but a public key.

    Raises:
        SealError: it does not show what it says.
    """
    name, public = read_verifier_key(public_key)
    verify = partial(verify_signature, public)
    try:
        proof = msgspec.json.decode(text, type=UnitProof)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            extension = msgspec.json.decode(text, type=ConsistencyProof)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SealError("this is not a proof", "`mephisto-es prove` makes one") from None
        return verify_consistency(extension, name, public, verify)
    return verify_unit(proof, name, public, verify)


def _rows(database: Path, size: int | None) -> Iterator[ChainRow]:
    with closing(LogReader(database)) as log:
        yield from islice(log.raw(), size)
