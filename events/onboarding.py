"""Events of an onboarding agent: a worker in the step before the first unit of a run."""

from __future__ import annotations

from .base import Event, PayloadRef
from .ids import OnboardingAgentId, WorkerId


class OnboardingStarted(Event, frozen=True, kw_only=True, tag="onboarding_started"):
    """A worker started the onboarding."""

    agent: OnboardingAgentId
    worker: WorkerId
    #: Unguessable id by which page and router know this agent; begins with `onboarding`.
    token: str
    #: Pseudonym of the provider's registration id.
    registration: str
    #: What the page was given; onboardings share it. None if it was given nothing.
    inputs: PayloadRef | None = None


class OnboardingUpdateReceived(Event, frozen=True, kw_only=True, tag="onboarding_update_received"):
    """The worker's page sent a live update."""

    number: int
    update_id: str
    update: PayloadRef


class OnboardingObserved(Event, frozen=True, kw_only=True, tag="onboarding_observed"):
    """The onboarding's code sent the worker a live update."""

    number: int
    update_id: str
    update: PayloadRef


class OnboardingSubmitted(Event, frozen=True, kw_only=True, tag="onboarding_submitted"):
    """The worker submitted the onboarding."""

    submission: PayloadRef
    #: Id of the router's request that waits for the outcome.
    request: str = ""


class OnboardingPassed(Event, frozen=True, kw_only=True, tag="onboarding_passed"):
    """The worker passed the onboarding."""


class OnboardingFailed(Event, frozen=True, kw_only=True, tag="onboarding_failed"):
    """The worker did not pass the onboarding."""

    reason: str


class OnboardingDisconnected(Event, frozen=True, kw_only=True, tag="onboarding_disconnected"):
    """The worker's page went away and did not come back in time."""

    reason: str


class OnboardingTimedOut(Event, frozen=True, kw_only=True, tag="onboarding_timed_out"):
    """The worker did not finish in time."""

    reason: str


class OnboardingReturned(Event, frozen=True, kw_only=True, tag="onboarding_returned"):
    """The worker gave up, the run ended before the onboarding was decided, or the onboarding's code failed."""

    reason: str
    #: True if the onboarding's code failed: the worker's page may get another onboarding.
    may_retry: bool = False


OnboardingEvent = (
    OnboardingStarted
    | OnboardingUpdateReceived
    | OnboardingObserved
    | OnboardingSubmitted
    | OnboardingPassed
    | OnboardingFailed
    | OnboardingDisconnected
    | OnboardingTimedOut
    | OnboardingReturned
)
