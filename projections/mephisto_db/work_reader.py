"""Reads the work of agents in Mephisto's shape: inputs, outputs with messages or requests, files, metadata."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from ...core.abstractions.work.agent_data import (
    PastUpdate,
    SentMetadata,
    make_metadata,
    make_outputs,
    onboarding_kind,
    work_kind,
)
from ...core.abstractions.work_data import AgentState, FileDetails, WorkKind
from ...core.lifecycles.agent import AgentStatus
from ...events.agent import (
    AgentMetadataReceived,
    AgentObserved,
    AgentSubmitted,
    AgentSubmittedAgain,
    AgentSubmittedLate,
    AgentUpdateReceived,
)
from ...events.base import FileRef, PayloadRef, kind_of
from ...events.onboarding import OnboardingStarted, OnboardingUpdateReceived
from .queries import JsonValue, MephistoQueries
from .rows import AgentPayloadRow, AgentRow, OnboardingAgentRow, OnboardingPayloadRow

_files = msgspec.json.Decoder(tuple[FileRef, ...])
#: Status of an agent whose work was accepted; late work counts from then on.
_APPROVED = AgentStatus.APPROVED.value
_SUBMITTED, _LATE, _METADATA = kind_of(AgentSubmitted), kind_of(AgentSubmittedLate), kind_of(AgentMetadataReceived)
_AGAIN = kind_of(AgentSubmittedAgain)
_ONBOARDING_STARTED = kind_of(OnboardingStarted)
_BY_PAGE = {kind_of(AgentUpdateReceived), kind_of(OnboardingUpdateReceived)}
_UPDATES = {kind_of(AgentUpdateReceived), kind_of(AgentObserved)}


class JsonReader(Protocol):
    """A source of payloads, for example a `MephistoDB`."""

    def read_json(self, ref: PayloadRef) -> JsonValue:
        """Return the JSON value behind a reference, or None if it was erased."""


class Upload(NamedTuple):
    """An uploaded file, and what it came with."""

    ref: FileRef
    #: None if the worker was erased.
    details: FileDetails | None
    #: Kind of the event that refers to it, such as `agent_submitted`.
    kind: str


def read_state(db: MephistoQueries, agent: AgentRow) -> AgentState:
    """Return the data of an agent's work. Late work counts once it is accepted; what was erased is missing."""
    sent = db.find(AgentPayloadRow, agent_id=agent.agent_id)
    return AgentState(
        inputs=db.get_unit_inputs(agent.unit_id) or {},
        outputs=_outputs_of(db, agent, sent),
        kind=work_kind(agent.task_type),
        metadata=_metadata(db, agent, [row for row in sent if row.kind == _METADATA]),
    )


def read_outputs(db: MephistoQueries, agent: AgentRow) -> JsonValue:
    """Return an agent's outputs; None if there are none or they were erased. Late work counts once it is accepted."""
    return outputs_of(db, agent, db.find(AgentPayloadRow, agent_id=agent.agent_id))


def outputs_of(db: JsonReader, agent: AgentRow, sent: Sequence[AgentPayloadRow]) -> JsonValue:
    """Return an agent's outputs like `read_outputs`.

    Args:
        db: reads payloads.
        agent: the agent.
        sent: everything the agent sent or received, in log order.
    """
    outputs: JsonValue = _outputs_of(db, agent, sent)
    return outputs


def _outputs_of(db: JsonReader, agent: AgentRow, sent: Sequence[AgentPayloadRow]) -> Any:
    updates = _updates(db, [row for row in sent if row.kind in _UPDATES])
    wanted = [row for row in sent if row.kind == _SUBMITTED]
    if not wanted and agent.status == _APPROVED:
        wanted = [row for row in sent if row.kind == _LATE]
    # An agent that completed alone, because its partner had left, may have submitted afterwards.
    wanted = wanted or [row for row in sent if row.kind == _AGAIN]
    return _outputs(db, work_kind(agent.task_type), wanted, updates)


