"""Checks that every payload an event refers to exists and is what the event committed to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from ...core.lifecycles.worker import WorkerStatus
from ...core.payloads import commitment, refs_of
from ...core.state.status_fold import StatusFold
from ...events import streams
from ...events.agent import AgentAccepted
from ...events.assignment import AssignmentLabelled
from ...events.engagement import ConsentWithdrawn, WorkerArrived
from ...events.envelope import Envelope, RecordedEvent
from ...events.ids import WorkerId
from ...events.onboarding import OnboardingStarted
from ...events.task_run import CallbackFailed
from ...events.worker import WorkerRegistered
from .report import FindingKind, Findings

#: Letters of a commitment that are shown; a damaged one may be longer.
_MAX_SHA256 = 64


class StoredPayload(NamedTuple):
    """A payload as stored in a log."""

    sha256: str
    salt: bytes
    body: bytes
    #: The worker it belongs to, if any.
    subject: int | None


class AuditedPayloads(Protocol):
    """The payloads of an audited log."""

    def missing_payloads(self, sha256s: Sequence[str]) -> set[str]:
        """Return the commitments without a payload."""

    def first_event(self, stream: str) -> Envelope | None:
        """Return the first event of a stream."""

    def payloads(self) -> Iterable[StoredPayload]:
        """Yield every payload."""


class _Reference(NamedTuple):
    """An event that refers to a payload."""

    seq: int
    stream: str
    #: The worker whose personal value it is, if the event says so itself.
    worker: WorkerId | None


class PayloadCheck:
    """Looks up every reference, and recomputes every commitment.

    Attributes:
        present: number of payloads that match their commitment.
        erased: number of references whose payload was erased with its worker.
    """

    def __init__(self, log: AuditedPayloads, statuses: StatusFold, findings: Findings) -> None:
        self.present = 0
        self.erased = 0
        self._log = log
        self._statuses = statuses
        self._findings = findings
        #: Events whose payload is missing, by its commitment, and the commitments whose deletion an event records.
        self._missing: dict[str, _Reference] = {}
        self._withdrawn: set[str] = set()

    def check(self, events: Iterable[RecordedEvent]) -> None:
        """Look up the payloads that the next events refer to."""
        wanted: dict[str, _Reference] = {}
        for seq, envelope in events:
            event = envelope.event
            if isinstance(event, ConsentWithdrawn):
                self._withdrawn |= set(event.payloads)
            for ref in refs_of(event):
                worker = event.worker if isinstance(event, CallbackFailed | AssignmentLabelled) else None
                wanted.setdefault(ref.sha256, _Reference(seq, envelope.stream, worker))
        if wanted:
            missing = self._log.missing_payloads(list(wanted))
            self._missing |= {sha256: place for sha256, place in wanted.items() if sha256 in missing}

    def finish(self) -> None:
        """Check, after the last event, that missing payloads were erased with a worker, and that the others match."""
        for sha256, reference in self._missing.items():
            if sha256 in self._withdrawn or self._was_erased(reference):
                self.erased += 1
            else:
                self._findings.add(
                    FindingKind.PAYLOAD_MISSING,
                    "the payload of the event is missing, but no worker was erased",
                    seq=reference.seq,
                    stream=reference.stream,
                )
        for sha256, salt, body, subject in self._log.payloads():
            actual = commitment(body, salt, None if subject is None else WorkerId(subject)).sha256
            if actual == sha256:
                self.present += 1
            else:
                self._findings.add(
                    FindingKind.PAYLOAD_CHANGED,
                    f"payload {sha256[:_MAX_SHA256]} does not match its commitment: it or its owner was changed",
                    expected=sha256,
                    found=actual,
                )

    def _was_erased(self, reference: _Reference) -> bool:
        worker = reference.worker or self._worker_of(reference.stream)
        status = None if worker is None else self._statuses.by_stream.get(streams.worker(worker))
        return status is not None and status[1] is WorkerStatus.ERASED

    def _worker_of(self, stream: str) -> WorkerId | None:
        """Return the worker whose personal values the events of a stream refer to, if any."""
        first = self._log.first_event(stream)
        match first and first.event:
            case (
                WorkerRegistered(worker=worker)
                | AgentAccepted(worker=worker)
                | OnboardingStarted(worker=worker)
                | WorkerArrived(worker=worker)
            ):
                return worker
            case _:
                return None
