"""Payments in doubt, which no decision requests again, and the places at the provider that payments go to."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.admission import RecordPlace, RecordProviderObservation
from mephisto_es.core.commands.review import GrantBonus, RecordPayment, ReviewWork, Verdict
from mephisto_es.core.errors import CommandRefusedError, IllegalStepError
from mephisto_es.core.lifecycles.payment import BONUS, PAY, PaymentState, PaymentStatus
from mephisto_es.core.payloads import seal
from mephisto_es.events import ids
from mephisto_es.events.engagement import PlaceTaken, ProviderObserved, SiteWorkStatus
from mephisto_es.events.payment import (
    Answer,
    PaymentConfirmed,
    PaymentEvent,
    PaymentFailed,
    PaymentInDoubt,
    PaymentIntended,
    PaymentLooked,
    PaymentRequested,
    PaymentSent,
    PaymentSettledPaid,
    PaymentSettledUnpaid,
    Sighting,
)

from .conftest import DATA, RUN, SmallRun

PAYMENT = ids.PaymentId(1)
REQUESTED = PaymentRequested(token="t")
IN_DOUBT = PaymentInDoubt(answer=Answer.UNKNOWN)


@pytest.fixture
def owing(run: SmallRun) -> SmallRun:
    """A run that owes the pay of one unit."""
    run.offer(1)
    run.assign(1, agent=1)
    run.submit(1)
    run.execute(
        ReviewWork(
            task_run=RUN,
            agent=ids.AgentId(1),
            verdict=Verdict.APPROVED,
            pay_payment=PAYMENT,
            bonus_payment=ids.PaymentId(2),
        )
    )
    return run


def record(run: SmallRun, *events: PaymentEvent, corrects: bool = False) -> None:
    for event in events:
        run.execute(RecordPayment(task_run=RUN, payment=PAYMENT, event=event, corrects=corrects))


def payment(run: SmallRun) -> PaymentState:
    return run.state.payments[f"payment/{RUN}/{PAYMENT}"]


def status(run: SmallRun) -> PaymentStatus:
    return run.state.payments[f"payment/{RUN}/{PAYMENT}"].status


@pytest.mark.parametrize("sighting", [None, Sighting.CANNOT_TELL, Sighting.THERE])
def test_what_may_have_been_paid_is_not_requested_again(owing: SmallRun, sighting: Sighting | None) -> None:
    record(owing, PaymentIntended(token="t"), REQUESTED, IN_DOUBT)
    if sighting is not None:
        record(owing, PaymentLooked(sighting=sighting))
    with pytest.raises(CommandRefusedError, match="may have been paid already; a look"):
        record(owing, PaymentRequested(token="another"))
    assert status(owing) is PaymentStatus.IN_DOUBT


def test_a_look_that_finds_nothing_allows_one_request(owing: SmallRun) -> None:
    record(owing, PaymentIntended(token="t"), REQUESTED, IN_DOUBT, PaymentLooked(sighting=Sighting.NOT_THERE))
    record(owing, PaymentRequested(token="another"), IN_DOUBT)
    with pytest.raises(CommandRefusedError, match="may have been paid already"):
        record(owing, PaymentRequested(token="third"))


def test_a_repeat_that_cannot_pay_twice_needs_no_look(owing: SmallRun) -> None:
    record(owing, PaymentIntended(token="t"), REQUESTED, IN_DOUBT, PaymentRequested(token="t", is_repeatable=True))
    assert status(owing) is PaymentStatus.REQUESTED


def test_a_request_without_a_recorded_answer_is_in_doubt_first(owing: SmallRun) -> None:
    record(owing, PaymentIntended(token="t"), REQUESTED)
    for event in (REQUESTED, PaymentSettledPaid(), PaymentIntended(token="t")):
        with pytest.raises(IllegalStepError):
            record(owing, event)


@pytest.mark.parametrize(
    ("decision", "after"),
    [(PaymentSettledPaid(), PaymentStatus.CONFIRMED), (PaymentSettledUnpaid(), PaymentStatus.FAILED)],
)
def test_a_person_decides(owing: SmallRun, decision: PaymentEvent, after: PaymentStatus) -> None:
    record(owing, PaymentIntended(token="t"), REQUESTED, IN_DOUBT, decision)
    assert status(owing) is after


PAID_BEFORE = {
    "never asked": ((), False),
    "refused": ((PaymentIntended(token="t"), REQUESTED, PaymentInDoubt(answer=Answer.REFUSED)), False),
    "failed": ((PaymentIntended(token="t"), REQUESTED, PaymentFailed(reason="no")), False),
    "without an answer": ((PaymentIntended(token="t"), REQUESTED, IN_DOUBT), True),
    "taken": ((PaymentIntended(token="t"), REQUESTED, PaymentSent(reference="r")), True),
}


@pytest.mark.parametrize("said", PAID_BEFORE)
def test_what_the_provider_did_not_pay_was_paid_by_other_means(owing: SmallRun, said: str) -> None:
    before, at_site = PAID_BEFORE[said]
    record(owing, *before)
    (event,) = owing.execute(RecordPayment(task_run=RUN, payment=PAYMENT, event=PaymentSettledPaid()))
    assert event == PaymentSettledPaid(at_site=at_site)
    assert owing.state.payments[f"payment/{RUN}/{PAYMENT}"].is_paid_elsewhere is not at_site


@pytest.mark.parametrize(("shown", "at_site"), [(SiteWorkStatus.APPROVED, True), (SiteWorkStatus.SUBMITTED, False)])
def test_what_the_site_shows_as_paid_was_paid_there(owing: SmallRun, shown: SiteWorkStatus, at_site: bool) -> None:
    (agent,) = owing.state.agents.values()
    observed = ProviderObserved(registration=agent.registration, status=shown)
    owing.execute(RecordProviderObservation(task_run=RUN, worker=agent.worker, observed=observed))
    assert owing.execute(RecordPayment(task_run=RUN, payment=PAYMENT, event=PaymentSettledPaid())) == [
        PaymentSettledPaid(at_site=at_site)
    ]


def test_a_person_may_say_how_it_was_paid(owing: SmallRun) -> None:
    settled = PaymentSettledPaid(at_site=True)
    assert owing.execute(RecordPayment(task_run=RUN, payment=PAYMENT, event=settled)) == [settled]


REASON = seal(b"a mistake", b"salt" * 4, None).ref


def test_a_decision_of_a_person_is_corrected_by_another(owing: SmallRun) -> None:
    record(owing, PaymentSettledPaid())
    assert payment(owing).is_paid_elsewhere
    # What is not said stays as it was.
    with pytest.raises(CommandRefusedError, match="payment-1 was settled as paid already"):
        record(owing, PaymentSettledPaid(reason=REASON))
    record(owing, PaymentSettledPaid(reason=REASON), corrects=True)
    assert payment(owing).is_paid_elsewhere
    record(owing, PaymentSettledPaid(at_site=True), corrects=True)
    again = RecordPayment(task_run=RUN, payment=PAYMENT, event=PaymentSettledPaid(), corrects=True)
    assert owing.execute(again) == [PaymentSettledPaid(at_site=True)]
    assert (status(owing), payment(owing).is_settled) == (PaymentStatus.CONFIRMED, True)
    with pytest.raises(CommandRefusedError, match="say why it is not, with --reason"):
        record(owing, PaymentSettledUnpaid(), corrects=True)
    record(owing, PaymentSettledUnpaid(reason=REASON), corrects=True)
    assert (status(owing), payment(owing).is_paid_elsewhere, payment(owing).is_settled) == (
        PaymentStatus.FAILED,
        False,
        False,
    )
    record(owing, PaymentIntended(token="t"), REQUESTED, PaymentSent(reference="r"))


@pytest.mark.parametrize("decision", [PaymentSettledPaid(at_site=False), PaymentSettledUnpaid(reason=REASON)])
def test_what_the_provider_has_confirmed_no_person_changes(owing: SmallRun, decision: PaymentEvent) -> None:
    record(owing, PaymentIntended(token="t"), REQUESTED, PaymentSent(reference="r"), PaymentConfirmed())
    with pytest.raises(CommandRefusedError, match="payment-1 is 'confirmed' by the provider"):
        record(owing, decision)


@pytest.mark.parametrize(
    ("shown", "bonus_cents", "purpose", "is_there"),
    [
        (SiteWorkStatus.APPROVED, 0, PAY, True),
        (SiteWorkStatus.SUBMITTED, 0, PAY, False),
        (SiteWorkStatus.APPROVED, 30, BONUS, True),
        # The site shows the other bonus.
        (SiteWorkStatus.APPROVED, 20, BONUS, False),
    ],
)
def test_what_the_site_shows_as_paid_is_not_settled_as_unpaid(
    run: SmallRun, shown: SiteWorkStatus, bonus_cents: int, purpose: str, is_there: bool
) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    run.submit(1)
    review = ReviewWork(
        task_run=RUN,
        agent=ids.AgentId(1),
        verdict=Verdict.APPROVED,
        bonus_cents=10,
        pay_payment=PAYMENT,
        bonus_payment=ids.PaymentId(2),
    )
    run.execute(review)
    run.execute(GrantBonus(task_run=RUN, agent=ids.AgentId(1), bonus_cents=20, reason=REASON, payment=ids.PaymentId(3)))
    for number in (1, 2, 3):
        settled = PaymentSettledPaid(at_site=True)
        run.execute(RecordPayment(task_run=RUN, payment=ids.PaymentId(number), event=settled))
    (agent,) = run.state.agents.values()
    observed = ProviderObserved(registration=agent.registration, status=shown, bonus_cents=bonus_cents)
    run.execute(RecordProviderObservation(task_run=RUN, worker=agent.worker, observed=observed))
    number = ids.PaymentId(1 if purpose == PAY else 2)
    unpaid = RecordPayment(task_run=RUN, payment=number, event=PaymentSettledUnpaid(reason=REASON), corrects=True)
    if is_there:
        with pytest.raises(CommandRefusedError, match=f"payment-{number} is paid according to the site"):
            run.execute(unpaid)
    else:
        run.execute(unpaid)


def test_the_first_place_of_a_registration_stands(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    (worker,) = {one.worker for one in run.state.agents.values()}
    place = RecordPlace(task_run=RUN, worker=worker, registration="r", handle=DATA)
    assert [type(event) for event in run.execute(place)] == [PlaceTaken]
    assert run.execute(place) == []


def test_what_the_provider_shows_is_recorded_once(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    (worker,) = {one.worker for one in run.state.agents.values()}
    for status in (SiteWorkStatus.SUBMITTED, SiteWorkStatus.RETURNED):
        observed = ProviderObserved(registration="r", status=status)
        command = RecordProviderObservation(task_run=RUN, worker=worker, observed=observed)
        assert run.execute(command) == [observed]
        assert run.execute(command) == []
