"""Lifecycle of an onboarding agent: a worker in the step before the first unit of a run."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.base import PayloadRef
from ...events.ids import OnboardingAgentId, WorkerId
from ...events.onboarding import (
    OnboardingDisconnected,
    OnboardingEvent,
    OnboardingFailed,
    OnboardingObserved,
    OnboardingPassed,
    OnboardingReturned,
    OnboardingStarted,
    OnboardingSubmitted,
    OnboardingTimedOut,
    OnboardingUpdateReceived,
)
from .table import Lifecycle, Status, existing, stays, step


class OnboardingStatus(Status):
    """Status of an onboarding agent, in Mephisto's words."""

    ONBOARDING = "onboarding"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    DISCONNECT = "disconnect"
    TIMEOUT = "timeout"
    RETURNED = "returned"


_S = OnboardingStatus

#: Statuses in which the onboarding is not decided.
LIVE_ONBOARDING_STATUSES = (_S.ONBOARDING, _S.WAITING)

ONBOARDING = Lifecycle(
    "onboarding agent",
    OnboardingStatus,
    (
        step(OnboardingStarted, None, _S.ONBOARDING),
        step(OnboardingSubmitted, _S.ONBOARDING, _S.WAITING),
        step(OnboardingPassed, _S.WAITING, _S.APPROVED),
        step(OnboardingFailed, _S.WAITING, _S.REJECTED),
        step(OnboardingDisconnected, LIVE_ONBOARDING_STATUSES, _S.DISCONNECT),
        step(OnboardingTimedOut, LIVE_ONBOARDING_STATUSES, _S.TIMEOUT),
        step(OnboardingReturned, LIVE_ONBOARDING_STATUSES, _S.RETURNED),
        *stays(OnboardingUpdateReceived, *_S),
        *stays(OnboardingObserved, *_S),
    ),
)


class OnboardingRecord(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """State of an onboarding agent."""

    status: OnboardingStatus
    agent: OnboardingAgentId
    worker: WorkerId
    token: str
    registration: str
    #: Numbers of live updates from the page and to it.
    received: int = 0
    observed: int = 0
    #: Size of the updates from the page.
    received_bytes: int = 0
    submission: PayloadRef | None = None
    #: Id of the router's request that waits for the outcome.
    request: str = ""


def evolve(agent: OnboardingRecord | None, event: OnboardingEvent) -> OnboardingRecord:
    """Return the onboarding agent after an event.

    Raises:
        IllegalStepError: the lifecycle has no such step.
    """
    status = ONBOARDING.after(agent.status if agent else None, event)
    if isinstance(event, OnboardingStarted):
        return OnboardingRecord(status, event.agent, event.worker, event.token, event.registration)
    agent = existing(agent)
    match event:
        case OnboardingSubmitted():
            return replace(agent, status=status, submission=event.submission, request=event.request)
        case OnboardingUpdateReceived():
            size = agent.received_bytes + event.update.size
            return replace(agent, received=event.number, received_bytes=size)
        case OnboardingObserved():
            return replace(agent, observed=event.number)
        case (
            OnboardingPassed()
            | OnboardingFailed()
            | OnboardingDisconnected()
            | OnboardingTimedOut()
            | OnboardingReturned()
        ):
            return replace(agent, status=status)
        case _:
            assert_never(event)
