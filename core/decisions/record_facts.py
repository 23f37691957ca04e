"""Records plain facts: whether they are legal now is decided by the lifecycle alone."""

from __future__ import annotations

from msgspec.structs import replace

from ...events import streams
from ...events.agent import (
    AgentMetadataReceived,
    AgentModelAsked,
    AgentModelReplied,
    AgentObserved,
    AgentUpdateReceived,
)
from ...events.engagement import PAID_THERE_STATUSES, PlaceTaken, ProviderObserved
from ...events.onboarding import OnboardingObserved, OnboardingSubmitted, OnboardingUpdateReceived
from ...events.payment import Answer, PaymentRequested, PaymentSettledPaid, PaymentSettledUnpaid
from ..commands.admission import RecordPlace, RecordProviderObservation, RecordSiteMessage
from ..commands.agent import (
    RecordFile,
    RecordLiveUpdate,
    RecordModelQuestion,
    RecordModelReply,
    RecordObservation,
    RecordOnboardingObservation,
    RecordOnboardingUpdate,
    SubmitMetadata,
    SubmitOnboarding,
)
from ..commands.review import RecordPayment
from ..commands.task_run import RecordResource, RecordRunEvent
from ..errors import CommandRefusedError, TooManyUpdatesError
from ..lifecycles.agent import AgentRecord
from ..lifecycles.onboarding import OnboardingRecord
from ..lifecycles.payment import BONUS, PAY, PaymentState, PaymentStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState
from .worker_events import arrival_events
from .worker_rights.consent import check_kept
from .worker_rights.pay_for_time import COMPENSATION_PREFIX


def decide_submit_metadata(state: DecisionState, command: SubmitMetadata) -> list[NewEvent]:
    """Record tips or feedback of an agent.

    Raises:
        UnknownEntityError: there is no such agent.
        CommandRefusedError: the worker was erased, or has withdrawn the consent.
    """
    stream = streams.agent(command.task_run, command.agent)
    check_kept(state, command.task_run, state.agents[stream].worker)
    received = AgentMetadataReceived(metadata=command.metadata, files=command.files, file_details=command.file_details)
    return [NewEvent(stream, received)]


def decide_record_file(state: DecisionState, command: RecordFile) -> list[NewEvent]:
    """Record what became of an uploaded file; nothing if it is not awaited any more.

    Raises:
        UnknownEntityError: there is no such agent.
    """
    stream = streams.agent(command.task_run, command.agent)
    awaited = {file.filename for file in state.agents[stream].awaited_files}
    return [NewEvent(stream, command.event)] if command.event.filename in awaited else []


def decide_submit_onboarding(_: DecisionState, command: SubmitOnboarding) -> list[NewEvent]:
    """Record an onboarding agent's submission."""
    submitted = OnboardingSubmitted(submission=command.submission, request=command.request)
    return [NewEvent(streams.onboarding_agent(command.task_run, command.agent), submitted)]


def decide_record_live_update(state: DecisionState, command: RecordLiveUpdate) -> list[NewEvent]:
    """Number and record a live update from an agent's page; nothing if an update of that id is recorded.

    Raises:
        UnknownEntityError: there is no such agent.
        TooManyUpdatesError: the page, or all pages of the run, may send no more.
    """
    stream = streams.agent(command.task_run, command.agent)
    if state.has_update(stream, command.update_id):
        return []
    _check_limits(state, state.agents[stream], command)
    number = state.agents[stream].received + 1
    received = AgentUpdateReceived(number=number, update_id=command.update_id, update=command.update)
    return [NewEvent(stream, received)]


def decide_record_onboarding_update(state: DecisionState, command: RecordOnboardingUpdate) -> list[NewEvent]:
    """Number and record a live update from an onboarding agent's page; nothing if an update of that id is recorded.

    Raises:
        UnknownEntityError: there is no such onboarding agent.
        TooManyUpdatesError: the page, or all pages of the run, may send no more.
    """
    stream = streams.onboarding_agent(command.task_run, command.agent)
    if state.has_update(stream, command.update_id):
        return []
    _check_limits(state, state.onboardings[stream], command)
    number = state.onboardings[stream].received + 1
    received = OnboardingUpdateReceived(number=number, update_id=command.update_id, update=command.update)
    return [NewEvent(stream, received)]


