"""The steps of each site's operations: what follows a lost answer, an empty look, a busy site and a refusal."""

from __future__ import annotations

from itertools import product

import pytest

from mephisto_es.core.decisions.settlement import (
    BONUS_LAG_SECONDS,
    FINAL_STEPS,
    HOUR_SECONDS,
    LIST_LAG_SECONDS,
    SAFE_TOKEN_SECONDS,
    SENDING_STEPS,
    SETTLEMENTS,
    Attempts,
    ByHand,
    ByLooking,
    ByToken,
    CrowdSite,
    Impossible,
    NextStep,
    SiteOperation,
    answer_after,
    before_step,
    next_step,
)
from mephisto_es.events.payment import Answer, Sighting

SENT_AT = 1000.0
#: Long after: every site shows everything by then, and has forgotten no token.
LATER = SENT_AT + 10 * HOUR_SECONDS

LOOKS_THEN_REPEATS = (NextStep.LOOK, NextStep.SEND_NEW_TOKEN, NextStep.SEND_NEW_TOKEN, NextStep.FAILED)
LOOKS_AFTER_A_REFUSAL = (NextStep.LOOK, NextStep.SEND_NEW_TOKEN, NextStep.SEND_NEW_TOKEN, NextStep.LOOK)
SENDS_AGAIN = (NextStep.SEND, NextStep.SEND, NextStep.SEND, NextStep.FAILED)

#: After a lost answer, after a look that found nothing, after that from a busy site, and after a refusal.
STEPS = {
    (CrowdSite.CONNECT, SiteOperation.CREATE): LOOKS_THEN_REPEATS,
    (CrowdSite.PROLIFIC, SiteOperation.CREATE): LOOKS_THEN_REPEATS,
    (CrowdSite.CONNECT, SiteOperation.ADD_PLACES): SENDS_AGAIN,
    (CrowdSite.PROLIFIC, SiteOperation.ADD_PLACES): SENDS_AGAIN,
    (CrowdSite.CONNECT, SiteOperation.BASE_PAY): LOOKS_AFTER_A_REFUSAL,
    (CrowdSite.SONA, SiteOperation.BASE_PAY): SENDS_AGAIN,
    (CrowdSite.PROLIFIC, SiteOperation.BASE_PAY): (NextStep.SEND, NextStep.SEND, NextStep.SEND, NextStep.LOOK),
    (CrowdSite.CONNECT, SiteOperation.BONUS): LOOKS_AFTER_A_REFUSAL,
    (CrowdSite.PROLIFIC, SiteOperation.BONUS): (
        NextStep.LOOK,
        NextStep.ASK_PERSON,
        NextStep.SEND_NEW_TOKEN,
        NextStep.FAILED,
    ),
    (CrowdSite.CONNECT, SiteOperation.MESSAGE): (
        NextStep.SEND_SAME_TOKEN,
        NextStep.SEND_SAME_TOKEN,
        NextStep.SEND_SAME_TOKEN,
        NextStep.FAILED,
    ),
    (CrowdSite.PROLIFIC, SiteOperation.MESSAGE): (
        NextStep.LEAVE_IN_DOUBT,
        NextStep.LEAVE_IN_DOUBT,
        NextStep.LEAVE_IN_DOUBT,
        NextStep.FAILED,
    ),
}
BY_HAND = {
    *product([CrowdSite.LINK], set(SiteOperation)),
    (CrowdSite.SONA, SiteOperation.CREATE),
    (CrowdSite.SONA, SiteOperation.ADD_PLACES),
}
IMPOSSIBLE = {(CrowdSite.SONA, SiteOperation.BONUS), (CrowdSite.SONA, SiteOperation.MESSAGE)}


def sent(answer: Answer, *, sighting: Sighting | None = None, looked_at: float | None = None) -> Attempts:
    return Attempts(answer=answer, token_since=SENT_AT, sent_at=SENT_AT, sighting=sighting, looked_at=looked_at)


