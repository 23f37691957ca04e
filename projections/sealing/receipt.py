"""Makes receipts for workers: a signed list of everything that the log has of one piece of work, and its proof.

A receipt is a promise at first: the key of the log signs where each event is, and its hash. Once the log is sealed, a
new receipt has the proofs that the events are there. It tells a worker no more than their own page does: an event is
quoted only if the worker caused it, and is named only if the page shows it. Of the others there is a hash.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from ...core.chain import ChainRow
from ...events import agent as agents
from ...events import streams
from ...events.base import Event, kind_of
from ...events.codec import UndecodableError, UnknownKindError, decode
from ...events.envelope import Envelope
from ...events.ids import TaskRunId
from .checkpoint import open_checkpoint, read_proof, write_proof
from .merkle import HASH_BYTES, is_included, leaf_hash
from .notes import SealError, Sign, VerifierKey, Verify, decoded, encoded, open_note, sign_note
from .sealed_log import SealedLog
from .stream_proof import StreamProof, prove_stream, verify_stream

FORMAT: Literal["mephisto-es receipt 1"] = "mephisto-es receipt 1"
#: Largest receipt that is made without proofs: it has to fit into an answer of a router.
MAX_RECEIPT_BYTES = 512 * 2**10
_HINT = "Do not rely on it; ask whoever gave it to you for another one"
_HIDDEN = "-"
_LINE = re.compile(r"([1-9][0-9]{0,9}) (0|[1-9][0-9]{0,17}) (-|[1-9][0-9]{0,16}) (-|[a-z_]{1,60}) (\S{44})")
_STREAM = re.compile(r"agent/(?P<run>[0-9]{1,18})/[0-9]{1,18}")
_UNIT = re.compile(r"unit/(?P<run>[0-9]{1,18})/(?P<unit>[0-9]{1,18})")
_TIME = "%Y-%m-%d %H:%M:%S UTC"

#: Events that are quoted; the worker has caused them.
_QUOTED: tuple[type[Event], ...] = (
    agents.AgentAccepted,
    agents.AgentSubmitted,
    agents.AgentSubmittedAgain,
    agents.AgentSubmittedLate,
)
#: What the sentence says of events, by their kinds.
_SAID = {
    kind_of(agents.AgentAccepted): "begun",
    kind_of(agents.AgentSubmitted): "submitted",
    kind_of(agents.AgentSubmittedLate): "submitted late",
    kind_of(agents.AgentReturned): "returned",
    kind_of(agents.AgentTimedOut): "ended because the time was up",
    kind_of(agents.AgentDisconnected): "ended because the page was closed",
    kind_of(agents.AgentExpired): "ended",
    kind_of(agents.AgentApproved): "approved",
    kind_of(agents.AgentLateAccepted): "accepted",
    kind_of(agents.AgentSoftRejected): "paid and not used",
    kind_of(agents.AgentRejected): "rejected",
    kind_of(agents.AgentVerdictWithdrawn): "verdict withdrawn",
}


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that a log has of one agent, for the agent's worker."""

    format: Literal["mephisto-es receipt 1"] = FORMAT
    #: For people; follows from the rest.
    sentence: str
    #: A signed note: the log, the agent, the unit, and a line for each event.
    promise: str
    #: The canonical bytes of each event, which are JSON; null for those that are not quoted.
    events: tuple[str | None, ...]
    #: The seal; null if the log has not been sealed since the first event.
    seal: str | None = None
    #: The proofs of the sealed events, in the format of C2SP tlog-proof.
    proofs: tuple[str, ...] = ()
    #: The proof of their number.
    stream: StreamProof | None = None


class ReceiptEntry(NamedTuple):
    """One event, as far as a receipt tells of it."""

    version: int
    #: Index in the log.
    position: int
    #: Microseconds since the epoch; None: it is not said.
    at: int | None
    #: None: it is not said.
    kind: str | None
    leaf: bytes

    @property
    def line(self) -> str:
        """The line in the promise."""
        said = (_HIDDEN if self.at is None else self.at, self.kind or _HIDDEN)
        return f"{self.version} {self.position} {said[0]} {said[1]} {encoded(self.leaf)}"


class ProvedReceipt(NamedTuple):
    """A receipt that was checked."""

    sentence: str
    stream: str
    entries: tuple[ReceiptEntry, ...]
    #: The number of events that are proved; the others are promised.
    proved: int


def make_receipt(
    rows: Sequence[ChainRow], key: VerifierKey, sign: Sign, log: SealedLog | None = None, seal: str | None = None
) -> Receipt:
    """Return the receipt of an agent.

    Args:
        rows: all events of the agent.
        key: the key of the log.
        sign: signs with it.
        log: the log as it was sealed; None if it was not.
        seal: the seal.

    Raises:
        SealError: there is no such agent, or an event cannot be read.
    """
    envelopes = [_decoded(row.data) for row in rows]
    first = envelopes[0].event if envelopes else None
    if not isinstance(first, agents.AgentAccepted):
        raise SealError(
            "there is no such work", "Take the id of an agent; `mephisto-es timeline UNIT` names those of a unit"
        )
    stream = envelopes[0].stream
    unit = streams.unit(TaskRunId(int(stream.split("/")[1])), first.unit)
    entries = [_entry(row, envelope) for row, envelope in zip(rows, envelopes, strict=True)]
    body = "\n".join([FORMAT, key.name, stream, unit, *(entry.line for entry in entries), ""])
    quoted = tuple(
        row.data.decode() if _is_quoted(one, first) else None for row, one in zip(rows, envelopes, strict=True)
    )
    receipt = Receipt(sentence=_sentence(key.name, unit, entries), promise=sign_note(body, key, sign), events=quoted)
    known = 0 if log is None else log.version_of(stream)
    if log is None or seal is None or not known:
        return receipt
    proofs = [
        write_proof(one.position, log.events.inclusion_proof(one.position, log.size), seal) for one in entries[:known]
    ]
    return msgspec.structs.replace(receipt, seal=seal, proofs=tuple(proofs), stream=prove_stream(log, stream))