def _check_limits(
    state: DecisionState, agent: AgentRecord | OnboardingRecord, command: RecordLiveUpdate | RecordOnboardingUpdate
) -> None:
    """Check that an agent's page may send one more live update.

    Raises:
        TooManyUpdatesError: it may not.
    """
    limits, run, size = command.limits, state.runs[command.task_run], command.update.size
    if limits is None:
        return
    if (
        agent.received >= limits.agent_updates
        or agent.received_bytes + size > limits.agent_bytes
        or run.updates >= limits.run_updates
        or run.update_bytes + size > limits.run_bytes
    ):
        raise TooManyUpdatesError


def decide_record_observation(_: DecisionState, command: RecordObservation) -> list[NewEvent]:
    """Record a live update to an agent's page."""
    observed = AgentObserved(number=command.number, update_id=command.update_id, update=command.update)
    return [NewEvent(streams.agent(command.task_run, command.agent), observed)]


def decide_record_onboarding_observation(_: DecisionState, command: RecordOnboardingObservation) -> list[NewEvent]:
    """Record a live update to an onboarding agent's page."""
    observed = OnboardingObserved(number=command.number, update_id=command.update_id, update=command.update)
    return [NewEvent(streams.onboarding_agent(command.task_run, command.agent), observed)]


def decide_record_model_question(state: DecisionState, command: RecordModelQuestion) -> list[NewEvent]:
    """Record a question to a language model.

    Raises:
        CommandRefusedError: the run's budget does not cover what the reply may cost.
    """
    budget = state.runs[command.task_run].budget
    if not budget.fits(command.limit_cents):
        raise CommandRefusedError(
            f"a reply of {command.model} may cost {command.limit_cents} cents, "
            f"and the budget of run {command.task_run} has {budget.left_cents} left"
        )
    asked = AgentModelAsked(
        number=command.number, model=command.model, request=command.request, limit_cents=command.limit_cents
    )
    return [NewEvent(streams.agent(command.task_run, command.agent), asked)]


def decide_record_model_reply(state: DecisionState, command: RecordModelReply) -> list[NewEvent]:
    """Record the reply of a language model, with its share of the run's whole cents."""
    replied = AgentModelReplied(
        number=command.number,
        model=command.model,
        reply=command.reply,
        input_tokens=command.input_tokens,
        output_tokens=command.output_tokens,
        cost_micros=command.cost_micros,
        cost_cents=state.runs[command.task_run].budget.cents_of_micros(command.cost_micros),
        latency_ms=command.latency_ms,
    )
    return [NewEvent(streams.agent(command.task_run, command.agent), replied)]


def decide_record_run_event(_: DecisionState, command: RecordRunEvent) -> list[NewEvent]:
    """Record that something happened to a run."""
    return [NewEvent(streams.task_run(command.task_run), command.event)]


def decide_record_resource(_: DecisionState, command: RecordResource) -> list[NewEvent]:
    """Record what became of an outside resource."""
    return [NewEvent(streams.resource(command.task_run, command.number), command.event)]


def decide_record_place(state: DecisionState, command: RecordPlace) -> list[NewEvent]:
    """Record the place that a worker holds at the provider; nothing if the registration has one."""
    run, worker = command.task_run, command.worker
    stream = streams.engagement(run, worker)
    engagement = state.engagements.get(stream)
    if engagement is not None and command.registration in engagement.places:
        return []
    taken = PlaceTaken(registration=command.registration, handle=command.handle, study=command.study)
    return [*arrival_events(state, run, worker), NewEvent(stream, taken)]


def decide_record_provider_observation(state: DecisionState, command: RecordProviderObservation) -> list[NewEvent]:
    """Record how the provider shows a place; nothing if it showed the same before.

    Raises:
        UnknownEntityError: the worker is not known in the run.
    """
    stream, observed = streams.engagement(command.task_run, command.worker), command.observed
    if state.engagements[stream].places.get(observed.registration) == observed:
        return []
    return [NewEvent(stream, observed)]