def test_every_operation_of_every_site_has_its_rule() -> None:
    assert set(SETTLEMENTS) == set(product(CrowdSite, SiteOperation)) == STEPS.keys() | BY_HAND | IMPOSSIBLE
    assert {key for key, rule in SETTLEMENTS.items() if isinstance(rule, ByHand)} == BY_HAND
    assert {key for key, rule in SETTLEMENTS.items() if isinstance(rule, Impossible)} == IMPOSSIBLE


@pytest.mark.parametrize(("key", "steps"), STEPS.items(), ids=lambda value: str(value))
def test_the_steps_of_an_operation(key: tuple[CrowdSite, SiteOperation], steps: tuple[NextStep, ...]) -> None:
    rule = SETTLEMENTS[key]
    assert (
        next_step(rule, sent(Answer.UNKNOWN), LATER),
        next_step(rule, sent(Answer.UNKNOWN, sighting=Sighting.NOT_THERE, looked_at=LATER), LATER),
        next_step(rule, sent(Answer.THROTTLED, sighting=Sighting.NOT_THERE, looked_at=LATER), LATER),
        next_step(rule, sent(Answer.REFUSED), LATER),
    ) == steps
    assert next_step(rule, Attempts(), LATER) is NextStep.SEND
    assert next_step(rule, sent(Answer.DONE), LATER) is NextStep.SETTLED


@pytest.mark.parametrize(
    ("key", "lag"),
    [
        ((CrowdSite.CONNECT, SiteOperation.CREATE), 120),
        ((CrowdSite.CONNECT, SiteOperation.BONUS), 1800),
        ((CrowdSite.PROLIFIC, SiteOperation.BONUS), 1800),
    ],
)
def test_a_look_tells_once_the_site_must_show_the_effect(key: tuple[CrowdSite, SiteOperation], lag: int) -> None:
    rule, shown_at = SETTLEMENTS[key], SENT_AT + lag
    assert isinstance(rule, ByLooking)
    too_early = sent(Answer.THROTTLED, sighting=Sighting.NOT_THERE, looked_at=shown_at - 1)
    assert next_step(rule, too_early, shown_at - 0.5) is NextStep.WAIT
    assert next_step(rule, too_early, shown_at) is NextStep.LOOK
    in_time = sent(Answer.THROTTLED, sighting=Sighting.NOT_THERE, looked_at=shown_at)
    assert next_step(rule, in_time, shown_at) is NextStep.SEND_NEW_TOKEN
    there = sent(Answer.UNKNOWN, sighting=Sighting.THERE, looked_at=SENT_AT)
    assert next_step(rule, there, SENT_AT) is NextStep.SETTLED
    unclear = sent(Answer.UNKNOWN, sighting=Sighting.CANNOT_TELL, looked_at=SENT_AT)
    assert next_step(rule, unclear, SENT_AT) is NextStep.ASK_PERSON


def test_a_request_whose_time_nobody_knows_is_as_late_as_can_be() -> None:
    rule = SETTLEMENTS[CrowdSite.CONNECT, SiteOperation.CREATE]
    looked = Attempts(answer=Answer.UNKNOWN, sighting=Sighting.NOT_THERE, looked_at=LATER)
    assert next_step(rule, looked, LATER) is NextStep.WAIT


@pytest.mark.parametrize(
    ("sighting", "step"),
    [
        (None, NextStep.LOOK),
        (Sighting.THERE, NextStep.SETTLED),
        (Sighting.NOT_THERE, NextStep.FAILED),
        (Sighting.CANNOT_TELL, NextStep.ASK_PERSON),
    ],
)
def test_a_look_tells_if_an_error_came_after_the_effect(sighting: Sighting | None, step: NextStep) -> None:
    rule = SETTLEMENTS[CrowdSite.PROLIFIC, SiteOperation.BASE_PAY]
    assert next_step(rule, sent(Answer.REFUSED, sighting=sighting), LATER) is step


