"""Proves the history of one unit from a seal: each event of the unit, its assignment and its agents, and none left out.

A proof has nothing else of the log. What workers wrote is not in it: events have only commitments to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import msgspec

from ...events import streams
from ...events.agent import AgentAccepted
from ...events.catalogue import AnyEvent
from ...events.codec import UndecodableError, UnknownKindError, decode
from ...events.envelope import Envelope
from ...events.ids import TaskRunId, UnitId
from ...events.unit import UnitAssigned, UnitCreated
from .checkpoint import (
    Checkpoint,
    EntryProof,
    open_checkpoint,
    read_proof,
    write_proof,
)
from .merkle import is_included, leaf_hash
from .notes import SealError, VerifierKey, Verify
from .sealed_log import SealedLog
from .stream_proof import StreamProof, prove_stream, verify_stream

FORMAT: Literal["mephisto-es proof 1"] = "mephisto-es proof 1"
_HINT = "Do not trust it; ask whoever gave it to you for another one"


class EventProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event with the proof that it is in the sealed log."""

    #: The canonical bytes of the event, which are JSON.
    event: str
    #: In the format of C2SP tlog-proof, with the seal.
    proof: str


class UnitProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The history of a unit with its proof."""

    format: Literal["mephisto-es proof 1"] = FORMAT
    run: TaskRunId
    unit: UnitId
    #: The seal.
    seal: str
    streams: tuple[StreamProof, ...]
    events: tuple[EventProof, ...]


class ProvedUnit(NamedTuple):
    """A unit's history that a proof shows."""

    proof: UnitProof
    checkpoint: Checkpoint
    #: The events of the unit, its assignment and its agents, in the order of the log, each with its index in it.
    events: list[tuple[int, Envelope]]


def prove_unit(log: SealedLog, run: TaskRunId, unit: UnitId, seal: str) -> UnitProof:
    """Return the proof of a unit.

    Args:
        log: the log as it was sealed, with the streams of the run's units, assignments and agents kept.
        run: the run of the unit.
        unit: the unit.
        seal: the seal.
    """
    of_unit = [_decoded(data).event for _, data in log.events_of(streams.unit(run, unit))]
    names = list(_streams_of(run, unit, of_unit))
    return UnitProof(
        run=run,
        unit=unit,
        seal=seal,
        streams=tuple(prove_stream(log, name) for name in names),
        events=tuple(
            EventProof(data.decode(), write_proof(index, log.events.inclusion_proof(index, log.size), seal))
            for name in names
            for index, data in log.events_of(name)
        ),
    )


def verify_unit(proof: UnitProof, key: VerifierKey, verify: Verify) -> ProvedUnit:
    """Check a proof of a unit with nothing but a public key.

    Args:
        proof: the proof.
        key: the key of the log.
        verify: checks a signature.

    Raises:
        SealError: it does not show the whole history of the unit.
    """
    checkpoint = open_checkpoint(proof.seal, key, verify)
    found = [(read_proof(one.proof), one.event.encode()) for one in proof.events]
    for entry, data in found:
        _check_event(checkpoint, proof.seal, entry, data)
    for stream in proof.streams:
        verify_stream(stream, checkpoint)
    events = [(entry.leaf_index, _decoded(data)) for entry, data in sorted(found, key=lambda one: one[0].leaf_index)]
    _check_complete(proof, [envelope for _, envelope in events])
    return ProvedUnit(proof, checkpoint, events)


def _check_event(checkpoint: Checkpoint, seal: str, entry: EntryProof, data: bytes) -> None:
    events = checkpoint.events
    if entry.note != seal or not is_included(leaf_hash(data), entry.leaf_index, events.size, entry.path, events.root):
        raise SealError(f"the event at index {entry.leaf_index} is not in the sealed log", _HINT)


def _check_complete(proof: UnitProof, envelopes: list[Envelope]) -> None:
    """Check that no event and no agent was left out, and that nothing else is there."""
    of_unit = streams.unit(proof.run, proof.unit)
    unit_events = [one.event for one in envelopes if one.stream == of_unit]
    wanted = set(_streams_of(proof.run, proof.unit, unit_events))
    versions = {one.stream: one.version for one in proof.streams}
    if wanted != versions.keys() or len(versions) != len(proof.streams):
        raise SealError("the proof leaves out the assignment or an agent of the unit, or has another stream", _HINT)
    for name, version in versions.items():
        if [one.version for one in envelopes if one.stream == name] != list(range(1, version + 1)):
            raise SealError(f"the proof leaves out an event of {name}", _HINT)
    for one in envelopes:
        if one.stream not in wanted or (isinstance(one.event, AgentAccepted) and one.event.unit != proof.unit):
            raise SealError("the proof has an event of something else", _HINT)


def _streams_of(run: TaskRunId, unit: UnitId, unit_events: Iterable[AnyEvent]) -> Iterator[str]:
    """Yield the streams that are the history of a unit, once each: those that its own events name."""
    found = [streams.unit(run, unit)]
    for event in unit_events:
        if isinstance(event, UnitCreated):
            found.append(streams.assignment(run, event.assignment))
        elif isinstance(event, UnitAssigned):
            found.append(streams.agent(run, event.agent))
    yield from dict.fromkeys(found)


def _decoded(data: bytes) -> Envelope:
    try:
        return decode(data)
    except (UndecodableError, UnknownKindError):
        raise SealError("the proof has an event that this version cannot read", "Use a newer version") from None