def read_late_outputs(db: MephistoQueries, agent: AgentRow) -> JsonValue:
    """Return what an agent submitted after its work had ended, accepted or not; None if nothing, or erased."""
    sent = db.find(AgentPayloadRow, agent_id=agent.agent_id)
    late = [row for row in sent if row.kind == _LATE]
    if not late:
        return None
    updates = _updates(db, [row for row in sent if row.kind in _UPDATES])
    kind = work_kind(agent.task_type)
    outputs: JsonValue = _outputs(db, kind, late, updates)
    return outputs


def read_onboarding_state(db: MephistoQueries, agent: OnboardingAgentRow) -> AgentState:
    """Return the data of an onboarding: what the page was given, the submission, and messages if there were any."""
    sent = db.find(OnboardingPayloadRow, onboarding_agent_id=agent.onboarding_agent_id)
    given = next((db.read_json(row.ref) for row in sent if row.kind == _ONBOARDING_STARTED), None)
    updates = _updates(db, [row for row in sent if row.kind != _ONBOARDING_STARTED])
    submission = None if agent.submission is None else db.read_json(agent.submission)
    kind = onboarding_kind(agent.task_type, has_updates=bool(updates))
    outputs = make_outputs(kind, submission, updates)
    inputs = given if isinstance(given, dict) else {}
    return AgentState(inputs=inputs, outputs=outputs, kind=kind, metadata=make_metadata((), None, None))


def read_uploads(db: MephistoQueries, agent: AgentRow) -> list[Upload]:
    """Return the files that an agent's page uploaded, in the order of the log."""
    rows = db.find(AgentPayloadRow, agent_id=agent.agent_id)
    return [Upload(ref, details, row.kind) for row in rows for ref, details in _files_of(db, row)]


def _outputs(db: JsonReader, kind: WorkKind, submissions: Iterable[AgentPayloadRow], updates: list[PastUpdate]) -> Any:
    submitted = next(iter(submissions), None)
    if submitted is None:
        return make_outputs(kind, None, updates) if updates else None
    submission, uploads = db.read_json(submitted.ref), _files_of(db, submitted)
    if submission is None and not any(details for _, details in uploads):
        # Erased, or nothing but JSON's null was sent.
        return make_outputs(kind, None, updates) if updates else None
    files = [_details(ref, details) for ref, details in uploads] if uploads else None
    return make_outputs(kind, submission, updates, files)


def _updates(db: JsonReader, rows: Iterable[AgentPayloadRow | OnboardingPayloadRow]) -> list[PastUpdate]:
    """Return recorded live updates; erased ones are left out."""
    updates: list[PastUpdate] = []
    for row in rows:
        update = db.read_json(row.ref)
        if isinstance(update, dict):
            updates.append(PastUpdate(row.kind in _BY_PAGE, update, row.at / 1_000_000))
    return updates


def _metadata(db: JsonReader, agent: AgentRow, rows: Iterable[AgentPayloadRow]) -> dict[str, Any]:
    sent = []
    for row in rows:
        match db.read_json(row.ref):
            case {"metadata": body}:
                files = [_details(ref, details) for ref, details in _files_of(db, row)]
                sent.append(SentMetadata(body, files, f"metadata-{row.agent_payload_id}"))
    return make_metadata(sent, agent.task_start, agent.task_end)


def _files_of(db: JsonReader, row: AgentPayloadRow) -> list[tuple[FileRef, FileDetails | None]]:
    if row.files is None:
        return []
    body = None if row.file_details is None else db.read_json(row.file_details)
    try:
        known = {one.filename: one for one in msgspec.convert(body or [], list[FileDetails])}
    except msgspec.ValidationError:
        known = {}
    return [(ref, known.get(ref.filename)) for ref in _files.decode(row.files)]


def _details(ref: FileRef, details: FileDetails | None) -> FileDetails:
    return details or FileDetails(filename=ref.filename, size=ref.size)
