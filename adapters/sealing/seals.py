"""Seals a log, proves what is in a sealed log, and checks seals and proofs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...core.chain import ChainRow
from ...core.entity_ref import EntityRef
from ...core.errors import CommandRefusedError
from ...core.lifecycles.task_run import ENDED_RUN_STATUSES, TaskRunStatus
from ...projections.sealing.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint, unchecked_checkpoint
from ...projections.sealing.comparison import SealComparison, compare
from ...projections.sealing.consistency import ConsistencyProof, ProvedExtension, prove_consistency, verify_consistency
from ...projections.sealing.cosignatures import COSIGNER, check_cosigned
from ...projections.sealing.merkle import leaf_hash
from ...projections.sealing.notes import SealError, VerifierKey, read_note, read_verifier_key
from ...projections.sealing.receipt import ProvedReceipt, Receipt, verify_receipt
from ...projections.sealing.sealed_log import SealedLog
from ...projections.sealing.unit_proof import ProvedUnit, UnitProof, prove_unit, verify_unit
from ..log.sqlite.as_of import open_as_of
from ..log.sqlite.reader import LogReader
from .keys import SealKey, read_key, verify_signature
from .seal_files import KEY_FILE, PublicKeys
from .witness_client import Witness, collect_cosignatures


class Sealed(NamedTuple):
    """A new seal, and the proof that the log was only extended since an older one."""

    note: str
    checkpoint: Checkpoint
    consistency: ConsistencyProof | None


class _Keys(NamedTuple):
    """The keys of `PublicKeys`, read."""

    log: VerifierKey
    witnesses: tuple[VerifierKey, ...]

    def open(self, seal: str) -> Checkpoint:
        """Return what a seal commits to.

        Raises:
            SealError: the key of the log has not signed it, or a witness has not cosigned it.
        """
        checkpoint = open_checkpoint(seal, self.log, verify_signature)
        check_cosigned(seal, self.witnesses, verify_signature)
        return checkpoint


def _read(keys: PublicKeys) -> _Keys:
    return _Keys(read_verifier_key(keys.log), tuple(read_verifier_key(one, COSIGNER) for one in keys.witnesses))


def seal_log(database: Path, key: SealKey, since: str | None = None, witnesses: Sequence[Witness] = ()) -> Sealed:
    """Seal all that is in a log now.

    Args:
        database: the log.
        key: signs the seal.
        since: an older seal of the log.
        witnesses: cosign the seal.

    Raises:
        SealError: the log is not the one that was sealed before, or a witness has not cosigned it.
        LogError: the log cannot be read.
    """
    log = SealedLog(_rows(database, None))
    checkpoint = log.checkpoint(key.name)
    note = collect_cosignatures(sign_checkpoint(checkpoint, key.verifier, key.sign), log, witnesses)
    return Sealed(note, checkpoint, None if since is None else prove_consistency(log, since, note))


def seal_to_files(database: Path, targets: Iterable[Path]) -> None:
    """Seal all that is in a log now with the key beside it, and write the seal to files.

    Raises:
        SealError: the key cannot be used.
        LogError: the log cannot be read.
        OSError: a file cannot be written.
    """
    note = seal_log(database, read_key(database.with_name(KEY_FILE))).note
    for target in targets:
        target.write_text(note, encoding="utf-8")


def check_seal(database: Path, seal: str, keys: PublicKeys) -> Checkpoint:
    """Check that a log still begins with everything that was sealed.

    Raises:
        SealError: it does not, or a key has not signed the seal.
        LogError: the log cannot be read.
    """
    checkpoint = _read(keys).open(seal)
    sealed_log(database, checkpoint)
    return checkpoint


def check_receipt(database: Path, text: str, public_keys: PublicKeys) -> ProvedReceipt:
    """Check that a log has what a receipt says.

    Raises:
        SealError: it does not, or the receipt is not genuine.
        LogError: the log cannot be read.
    """
    found = verify_proof(text, public_keys)
    if not isinstance(found, ProvedReceipt):
        raise SealError("this is not a receipt", "Use --proof for a proof, and --seal for a seal")
    with closing(LogReader(database)) as log:
        stored = {row.seq - 1: leaf_hash(row.data) for row in log.stored(found.stream)}
    for entry in found.entries:
        if stored.get(entry.position) != entry.leaf:
            raise SealError(
                f"the log does not have event {entry.version} of {found.stream}, which the receipt has",
                "Keep the receipt: the key has signed it",
            )
    return found


def compare_seals(one: str, other: str, public_keys: PublicKeys, database: Path | None) -> SealComparison:
    """Compare two seals of one log.

    Args:
        one: a seal.
        other: another one; the order does not matter.
        public_keys: the key that must have signed both, and the witnesses of which each seal must have one at least.
        database: the log, or a copy; None: only seals of the same size can be compared.

    Raises:
        SealError: a seal is not signed, or no witness has cosigned it.
        LogError: the log cannot be read.
    """
    keys = _read(public_keys)
    seals = [open_checkpoint(seal, keys.log, verify_signature) for seal in (one, other)]
    for seal in (one, other) if keys.witnesses else ():
        _check_any(seal, keys.witnesses)
    log = None if database is None else SealedLog(_rows(database, None))
    return compare(seals[0], seals[1], log)


def _check_any(seal: str, witnesses: Sequence[VerifierKey]) -> None:
    """Check that one of some witnesses has cosigned a seal."""
    note = read_note(seal)
    said = [witness for witness in witnesses if note.by(witness)]
    check_cosigned(seal, said or witnesses[:1], verify_signature)


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
    kept = (f"unit/{run}/", f"assignment/{run}/", f"agent/{run}/")
    log = sealed_log(database, unchecked_checkpoint(seal), kept)
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


def verify_proof(text: str, public_keys: PublicKeys) -> ProvedUnit | ProvedExtension | ProvedReceipt:
    """Check a proof with nothing but public keys.

    Raises:
        SealError: it does not show what it says.
    """
    keys = _read(public_keys)
    match _decoded_proof(text):
        case UnitProof() as proof:
            check_cosigned(proof.seal, keys.witnesses, verify_signature)
            return verify_unit(proof, keys.log, verify_signature)
        case Receipt() as receipt:
            for seal in () if receipt.seal is None else (receipt.seal,):
                check_cosigned(seal, keys.witnesses, verify_signature)
            return verify_receipt(receipt, keys.log, verify_signature)
        case extension:
            check_cosigned(extension.new, keys.witnesses, verify_signature)
            return verify_consistency(extension, keys.log, verify_signature)


def _decoded_proof(text: str) -> UnitProof | ConsistencyProof | Receipt:
    unreadable = (msgspec.DecodeError, UnicodeError, RecursionError)
    with suppress(*unreadable):
        return msgspec.json.decode(text, type=UnitProof)
    with suppress(*unreadable):
        return msgspec.json.decode(text, type=Receipt)
    with suppress(*unreadable):
        return msgspec.json.decode(text, type=ConsistencyProof)
    raise SealError("this is not a proof", "`mephisto-es prove UNIT` makes one")


def _rows(database: Path, size: int | None) -> Iterator[ChainRow]:
    with closing(LogReader(database)) as log:
        yield from islice(log.raw(), size)
