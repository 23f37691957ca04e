"""Commands about agents and onboarding agents at work: submissions, live updates, departures."""

from __future__ import annotations

import msgspec

from ...events.agent import (
    AgentDisconnected,
    AgentExpired,
    AgentFileLost,
    AgentFileStored,
    AgentReturned,
    AgentTimedOut,
)
from ...events.base import FileRef, PayloadRef
from ...events.ids import AgentId, OnboardingAgentId
from ...events.onboarding import OnboardingDisconnected, OnboardingReturned, OnboardingTimedOut
from .base import RunCommand

#: Events by which an agent ends without a submission.
AgentDeparture = AgentDisconnected | AgentTimedOut | AgentReturned | AgentExpired
#: Events by which an onboarding ends before it is decided.
OnboardingDeparture = OnboardingDisconnected | OnboardingTimedOut | OnboardingReturned


class SubmitUnit(RunCommand, frozen=True, kw_only=True, tag="submit_unit"):
    """Submit an agent's work. The first submission completes the unit; later ones are only recorded."""

    agent: AgentId
    submission: PayloadRef
    files: tuple[FileRef, ...] = ()
    #: Names, types and form fields of the files.
    file_details: PayloadRef | None = None
    #: What the blueprint found wrong with the work.
    problems: tuple[str, ...] = ()
    #: True if no page sent it: it is taken in from the provider's site.
    from_site: bool = False


class SubmitMetadata(RunCommand, frozen=True, kw_only=True, tag="submit_metadata"):
    """Submit tips or feedback of an agent."""

    agent: AgentId
    metadata: PayloadRef
    files: tuple[FileRef, ...] = ()
    #: Names, types and form fields of the files.
    file_details: PayloadRef | None = None


class RecordFile(RunCommand, frozen=True, kw_only=True, tag="record_file"):
    """Record what became of an uploaded file; does nothing if that is recorded."""

    agent: AgentId
    event: AgentFileStored | AgentFileLost


class SubmitOnboarding(RunCommand, frozen=True, kw_only=True, tag="submit_onboarding"):
    """Submit an onboarding agent's work, which is then to be decided."""

    agent: OnboardingAgentId
    submission: PayloadRef
    #: Id of the router's request that waits for the outcome.
    request: str


class ReturnUnit(RunCommand, frozen=True, kw_only=True, tag="return_unit"):
    """Return a unit at the worker's wish; refused if the agent is not at work."""

    agent: AgentId
    #: True if the units of an assignment are worked on together.
    concurrent: bool


class EndAgent(RunCommand, frozen=True, kw_only=True, tag="end_agent"):
    """End an agent without a submission; does nothing if it is not at work."""

    agent: AgentId
    departure: AgentDeparture
    #: True if the units of an assignment are worked on together.
    concurrent: bool


class ReleaseWork(RunCommand, frozen=True, kw_only=True, tag="release_work"):
    """Put the units of agents back on offer because the task's code failed; those that are not at work are left alone.

    Their workers, and the pages they were on, may ask for the units again.
    """

    agents: tuple[AgentId, ...]
    reason: str
    #: True if the units of an assignment are worked on together.
    concurrent: bool


class EndOnboarding(RunCommand, frozen=True, kw_only=True, tag="end_onboarding"):
    """End an onboarding that is not decided; does nothing if it is."""

    agent: OnboardingAgentId
    departure: OnboardingDeparture


class UpdateLimits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Limits of the number and the size of live updates, for the page of one agent and for all pages of the run."""

    agent_updates: int
    agent_bytes: int
    run_updates: int
    run_bytes: int


class RecordLiveUpdate(RunCommand, frozen=True, kw_only=True, tag="record_live_update"):
    """Record a live update from an agent's page; does nothing if an update of that id is recorded."""

    agent: AgentId
    #: Id that the page gave it; empty if it gave none.
    update_id: str
    update: PayloadRef
    #: None if there are none.
    limits: UpdateLimits | None = None


class RecordOnboardingUpdate(RunCommand, frozen=True, kw_only=True, tag="record_onboarding_update"):
    """Record a live update from an onboarding agent's page; does nothing if an update of that id is recorded."""

    agent: OnboardingAgentId
    #: Id that the page gave it; empty if it gave none.
    update_id: str
    update: PayloadRef
    #: None if there are none.
    limits: UpdateLimits | None = None


class RecordModelQuestion(RunCommand, frozen=True, kw_only=True, tag="record_model_question"):
    """Record a question to a language model before it is sent; refused if the budget does not cover its limit."""

    agent: AgentId
    number: int
    model: str
    request: PayloadRef
    limit_cents: int


class RecordModelReply(RunCommand, frozen=True, kw_only=True, tag="record_model_reply"):
    """Record the reply of a language model."""

    agent: AgentId
    number: int
    model: str
    reply: PayloadRef
    input_tokens: int | None
    output_tokens: int | None
    cost_micros: int
    latency_ms: int


class RecordObservation(RunCommand, frozen=True, kw_only=True, tag="record_observation"):
    """Record a live update that task code sends to an agent's page."""

    agent: AgentId
    #: 1, 2, 3 ... among the updates sent to this agent.
    number: int
    update_id: str
    update: PayloadRef


class RecordOnboardingObservation(RunCommand, frozen=True, kw_only=True, tag="record_onboarding_observation"):
    """Record a live update that task code sends to an onboarding agent's page."""

    agent: OnboardingAgentId
    #: 1, 2, 3 ... among the updates sent to this onboarding agent.
    number: int
    update_id: str
    update: PayloadRef


AnyAgentCommand = (
    SubmitUnit
    | SubmitMetadata
    | RecordFile
    | SubmitOnboarding
    | ReturnUnit
    | EndAgent
    | ReleaseWork
    | EndOnboarding
    | RecordLiveUpdate
    | RecordOnboardingUpdate
    | RecordObservation
    | RecordModelQuestion
    | RecordModelReply
    | RecordOnboardingObservation
)
