"""What happens to a worker over all runs: who it is, what it may do."""

from __future__ import annotations

from .base import Event, PayloadRef
from .ids import QualificationId, WorkerId


class WorkerRegistered(Event, frozen=True, kw_only=True, tag="worker_registered"):
    """A person was seen for the first time."""

    worker: WorkerId
    provider_type: str
    #: The name at the provider.
    name: PayloadRef
    #: Pseudonym of provider and name; the same person is found again by it.
    identity: str


class WorkerBlocked(Event, frozen=True, kw_only=True, tag="worker_blocked"):
    """The worker gets no more work."""

    reason: str


class WorkerUnblocked(Event, frozen=True, kw_only=True, tag="worker_unblocked"):
    """The worker may work again."""

    reason: str


class QualificationGranted(Event, frozen=True, kw_only=True, tag="qualification_granted"):
    """The worker has a qualification it did not have."""

    qualification: QualificationId
    value: int


class QualificationChanged(Event, frozen=True, kw_only=True, tag="qualification_changed"):
    """A qualification the worker has got another value."""

    qualification: QualificationId
    value: int


class QualificationRevoked(Event, frozen=True, kw_only=True, tag="qualification_revoked"):
    """The worker lost a qualification."""

    qualification: QualificationId
    reason: str


class WorkerErased(Event, frozen=True, kw_only=True, tag="worker_erased"):
    """Name and submissions of the worker were deleted for good."""

    reason: str


WorkerEvent = (
    WorkerRegistered
    | WorkerBlocked
    | WorkerUnblocked
    | QualificationGranted
    | QualificationChanged
    | QualificationRevoked
    | WorkerErased
)
