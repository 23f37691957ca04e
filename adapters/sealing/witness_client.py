"""Asks witnesses to cosign a seal: https://c2sp.org/tlog-witness."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import httpx

from ...projections.sealing.cosignatures import check_cosignature
from ...projections.sealing.notes import SealError, VerifierKey, read_note
from ...projections.sealing.sealed_log import SealedLog
from ...projections.sealing.witnessing import SIZE_TYPE, WitnessStatus, write_add_checkpoint
from .keys import verify_signature

#: Seconds that a witness may take for an answer.
ANSWER_SECONDS = 20.0
#: Longest answer that is read.
MAX_ANSWER_BYTES = 64 * 2**10
_SIZE = re.compile(r"(?:0|[1-9][0-9]{0,17})\n?")


class Witness(NamedTuple):
    """Somebody who cosigns seals."""

    #: The address below which the witness takes seals.
    url: str
    key: VerifierKey


class _WitnessAnswer(NamedTuple):
    status: int
    text: str
    content_type: str


def collect_cosignatures(note: str, log: SealedLog, witnesses: Iterable[Witness]) -> str:
    """Return a seal with the cosignatures of witnesses.

    Args:
        note: the seal.
        log: the log that it seals.
        witnesses: the witnesses, each of which must cosign.

    Raises:
        SealError: one did not.
    """
    lines: list[str] = []
    with httpx.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:
        for witness in witnesses:
            lines.append(_cosignature_of(client, note, log, witness))
    return "".join([note, *lines])


def _cosignature_of(client: httpx.Client, note: str, log: SealedLog, witness: Witness) -> str:
    answer = _ask(client, witness, write_add_checkpoint(0, (), note))
    if answer.status == WitnessStatus.OTHER_SIZE and answer.content_type == SIZE_TYPE and _SIZE.fullmatch(answer.text):
        known = int(answer.text)
        if known > log.size:
            raise SealError(
                f"{witness.url} has cosigned {known:,} events of this log, and here it has only {log.size:,}",
                "This is an older copy of the log, or another version; look for the one that was sealed",
            )
        answer = _ask(client, witness, write_add_checkpoint(known, log.events.consistency_proof(known, log.size), note))
    if answer.status != WitnessStatus.COSIGNED:
        raise _refused(witness, answer)
    # Only what the named key has signed is taken from the answer.
    try:
        cosigned = read_note(note + answer.text)
        check_cosignature(cosigned, witness.key, verify_signature)
    except SealError as error:
        raise SealError(
            f"{witness.url} has not answered with its cosignature: {error}", "Check --witness-key of this witness"
        ) from error
    known_key = (witness.key.name, witness.key.key_id)
    return "".join(one.line for one in cosigned.signatures if (one.name, one.key_id) == known_key)


def _refused(witness: Witness, answer: _WitnessAnswer) -> SealError:
    match answer.status:
        case WitnessStatus.INCONSISTENT:
            return SealError(
                f"{witness.url} refuses: it has cosigned another version of this log",
                "What was sealed is changed or gone; compare the log with a backup",
            )
        case WitnessStatus.UNKNOWN_LOG | WitnessStatus.NOT_SIGNED:
            return SealError(
                f"{witness.url} does not know the key of this log",
                "Give its people the public key of the log; `seal` without --witness prints it",
            )
        case WitnessStatus.OTHER_SIZE:
            return SealError(f"{witness.url} has cosigned another seal of this log just now", "Seal the log again")
        case status:
            return SealError(f"{witness.url} answered with status {status}", "Check the address of the witness")


def _ask(client: httpx.Client, witness: Witness, body: str) -> _WitnessAnswer:
    url = f"{witness.url.rstrip('/')}/add-checkpoint"
    try:
        with client.stream("POST", url, content=body.encode()) as response:
            content = b""
            for piece in response.iter_bytes():
                content += piece
                if len(content) > MAX_ANSWER_BYTES:
                    raise SealError(f"{witness.url} answers with too much", "Check the address of the witness")
            media = response.headers.get("content-type", "").partition(";")[0].strip()
            return _WitnessAnswer(response.status_code, content.decode(errors="replace"), media)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SealError(
            f"{witness.url} cannot be reached: {type(error).__name__}", "Check the address, or seal without it for now"
        ) from error