def test_a_token_is_repeated_as_long_as_the_site_remembers_it() -> None:
    rule = SETTLEMENTS[CrowdSite.CONNECT, SiteOperation.MESSAGE]
    assert isinstance(rule, ByToken)
    assert (rule.safe_seconds, SAFE_TOKEN_SECONDS, LIST_LAG_SECONDS, BONUS_LAG_SECONDS) == (72_000, 72_000, 120, 1800)
    forgotten_at = SENT_AT + rule.safe_seconds
    assert next_step(rule, sent(Answer.UNKNOWN), forgotten_at - 1) is NextStep.SEND_SAME_TOKEN
    assert next_step(rule, sent(Answer.UNKNOWN), forgotten_at) is NextStep.LEAVE_IN_DOUBT
    assert next_step(rule, sent(Answer.TOKEN_SEEN), SENT_AT) is NextStep.LEAVE_IN_DOUBT
    # The token may be older than the last request with it.
    repeated = Attempts(answer=Answer.UNKNOWN, token_since=SENT_AT, sent_at=forgotten_at - 1)
    assert next_step(rule, repeated, forgotten_at) is NextStep.LEAVE_IN_DOUBT
    old = Attempts(answer=Answer.UNKNOWN, sent_at=SENT_AT)
    assert next_step(rule, old, SENT_AT) is NextStep.SEND_SAME_TOKEN
    assert next_step(rule, Attempts(answer=Answer.UNKNOWN), SENT_AT) is NextStep.LEAVE_IN_DOUBT


def test_a_step_sends_ends_or_waits() -> None:
    assert {NextStep.SEND, NextStep.SEND_SAME_TOKEN, NextStep.SEND_NEW_TOKEN} == SENDING_STEPS
    assert set(NextStep) - SENDING_STEPS - FINAL_STEPS == {NextStep.LOOK, NextStep.WAIT}
    assert not SENDING_STEPS & FINAL_STEPS


def test_what_is_recorded_before_a_request_assumes_that_nothing_follows() -> None:
    attempts = sent(Answer.THROTTLED, sighting=Sighting.NOT_THERE, looked_at=LATER)
    for step in (NextStep.LOOK, NextStep.WAIT, NextStep.SETTLED, NextStep.ASK_PERSON):
        assert before_step(step, attempts, LATER) is attempts
    for step in (NextStep.SEND, NextStep.SEND_NEW_TOKEN):
        assert before_step(step, attempts, LATER) == Attempts(answer=Answer.UNKNOWN, token_since=LATER, sent_at=LATER)
    assert before_step(NextStep.SEND_SAME_TOKEN, attempts, LATER) == Attempts(
        answer=Answer.UNKNOWN, token_since=SENT_AT, sent_at=LATER
    )
    assert before_step(NextStep.SEND_SAME_TOKEN, Attempts(), LATER).token_since == LATER


@pytest.mark.parametrize(
    ("step", "before", "answer", "after"),
    [
        # Nothing was in doubt: the answer is the answer.
        (NextStep.SEND, Answer.NOT_SENT, Answer.NOT_SENT, Answer.NOT_SENT),
        (NextStep.SEND, Answer.REFUSED, Answer.NOT_SENT, Answer.NOT_SENT),
        # A request that was not sent says nothing about the one before it.
        (NextStep.SEND, Answer.UNKNOWN, Answer.NOT_SENT, Answer.UNKNOWN),
        (NextStep.SEND_SAME_TOKEN, Answer.UNKNOWN, Answer.NOT_SENT, Answer.UNKNOWN),
        # A new token comes after a look that found nothing.
        (NextStep.SEND_NEW_TOKEN, Answer.UNKNOWN, Answer.NOT_SENT, Answer.NOT_SENT),
        (NextStep.SEND_NEW_TOKEN, Answer.UNKNOWN, Answer.REFUSED, Answer.REFUSED),
        # A repeated token that is refused was seen.
        (NextStep.SEND_SAME_TOKEN, Answer.UNKNOWN, Answer.REFUSED, Answer.TOKEN_SEEN),
        (NextStep.SEND_SAME_TOKEN, Answer.NOT_SENT, Answer.REFUSED, Answer.REFUSED),
        (NextStep.SEND, Answer.UNKNOWN, Answer.REFUSED, Answer.REFUSED),
        (NextStep.SEND_SAME_TOKEN, Answer.UNKNOWN, Answer.DONE, Answer.DONE),
    ],
)
def test_an_answer_in_the_light_of_the_request_before(
    step: NextStep, before: Answer, answer: Answer, after: Answer
) -> None:
    assert answer_after(step, sent(before), answer) is after
