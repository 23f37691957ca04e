"""Events of a worker over all runs: identity, blocks, qualifications."""

from __future__ import annotations

from .base import Event, PayloadRef
from .ids import QualificationId, WorkerId


class WorkerRegistered(Event, frozen=True, kw_only=True, tag="worker_registered"):
    """A worker was seen for the first time."""

    worker: WorkerId
    provider_type: str
    #: The name at the provider.
    name: PayloadRef
    #: Pseudonym of provider and name, by which the same worker is found again.
    identity: str


class WorkerBlocked(Event, frozen=True, kw_only=True, tag="worker_blocked"):
    """The worker gets no more work."""

    reason: str


class WorkerUnblocked(Event, frozen=True, kw_only=True, tag="worker_unblocked"):
    """The worker may work again."""

    reason: str


class QualificationGranted(Event, frozen=True, kw_only=True, tag="qualification_granted"):
    """The worker got a qualification."""

    qualification: QualificationId
    value: int


class QualificationChanged(Event, frozen=True, kw_only=True, tag="qualification_changed"):
    """The value of a qualification that the worker has was changed."""

    qualification: QualificationId
    value: int


class QualificationRevoked(Event, frozen=True, kw_only=True, tag="qualification_revoked"):
    """The worker lost a qualification."""

    qualification: QualificationId
    reason: str


class WorkerErased(Event, frozen=True, kw_only=True, tag="worker_erased"):
    """Name, submissions and all other personal data of the worker were deleted."""

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
