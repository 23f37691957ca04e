"""What events refer to: is it there, and is it what was committed to?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from ...core.lifecycles.worker import WorkerStatus
from ...core.payloads import commitment, refs_of
from ...core.state.status_fold import StatusFold
from ...events import streams
from ...events.agent import AgentAccepted
from ...events.envelope import Envelope, RecordedEvent
from ...events.ids import WorkerId
from ...events.onboarding import OnboardingStarted
from ...events.worker import WorkerRegistered
from .report import FindingKind, Findings


class AuditedPayloads(Protocol):
    """The payloads of an audited log."""

    def missing_payloads(self, sha256s: Sequence[str]) -> set[str]:
        """Those of the commitments that have no payload."""

    def birth(self, stream: str) -> Envelope | None:
        """The first event of a stream."""

    def payloads(self) -> Iterable[tuple[str, bytes, bytes]]:
        """Commitment, salt and body of every payload there is."""


class PayloadCheck:
    """Looks up every reference, and recomputes every commitment.

    Attributes:
        present: payloads that are what was committed to.
        erased: references whose payload went with its worker.
    """

    def __init__(self, log: AuditedPayloads, standings: StatusFold, findings: Findings) -> None:
        self.present = 0
        self.erased = 0
        self._log = log
        self._standings = standings
        self._findings = findings
        #: Position and stream of each event whose payload is not there.
        self._missing: list[tuple[int, str]] = []

    def check(self, events: Iterable[RecordedEvent]) -> None:
        """Look up what the next events refer to."""
        wanted: dict[str, tuple[int, str]] = {}
        for seq, envelope in events:
            for ref in refs_of(envelope.event):
                wanted.setdefault(ref.sha256, (seq, envelope.stream))
        if wanted:
            missing = self._log.missing_payloads(list(wanted))
            self._missing += [place for sha256, place in wanted.items() if sha256 in missing]

    def finish(self) -> None:
        """After the last event: was somebody forgotten for each payload that is gone, and are the others whole?"""
        for seq, stream in self._missing:
            if self._was_forgotten(stream):
                self.erased += 1
            else:
                self._findings.add(
                    FindingKind.PAYLOAD_MISSING,
                    "what the event refers to is gone, and no worker was forgotten for it",
                    seq=seq,
                    stream=stream,
                )
        for sha256, salt, body in self._log.payloads():
            actual = commitment(body, salt).sha256
            if actual == sha256:
                self.present += 1
            else:
                self._findings.add(
                    FindingKind.PAYLOAD_CHANGED,
                    f"payload {sha256} is not what its event committed to",
                    expected=sha256,
                    found=actual,
                )

    def _was_forgotten(self, stream: str) -> bool:
        worker = self._worker_of(stream)
        standing = None if worker is None else self._standings.by_stream.get(streams.worker(worker))
        return standing is not None and standing[1] is WorkerStatus.FORGOTTEN

    def _worker_of(self, stream: str) -> WorkerId | None:
        """The worker whose personal values an entity's events refer to, if they are anybody's."""
        birth = self._log.birth(stream)
        match birth and birth.event:
            case WorkerRegistered(worker=worker) | AgentAccepted(worker=worker) | OnboardingStarted(worker=worker):
                return worker
            case _:
                return None