def decide_record_site_message(_: DecisionState, command: RecordSiteMessage) -> list[NewEvent]:
    """Record a message at the provider's site, or what became of it."""
    return [NewEvent(streams.engagement(command.task_run, command.worker), command.event)]


def decide_record_payment(state: DecisionState, command: RecordPayment) -> list[NewEvent]:
    """Record what became of a payment; of one that a person has settled, whether it came through the provider.

    A person's decision can be corrected by another one.

    Raises:
        CommandRefusedError: it is in doubt, and a request could pay twice; or the provider has confirmed it.
    """
    stream, event = streams.payment(command.task_run, command.payment), command.event
    paid = state.payments.get(stream)
    if paid is not None and paid.status is PaymentStatus.CONFIRMED:
        _check_correction(state, command, paid)
    if isinstance(event, PaymentSettledPaid) and event.at_site is None and paid is not None:
        event = replace(event, at_site=_is_paid_at_site(state, command, paid))
    if isinstance(event, PaymentRequested) and not state.payments[stream].may_be_requested(event):
        raise CommandRefusedError(
            f"{stream} may have been paid already; a look that does not find it must come before another request"
        )
    return [NewEvent(stream, event)]


def _check_correction(state: DecisionState, command: RecordPayment, paid: PaymentState) -> None:
    """Check that a person's decision may change a payment that is known to be paid.

    Raises:
        CommandRefusedError: the provider has confirmed it, the decision does not say that it corrects one, its reason
            is missing, or the site shows the payment.
    """
    name = f"payment-{command.payment}"
    if isinstance(command.event, PaymentSettledPaid | PaymentSettledUnpaid) and not paid.is_settled:
        raise CommandRefusedError(f"{name} is 'confirmed' by the provider, which no decision of a person changes")
    if isinstance(command.event, PaymentSettledPaid | PaymentSettledUnpaid) and not command.corrects:
        raise CommandRefusedError(f"{name} was settled as paid already; `mephisto-es pay` corrects that with --settle")
    if not isinstance(command.event, PaymentSettledUnpaid):
        return
    if command.event.reason is None:
        raise CommandRefusedError(f"{name} was settled as paid; say why it is not, with --reason")
    if (shown := _shown_at_site(state, command, paid)) is None:
        return
    others_cents = sum(
        other.amount_cents
        for stream, other in state.payments.items()
        if streams.run_of(stream) == command.task_run
        and (other.agent, other.purpose) == (paid.agent, BONUS)
        and other.payment != paid.payment
        and other.status in (PaymentStatus.SENT, PaymentStatus.CONFIRMED)
        and not other.is_paid_elsewhere
    )
    is_bonus_there = shown.bonus_cents - others_cents >= paid.amount_cents
    if is_bonus_there if paid.purpose == BONUS else shown.status in PAID_THERE_STATUSES:
        raise CommandRefusedError(f"{name} is paid according to the site; it cannot be settled as unpaid")


def _shown_at_site(state: DecisionState, command: RecordPayment, payment: PaymentState) -> ProviderObserved | None:
    """Return how the site last showed the work that a payment is for; None: it did not."""
    agent = state.agents[streams.agent(command.task_run, payment.agent)]
    places = state.engagements[streams.engagement(command.task_run, payment.worker)].places
    return places.get(agent.registration.removeprefix(COMPENSATION_PREFIX))


def _is_paid_at_site(state: DecisionState, command: RecordPayment, payment: PaymentState) -> bool:
    """Return True if a payment that a person calls paid must have come through the provider.

    It has not if the provider was never asked, or refused. But the site may have paid the work by itself since. A
    decision that corrects another one and does not say leaves it as it was.
    """
    if payment.is_settled:
        return not payment.is_paid_elsewhere
    if payment.status is PaymentStatus.SENT:
        return True
    shown = _shown_at_site(state, command, payment)
    if payment.purpose == PAY and shown is not None and shown.status in PAID_THERE_STATUSES:
        return True
    return payment.status is PaymentStatus.IN_DOUBT and payment.answer is not Answer.REFUSED
