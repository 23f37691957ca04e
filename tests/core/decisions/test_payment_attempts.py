"""What the history of a payment says about its requests."""

from __future__ import annotations

from mephisto_es.core.decisions.payment_attempts import PaymentAttempts, attempts_of
from mephisto_es.core.decisions.settlement import Attempts
from mephisto_es.events.envelope import Envelope, RecordedEvent
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

INTENDED = PaymentIntended(token="one")
IN_DOUBT = PaymentInDoubt(answer=Answer.THROTTLED)


def known(*events: PaymentEvent) -> PaymentAttempts:
    """What is known after events, of which the first is a second after the epoch, the next a second later."""
    return attempts_of(
        [
            RecordedEvent(
                seq,
                Envelope(
                    stream="payment/1/1",
                    version=seq,
                    at=seq * 1_000_000,
                    command=str(seq),
                    ordinal=0,
                    actor="operator",
                    event=event,
                ),
            )
            for seq, event in enumerate(events, 1)
        ]
    )


def test_a_request_without_an_answer_is_unknown() -> None:
    assert known(INTENDED) == PaymentAttempts()
    assert known(INTENDED, PaymentRequested(token="one", setup="s")) == PaymentAttempts(
        attempts=Attempts(answer=Answer.UNKNOWN, token_since=2.0, sent_at=2.0), setup="s", tokens=("one",)
    )


def test_a_repeated_token_is_as_old_as_its_first_request_and_another_is_new() -> None:
    once = (INTENDED, PaymentRequested(token="one"), IN_DOUBT)
    repeated = known(*once, PaymentRequested(token="one"))
    assert (repeated.attempts.token_since, repeated.attempts.sent_at) == (2.0, 4.0)
    assert repeated.tokens == ("one",)
    other = known(*once, PaymentRequested(token="two"))
    assert (other.attempts.token_since, other.attempts.sent_at) == (4.0, 4.0)
    assert other.tokens == ("one", "two")
    back = known(*once, PaymentRequested(token="two"), IN_DOUBT, PaymentRequested(token="one"))
    assert (back.attempts.token_since, back.tokens) == (6.0, ("two", "one"))


def test_a_payment_that_is_to_be_paid_again_begins_anew_but_keeps_its_tokens() -> None:
    failed = (INTENDED, PaymentRequested(token="one", setup="s"), PaymentFailed(reason="no"))
    assert known(*failed).attempts.answer is Answer.REFUSED
    again = known(*failed, INTENDED)
    assert (again.attempts, again.setup, again.tokens) == (Attempts(), None, ("one",))
    repeated = known(*failed, INTENDED, PaymentRequested(token="one"))
    assert repeated.attempts.token_since == 5.0


def test_an_answer_and_a_look_are_of_the_last_request() -> None:
    in_doubt = known(INTENDED, PaymentRequested(token="one"), IN_DOUBT)
    assert in_doubt.attempts.answer is Answer.THROTTLED
    looked = known(INTENDED, PaymentRequested(token="one"), IN_DOUBT, PaymentLooked(sighting=Sighting.NOT_THERE))
    assert (looked.attempts.sighting, looked.attempts.looked_at, looked.attempts.sent_at) == (
        Sighting.NOT_THERE,
        4.0,
        2.0,
    )
    for event in (PaymentSent(reference="r"), PaymentConfirmed(), PaymentSettledPaid()):
        assert known(INTENDED, PaymentRequested(token="one"), event).attempts.answer is Answer.DONE
    unpaid = known(INTENDED, PaymentRequested(token="one"), IN_DOUBT, PaymentSettledUnpaid())
    assert unpaid.attempts == Attempts()