def verify_receipt(receipt: Receipt, key: VerifierKey, verify: Verify) -> ProvedReceipt:
    """Check a receipt with nothing but a public key.

    Raises:
        SealError: it does not show what it says.
    """
    head, *lines = open_note(receipt.promise, key, verify).body.removesuffix("\n").split("\n")
    if head != FORMAT or len(lines) < 4 or lines[0] != key.name:
        raise SealError("this is not a receipt of this log", _HINT)
    stream, unit = lines[1:3]
    of_agent, of_unit = _STREAM.fullmatch(stream), _UNIT.fullmatch(unit)
    if of_agent is None or of_unit is None or of_agent["run"] != of_unit["run"]:
        raise SealError("this is not a receipt", _HINT)
    entries = tuple(map(_read_line, lines[3:]))
    if [one.version for one in entries] != list(range(1, len(entries) + 1)) or len(receipt.events) != len(entries):
        raise SealError("the receipt leaves out an event", _HINT)
    if any(entry.position >= later.position for entry, later in pairwise(entries)):
        raise SealError("the receipt has its events in a wrong order", _HINT)
    for entry, quoted in zip(entries, receipt.events, strict=True):
        _check_quote(entry, quoted, stream, unit)
    if receipt.sentence != _sentence(key.name, unit, entries):
        raise SealError("the sentence is not what the receipt shows", _HINT)
    return ProvedReceipt(receipt.sentence, stream, entries, _check_proofs(receipt, stream, entries, key, verify))


def _entry(row: ChainRow, envelope: Envelope) -> ReceiptEntry:
    kind = kind_of(type(envelope.event))
    is_named = kind in _SAID or isinstance(envelope.event, _QUOTED)
    at, name = (envelope.at, kind) if is_named else (None, None)
    return ReceiptEntry(envelope.version, row.seq - 1, at, name, leaf_hash(row.data))


def _is_quoted(envelope: Envelope, accepted: agents.AgentAccepted) -> bool:
    """Return whether an event may be shown to the worker: what the task found wrong with the work may not."""
    is_own = envelope.actor == f"worker/{accepted.worker}"
    return is_own and isinstance(envelope.event, _QUOTED) and not getattr(envelope.event, "problems", ())


def _check_quote(entry: ReceiptEntry, quoted: str | None, stream: str, unit: str) -> None:
    if quoted is None:
        return
    envelope = _decoded(quoted.encode())
    said = (envelope.stream, envelope.version, envelope.at, kind_of(type(envelope.event)))
    if leaf_hash(quoted.encode()) != entry.leaf or said != (stream, entry.version, entry.at, entry.kind):
        raise SealError(f"event {entry.version} is not the one that was promised", _HINT)
    if isinstance(envelope.event, agents.AgentAccepted) and unit.rpartition("/")[2] != str(envelope.event.unit):
        raise SealError("the receipt is about another unit", _HINT)


def _check_proofs(
    receipt: Receipt, stream: str, entries: Sequence[ReceiptEntry], key: VerifierKey, verify: Verify
) -> int:
    """Return the number of events that are proved."""
    if receipt.seal is None or receipt.stream is None:
        if receipt.seal is not None or receipt.stream is not None or receipt.proofs:
            raise SealError("the receipt has a part of a proof", _HINT)
        return 0
    checkpoint = open_checkpoint(receipt.seal, key, verify)
    head = checkpoint.events
    verify_stream(receipt.stream, checkpoint)
    if receipt.stream.stream != stream or receipt.stream.version != len(receipt.proofs) or not receipt.proofs:
        raise SealError("the seal has another number of events", _HINT)
    for entry, proof in zip(entries, map(read_proof, receipt.proofs), strict=False):
        is_that = proof.note == receipt.seal and proof.leaf_index == entry.position
        if not is_that or not is_included(entry.leaf, entry.position, head.size, proof.path, head.root):
            raise SealError(f"the seal does not have event {entry.version}", _HINT)
    if len(receipt.proofs) > len(entries):
        raise SealError("the receipt leaves out an event", _HINT)
    return len(receipt.proofs)


def _read_line(line: str) -> ReceiptEntry:
    found = _LINE.fullmatch(line)
    leaf = b"" if found is None else decoded(found[5])
    if found is None or len(leaf) != HASH_BYTES:
        raise SealError("this is not a receipt", _HINT)
    at, kind = (None if found[number] == _HIDDEN else found[number] for number in (3, 4))
    return ReceiptEntry(int(found[1]), int(found[2]), None if at is None else int(at), kind, leaf)


def _sentence(log: str, unit: str, entries: Sequence[ReceiptEntry]) -> str:
    """Return what the receipt shows, in a sentence."""
    _, run, number = unit.split("/")
    said = [
        f"{_SAID[one.kind]} on {datetime.fromtimestamp(one.at / 1_000_000, UTC):{_TIME}}"
        for one in entries
        if one.kind in _SAID and one.at is not None
    ]
    return f"The log {log} has the work on unit {number} of run {run}: {', '.join(said)}."


def _decoded(data: bytes) -> Envelope:
    try:
        return decode(data)
    except (UndecodableError, UnknownKindError):
        raise SealError("the receipt has an event that this version cannot read", "Use a newer version") from None
