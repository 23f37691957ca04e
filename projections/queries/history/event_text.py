"""Describes every event in a few words of plain English.

A description says what happened to the entity whose stream the event is in; the name of the stream is shown beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from ....core.operations.configuration.money import amount
from ....events import agent, assignment, engagement, onboarding, payment, records, resource, task_run, unit, worker
from ....events.base import Event, PayloadRef
from ....events.codec import KIND_OF

#: A template for each event. `{field}` is replaced by the value of the field.
_TEMPLATES: dict[type[Event], str] = {
    records.ProjectCreated: "project {name} created",
    records.TaskRegistered: "task {name} registered",
    records.TaskPutInProject: "task put in project {project}",
    records.RequesterRegistered: "requester {name} registered",
    records.QualificationCreated: "qualification {name} created",
    worker.WorkerRegistered: "registered, from {provider_type}",
    worker.WorkerBlocked: "blocked: {reason}",
    worker.WorkerUnblocked: "unblocked: {reason}",
    worker.QualificationGranted: "granted qualification {qualification} with value {value}",
    worker.QualificationChanged: "qualification {qualification} changed to {value}",
    worker.QualificationRevoked: "qualification {qualification} revoked: {reason}",
    worker.WorkerErased: "name and submissions erased: {reason}",
    task_run.TaskRunCreated: "created: {blueprint_type} on {architect_type}, workers from {provider_type}",
    task_run.TaskRunPrepared: "server files prepared",
    task_run.TaskRunDeployed: "server deployed at {url}",
    task_run.TaskRunWentLive: "open to workers",
    task_run.TaskRunDataExhausted: "data exhausted after {assignments} assignments",
    task_run.TaskRunPaused: "paused: {reason}",
    task_run.TaskRunDraining: "pausing once nobody is at work: {reason}",
    task_run.TaskRunReopened: "reopened: {reason}",
    task_run.TaskRunDataAdded: "{items} more items of data",
    task_run.TaskRunUnitsRaised: "{units_per_assignment} units per assignment from now on",
    task_run.TaskRunBudgetChanged: "budget changed to {budget_cents}",
    task_run.TaskRunStopping: "no longer gives out work: {reason}",
    task_run.TaskRunCompleted: "completed",
    task_run.TaskRunFailed: "failed at {step}: {reason}",
    task_run.CallbackFailed: "{function} failed at {location}: {error}",
    task_run.CallbackRecovered: "{function} works again",
    task_run.TaskRunOfferChanged: "the offer at the provider is {offer}",
    task_run.SiteListIntended: "about to ask the provider to change its {qualification}: {added} in, {removed} out",
    task_run.SiteListAnswered: "the change of the provider's {qualification}: {answer}",
    task_run.SiteListObserved: "somebody changed the provider's {qualification} there: {added} in, {removed} out",
    task_run.TaskRunAdmissionPaused: "newcomers get no work: {function} failed {failures} times in a row",
    task_run.TaskRunAdmissionResumed: "newcomers get work again: {reason}",
    task_run.TaskRunRecovering: "resumed by another process: {reason}",
    resource.ResourceIntended: "about to acquire {resource_type} ({details})",
    resource.ResourceAcquired: "acquired ({details})",
    resource.ResourceFailed: "could not be acquired: {reason}",
    resource.ResourceReleased: "released: {reason}",
    assignment.AssignmentCreated: "created from item {number} of the data",
    assignment.AssignmentExtended: "not sure enough, so it gets {units}",
    assignment.AssignmentSettled: "gets no more answers, {by}: {evidence}",
    assignment.AssignmentLabelled: "a reviewer decided the answer to {question}, having seen {units}",
    unit.UnitCreated: "created, worth {pay_cents}",
    unit.UnitLaunched: "offered to workers",
    unit.UnitAssigned: "assigned to worker-{worker} as agent-{agent}",
    unit.UnitReleased: "taken back from agent-{agent} and offered again: {reason}",
    unit.UnitCompleted: "completed by agent-{agent}",
    unit.UnitAccepted: "accepted, to be paid",
    unit.UnitLateAccepted: "accepted with the late work of agent-{agent}, to be paid",
    unit.UnitSoftRejected: "soft-rejected: not used, but paid",
    unit.UnitRejected: "rejected, not paid",
    unit.UnitVerdictWithdrawn: "verdict taken back, to be reviewed again",
    unit.UnitExpired: "no longer offered: {reason}",
    unit.UnitReopened: "reopened: {reason}",
    agent.AgentAccepted: "worker-{worker} accepted unit-{unit}",
    agent.AgentWaiting: "waiting for partners",
    agent.AgentStarted: "started working",
    agent.AgentUpdateReceived: "sent live update {number}",
    agent.AgentObserved: "received live update {number}",
    agent.AgentModelAsked: "asked the model {model}, question {number}, for at most {limit_cents}",
    agent.AgentModelReplied: "the model {model} replied to question {number} for {cost_cents}",
    agent.AgentSubmitted: "submitted the work ({submission})",
    agent.AgentSubmittedAgain: "submitted again ({submission}); the first submission counts",
    agent.AgentSubmittedLate: "submitted late ({submission}), after the work had ended",
    agent.AgentMetadataReceived: "left tips or feedback ({metadata})",
    agent.AgentFileStored: "uploaded file {filename} stored",
    agent.AgentFileLost: "uploaded file {filename} lost: {reason}",
    agent.AgentDisconnected: "disconnected: {reason}",
    agent.AgentTimedOut: "timed out: {reason}",
    agent.AgentReturned: "returned the unit: {reason}",
    agent.AgentExpired: "expired: {reason}",
    agent.AgentPartnerLeft: "partner agent-{partner} left",
    agent.AgentCompletedAlone: "completed without a submission, because the partner had left: {reason}",
    agent.AgentOpinionGiven: "would {opinion}",
    agent.AgentApproved: "approved, with a bonus of {bonus_cents}",
    agent.AgentSoftRejected: "soft-rejected",
    agent.AgentRejected: "rejected",
    agent.AgentVerdictWithdrawn: "verdict taken back",
    agent.AgentAppealed: "objected to the rejection ({objection})",
    agent.AgentAppealDismissed: "objection answered ({answer}); the rejection stands",
    agent.AgentLateAccepted: "late work accepted",
    agent.AgentBonusGranted: "granted a bonus of {bonus_cents}",
    onboarding.OnboardingStarted: "worker-{worker} started the onboarding",
    onboarding.OnboardingUpdateReceived: "sent live update {number}",
    onboarding.OnboardingObserved: "received live update {number}",
    onboarding.OnboardingSubmitted: "submitted the onboarding ({submission})",
    onboarding.OnboardingPassed: "passed the onboarding",
    onboarding.OnboardingFailed: "failed the onboarding: {reason}",
    onboarding.OnboardingDisconnected: "disconnected: {reason}",
    onboarding.OnboardingTimedOut: "timed out: {reason}",
    onboarding.OnboardingReturned: "gave up: {reason}",
    payment.PaymentOwed: "{amount_cents} owed to worker-{worker} as {purpose} for unit-{unit}",
    payment.PaymentWithdrawn: "{amount_cents} no longer owed, because the verdict was taken back",
    payment.PaymentIntended: "to be paid now",
    payment.PaymentRequested: "requesting payment from the provider",
    payment.PaymentInDoubt: "may or may not have been paid: the answer is {answer}",
    payment.PaymentLooked: "looked up in the provider's books: {sighting}",
    payment.PaymentSettledPaid: "paid, as a person has decided",
    payment.PaymentSettledUnpaid: "not paid, as a person has decided",
    payment.PaymentSent: "order accepted by the provider as {reference}",
    payment.PaymentConfirmed: "received by the worker",
    payment.PaymentFailed: "not paid: {reason}",
    engagement.WorkerArrived: "first asked for work",
    engagement.VisitAdmitted: "let in by the run's link",
    engagement.PlaceTaken: "holds a place at the provider",
    engagement.ProviderObserved: "{status} at the provider, which shows bonuses of {bonus_cents}",
    engagement.SiteMessageIntended: "about to have the provider pass on a {message} ({text})",
    engagement.SiteMessageAnswered: "the provider's answer about the message: {answer}",
    engagement.WorkStarted: "was assigned unit-{unit} as agent-{agent}",
    engagement.WorkEnded: "finished as agent-{agent} ({outcome}), still has another unit",
    engagement.AllWorkEnded: "finished as agent-{agent} ({outcome})",
    engagement.WorkerOnboarded: "passed the onboarding and may take units",
    engagement.WorkerExcluded: "excluded from this run: {reason}",
    engagement.WorkerRefused: "refused by the rule {rule} ({inputs}) and shown {reason}",
    engagement.WorkerAssessed: "{callback} was asked about the worker ({facts}): {answer}",
    engagement.ConsentGiven: "agreed to version {version} of the text of consent",
    engagement.ConsentRefused: "did not agree to version {version} of the text of consent",
    engagement.ConsentWithdrawn: "withdrew the consent; what was sent in this run was deleted: {reason}",
    engagement.VerdictsRevoked: "what {callback} said against the worker does not count: {reason}",
    engagement.CallbackAnswered: "{callback} was asked about unit-{unit}: {answer}",
}


_SETTLED_BY = {
    assignment.StopReason.CONFIDENCE: "because its label is sure enough",
    assignment.StopReason.MAXIMUM: "because it has as many as allowed",
    assignment.StopReason.DECIDED: "because a reviewer has decided on its label",
}


def label_text(evidence: assignment.LabelEvidence) -> str:
    """Return what answers say about a label: `cat 0.947 after 2 answers, 0.95 needed`."""
    answers = len(evidence.agents)
    said = f"{answers} answer{'s' * (answers != 1)}"
    return f"{evidence.label} {evidence.posterior:.3f} after {said}, {evidence.confidence:g} needed"


def describe(event: Event) -> str:
    """Describe an event in a few words."""
    values = {name: _text(name, getattr(event, name)) for name in event.__struct_fields__}
    template = _TEMPLATES.get(type(event))
    if template is None:
        return f"{KIND_OF[type(event)].replace('_', ' ')} {_text('', values)}".rstrip()
    if isinstance(event, task_run.SiteListEvent):
        values["qualification"] = _list_name(event)
    if isinstance(event, assignment.AssignmentExtended | assignment.AssignmentLabelled):
        values["units"] = ", ".join(f"unit-{one}" for one in event.units)
    text = template.format_map(values)
    if isinstance(event, assignment.AssignmentExtended):
        text += f": {label_text(event.evidence)}"
    if isinstance(event, assignment.AssignmentSettled) and event.withdrawn:
        text += f"; withdrawn: {', '.join(f'unit-{one}' for one in event.withdrawn)}"
    if isinstance(event, agent.AgentApproved) and not event.bonus_cents:
        text = "approved"
    if isinstance(event, assignment.AssignmentLabelled) and event.label is None:
        text = f"the decision on {event.question} taken back"
    if isinstance(event, task_run.TaskRunBudgetChanged) and event.budget_cents is None:
        text = "budget removed: nothing limits the cost"
    if isinstance(event, task_run.TaskRunStopping) and event.at_once:
        text += "; the people at work lose theirs"
    if isinstance(event, agent.AgentBonusGranted) and event.worked_seconds is not None:
        text = f"paid {amount(event.bonus_cents)} for {event.worked_seconds} s of work that led to nothing"
    answered = task_run.SiteListAnswered | engagement.SiteMessageAnswered | payment.PaymentInDoubt
    if isinstance(event, answered) and event.reason:
        text += f", {event.reason}"
    if isinstance(event, payment.PaymentSettledPaid | payment.PaymentSettledUnpaid):
        text += _settlement_text(event)
    if isinstance(event, agent.AgentLateAccepted) and event.pay_only_cents:
        text += "; it is only paid, because the unit went to somebody else"
    if isinstance(event, agent.AgentSubmitted | agent.AgentSubmittedLate) and event.problems:
        text += f", which does not fit the form: {'; '.join(event.problems)}"
    return text


def _settlement_text(event: payment.PaymentSettledPaid | payment.PaymentSettledUnpaid) -> str:
    """Return how a person's decision on a payment was meant; the reason is a personal value, and is elsewhere."""
    means = ", by other means" if isinstance(event, payment.PaymentSettledPaid) and event.at_site is False else ""
    return means if event.reason is None else f"{means} (`mephisto-es ledger` has the reason)"


def _list_name(event: task_run.SiteListEvent) -> str:
    if event.qualification is None:
        return "list of blocked workers"
    return f"list of those with qualification {event.qualification}"


def _text(name: str, value: object) -> str:
    if name in {"added", "removed"} and isinstance(value, tuple):
        return ", ".join(f"worker-{worker}" for worker in value) or "nobody"
    if name.endswith("_cents") and isinstance(value, int):
        return amount(value)
    match value:
        case None:
            return "nothing"
        case assignment.LabelEvidence():
            return label_text(value)
        case assignment.StopReason():
            return _SETTLED_BY[value]
        case bool():
            return "yes" if value else "no"
        case PayloadRef():
            return f"{value.size:,} bytes"
        case Enum():
            return str(value.value)
        case Mapping():
            return ", ".join(f"{key} {_text(str(key), inner)}" for key, inner in value.items()) or "nothing"
        case _:
            return str(value)
