"""Every event as a few words, for people who read what happened.

The words say what happened to the entity whose stream the event is in; its name stands beside them.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ....core.operations.configuration.money import amount
from ....events import agent, assignment, directory, engagement, onboarding, pay, server, task_run, unit, worker
from ....events.base import Event, PayloadRef
from ....events.codec import KIND_OF

#: A template for each event. `{field}` is the field's value in words.
_WORDS: dict[type[Event], str] = {
    directory.TaskRegistered: "the task {name} was used for the first time",
    directory.RequesterRegistered: "the requester {name} was named for the first time",
    directory.QualificationCreated: "the qualification {name} was used for the first time",
    worker.WorkerRegistered: "seen for the first time, at {provider_type}",
    worker.WorkerBlocked: "blocked: {reason}",
    worker.WorkerUnblocked: "unblocked: {reason}",
    worker.QualificationGranted: "was granted qualification {qualification} with value {value}",
    worker.QualificationChanged: "has qualification {qualification} with value {value} now",
    worker.QualificationRevoked: "lost qualification {qualification}: {reason}",
    worker.WorkerForgotten: "name and submissions were deleted: {reason}",
    task_run.TaskRunCreated: "created: {blueprint_type} on {architect_type}, workers from {provider_type}",
    task_run.TaskRunPrepared: "the server's files are in place",
    task_run.TaskRunDeployed: "the server is up at {url}",
    task_run.TaskRunWentLive: "workers are let in",
    task_run.TaskRunDataExhausted: "the data has no more than {assignments} assignments",
    task_run.TaskRunStopping: "gives out no more work: {reason}",
    task_run.TaskRunCompleted: "completed: nothing is open any more",
    task_run.TaskRunFailed: "failed at {step}: {reason}",
    task_run.TaskRunRecovering: "taken up again by another process: {reason}",
    server.ResourceIntended: "{resource_type} is about to be acquired ({details})",
    server.ResourceAcquired: "acquired ({details})",
    server.ResourceFailed: "could not be acquired: {reason}",
    server.ResourceReleased: "released: {reason}",
    assignment.AssignmentCreated: "created as number {number} of the data",
    unit.UnitCreated: "created, worth {pay_cents}",
    unit.UnitLaunched: "on offer",
    unit.UnitAssigned: "given to worker-{worker} as agent-{agent}",
    unit.UnitReleased: "taken back from agent-{agent} and offered again: {reason}",
    unit.UnitCompleted: "handed in by agent-{agent}",
    unit.UnitAccepted: "accepted: it is to be paid",
    unit.UnitSoftRejected: "soft-rejected: not wanted, but paid",
    unit.UnitRejected: "rejected: not paid",
    unit.UnitExpired: "taken off offer: {reason}",
    unit.UnitReopened: "to be done again: {reason}",
    agent.AgentAccepted: "worker-{worker} took unit-{unit}",
    agent.AgentWaiting: "waits for its partners",
    agent.AgentStarted: "at work",
    agent.AgentUpdateReceived: "sent live update {number}",
    agent.AgentObserved: "was sent live update {number}",
    agent.AgentSubmitted: "handed in the work ({submission})",
    agent.AgentSubmittedAgain: "handed in once more ({submission}); the first submission stands",
    agent.AgentMetadataReceived: "left tips or feedback ({metadata})",
    agent.AgentDisconnected: "disconnected: {reason}",
    agent.AgentTimedOut: "did not finish in time: {reason}",
    agent.AgentReturned: "gave the unit back: {reason}",
    agent.AgentExpired: "had the unit taken away: {reason}",
    agent.AgentPartnerLeft: "its partner agent-{partner} went away",
    agent.AgentApproved: "approved, with a bonus of {bonus_cents}",
    agent.AgentSoftRejected: "soft-rejected",
    agent.AgentRejected: "rejected",
    agent.AgentBonusGranted: "was given a bonus of {bonus_cents}",
    onboarding.OnboardingStarted: "worker-{worker} began the onboarding",
    onboarding.OnboardingUpdateReceived: "sent live update {number}",
    onboarding.OnboardingObserved: "was sent live update {number}",
    onboarding.OnboardingSubmitted: "handed in the onboarding ({submission})",
    onboarding.OnboardingPassed: "passed the onboarding",
    onboarding.OnboardingFailed: "failed the onboarding: {reason}",
    onboarding.OnboardingDisconnected: "disconnected: {reason}",
    onboarding.OnboardingTimedOut: "did not finish in time: {reason}",
    onboarding.OnboardingReturned: "gave up: {reason}",
    pay.PaymentOwed: "{amount_cents} owed to worker-{worker} as {purpose} for unit-{unit}",
    pay.PaymentIntended: "the provider is about to be asked",
    pay.PaymentSent: "the provider took the order as {reference}",
    pay.PaymentConfirmed: "the money has reached the worker",
    pay.PaymentFailed: "not paid: {reason}",
    engagement.WorkerArrived: "asked for work for the first time",
    engagement.WorkTaken: "was given unit-{unit} as agent-{agent}",
    engagement.WorkEnded: "is done as agent-{agent} ({outcome}), and has another unit",
    engagement.LastWorkEnded: "is done as agent-{agent} ({outcome})",
    engagement.EngagementOnboarded: "passed the onboarding: units are open to it",
    engagement.EngagementBarred: "gets no unit of this run: {reason}",
    engagement.WorkerRefused: "was refused by the rule {rule} ({inputs}) and shown {shown}",
    engagement.WorkerJudged: "{callback} was asked about the worker ({facts}): {answer}",
    engagement.CallbackAnswered: "{callback} was asked about unit-{unit}: {answer}",
}


def words(event: Event) -> str:
    """What an event says, in a few words."""
    values = {
        field.name: _in_words(field.name, getattr(event, field.name)) for field in msgspec.structs.fields(type(event))
    }
    template = _WORDS.get(type(event))
    if template is None:
        return f"{KIND_OF[type(event)].replace('_', ' ')} {_in_words('', values)}".rstrip()
    return template.format_map(values)


def _in_words(name: str, value: object) -> str:
    if name.endswith("_cents") and isinstance(value, int):
        return amount(value)
    match value:
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case PayloadRef():
            return f"{value.size:,} bytes"
        case Mapping():
            return ", ".join(f"{key} {_in_words(str(key), inner)}" for key, inner in value.items()) or "nothing"
        case _:
            return str(value)
