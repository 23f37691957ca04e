"""Keeps personal data apart from events: sealed bytes, folders of uploaded files, and pseudonyms for lookups."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import get_args, get_type_hints

from ..events import streams
from ..events.base import Event, PayloadRef
from ..events.catalogue import AnyEvent
from ..events.codec import KIND_OF
from ..events.ids import AgentId, WorkerId
from ..events.upcasting import UPCASTERS
from ..events.worker import WorkerRegistered
from .ports import EventLog, Payload

#: One folder for each run, in the folder of the log: the page, the server's files, uploads.
RUNS_FOLDER = "runs"
#: Folder of the uploaded files that were fetched, in the folder of a run.
FILES_FOLDER = "files"


def agent_files_dir(run_dir: Path, agent: AgentId) -> Path:
    """Return the folder of the files that an agent's page uploaded. It may not exist."""
    return run_dir / FILES_FOLDER / str(agent)


def seal(body: bytes, salt: bytes, subject: WorkerId | None = None) -> Payload:
    """Return bytes with the commitment that an event holds in their place.

    Args:
        body: the value.
        salt: random bytes, so that the commitment to a short value does not reveal it.
        subject: the worker whose personal data it is; None for other data.
    """
    return Payload(commitment(body, salt, subject), salt, body, subject)


def commitment(body: bytes, salt: bytes, subject: WorkerId | None = None) -> PayloadRef:
    """Return the reference that an event carries in place of a payload.

    It covers the owner, because erasure goes by it, and both lengths, so the salt cannot absorb a part of the body.
    """
    header = f"{'-' if subject is None else subject} {len(salt)} {len(body)}\0".encode()
    return PayloadRef(hashlib.sha256(header + salt + body).hexdigest(), len(body))


def pseudonym(key: bytes, kind: str, text: str) -> str:
    """Return a pseudonym: the same for the same text, and computable only with the key.

    Args:
        key: the log's secret.
        kind: kind of the text, so that equal texts of different kinds have different pseudonyms.
        text: the personal data, for instance a worker's name.
    """
    return hashlib.blake2b(f"{kind}\0{text}".encode(), key=key, digest_size=16).hexdigest()


def _ref_fields(event: type) -> tuple[str, ...]:
    hints = get_type_hints(event)
    return tuple(name for name, hint in hints.items() if hint is PayloadRef or PayloadRef in get_args(hint))


_REF_FIELDS: dict[type, tuple[str, ...]] = {
    event: fields for event in get_args(AnyEvent) if (fields := _ref_fields(event))
}

#: Kinds of events that can refer to payloads; all retired kinds, because their successors may.
REFERRING_KINDS = frozenset(KIND_OF[event] for event in _REF_FIELDS) | UPCASTERS.kinds


def refs_of(event: Event) -> tuple[PayloadRef, ...]:
    """Return the payloads that an event refers to."""
    fields = _REF_FIELDS.get(type(event), ())
    return tuple(ref for field in fields if (ref := getattr(event, field)) is not None)


def name_of_worker(log: EventLog, worker: WorkerId) -> str | None:
    """Return the provider's name of a worker; None: it was erased, or there is no such worker.

    Raises:
        LogError: the log cannot be read.
    """
    for recorded in log.history(streams.worker(worker)):
        if isinstance(recorded.envelope.event, WorkerRegistered):
            body = log.payload(recorded.envelope.event.name)
            return None if body is None else body.decode()
    return None
