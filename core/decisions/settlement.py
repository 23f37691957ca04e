"""Decides the next step for an effect at a site that may or may not have happened: pure, one rule per operation.

Each site settles "did it happen?" in its own way. A rule says how; `next_step` applies it to what is known. Two things
never happen: an effect is asked for again while it may have happened and a second one would count twice, and an effect
in doubt is dropped without a person's word.
"""

from __future__ import annotations

from enum import Enum
from typing import assert_never

import msgspec

from ...events.payment import Answer, Sighting

HOUR_SECONDS = 3600
#: Sites forget tokens after 24 hours; the rest is for clocks that differ and requests on their way.
SAFE_TOKEN_SECONDS = 20 * HOUR_SECONDS
#: New objects show in lists after at most this.
LIST_LAG_SECONDS = 120
#: Bonuses are paid in the background and show after at most this.
BONUS_LAG_SECONDS = 30 * 60


class CrowdSite(Enum):
    """Sites that have rules."""

    CONNECT = "connect"
    SONA = "sona"
    PROLIFIC = "prolific"
    #: A panel, class or staff: everything is done by people.
    LINK = "link"


class SiteOperation(Enum):
    """Operations that have an effect at a site."""

    CREATE = "create"
    ADD_PLACES = "add places"
    BASE_PAY = "base pay"
    BONUS = "bonus"
    MESSAGE = "message"


class Absence(Enum):
    """Meanings of a look that, after the site's lag, does not find the effect."""

    #: It has not happened: ask for it again, with a new token where there are tokens.
    PROVES_NOTHING_HAPPENED = "ask again"
    #: It may still come: a person decides.
    PROVES_NOTHING = "a person decides"


class BySendingAgain(msgspec.Struct, frozen=True):
    """A second request changes nothing more, at any time; its answer tells that the effect is there."""

    #: False if the site can answer with an error although the effect is there: a look tells then.
    is_refusal_final: bool = True


class ByLooking(msgspec.Struct, frozen=True):
    """The site shows the effect; a second request could double it."""

    lag_seconds: float
    absence: Absence
    #: False if the site can answer with an error although it did what was asked.
    is_refusal_final: bool = True


class ByToken(msgspec.Struct, frozen=True):
    """The site remembers a request's token for a time, and never carries out a second request with the same one."""

    safe_seconds: float
    #: How to go on once the token may be forgotten.
    afterwards: ByLooking | AtMostOnce


class AtMostOnce(msgspec.Struct, frozen=True):
    """Nobody can tell, and a second effect is worse than none: it is never asked for again."""


class ByHand(msgspec.Struct, frozen=True):
    """The site has no call for it; a person does it there."""


class Impossible(msgspec.Struct, frozen=True):
    """The site does not have it: an order must be refused before anybody is promised something."""


Settlement = BySendingAgain | ByLooking | ByToken | AtMostOnce | ByHand | Impossible

_FROM_LIST = ByLooking(LIST_LAG_SECONDS, Absence.PROVES_NOTHING_HAPPENED)

#: The rule of each operation at each site.
SETTLEMENTS: dict[tuple[CrowdSite, SiteOperation], Settlement] = {
    # Our token stands in the internal name, which the list of projects or studies shows.
    (CrowdSite.CONNECT, SiteOperation.CREATE): _FROM_LIST,
    (CrowdSite.SONA, SiteOperation.CREATE): ByHand(),
    (CrowdSite.PROLIFIC, SiteOperation.CREATE): _FROM_LIST,
    (CrowdSite.LINK, SiteOperation.CREATE): ByHand(),
    # An absolute number.
    (CrowdSite.CONNECT, SiteOperation.ADD_PLACES): BySendingAgain(),
    (CrowdSite.SONA, SiteOperation.ADD_PLACES): ByHand(),
    (CrowdSite.PROLIFIC, SiteOperation.ADD_PLACES): BySendingAgain(),
    (CrowdSite.LINK, SiteOperation.ADD_PLACES): ByHand(),
    # Connect's text for "approved already" is unknown, so its list is read first.
    (CrowdSite.CONNECT, SiteOperation.BASE_PAY): ByLooking(
        LIST_LAG_SECONDS, Absence.PROVES_NOTHING_HAPPENED, is_refusal_final=False
    ),
    # "Already received" is the answer to a second grant.
    (CrowdSite.SONA, SiteOperation.BASE_PAY): BySendingAgain(),
    # A second transition is ignored. An error can come after the effect, so the submission is read again.
    (CrowdSite.PROLIFIC, SiteOperation.BASE_PAY): BySendingAgain(is_refusal_final=False),
    (CrowdSite.LINK, SiteOperation.BASE_PAY): ByHand(),
    # An assignment shows the sum of its bonuses. A repeated token is refused whatever became of the first request.
    (CrowdSite.CONNECT, SiteOperation.BONUS): ByLooking(
        BONUS_LAG_SECONDS, Absence.PROVES_NOTHING_HAPPENED, is_refusal_final=False
    ),
    (CrowdSite.SONA, SiteOperation.BONUS): Impossible(),
    # The same set-up can be paid twice, and a paid bonus shows late.
    (CrowdSite.PROLIFIC, SiteOperation.BONUS): ByLooking(BONUS_LAG_SECONDS, Absence.PROVES_NOTHING),
    (CrowdSite.LINK, SiteOperation.BONUS): ByHand(),
    (CrowdSite.CONNECT, SiteOperation.MESSAGE): ByToken(SAFE_TOKEN_SECONDS, AtMostOnce()),
    (CrowdSite.SONA, SiteOperation.MESSAGE): Impossible(),
    (CrowdSite.PROLIFIC, SiteOperation.MESSAGE): AtMostOnce(),
    (CrowdSite.LINK, SiteOperation.MESSAGE): ByHand(),
}


class Attempts(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one intended effect. Times are seconds on one clock."""

    answer: Answer = Answer.NOT_SENT
    #: The time before the first request with the present token; None: there was none.
    token_since: float | None = None
    #: The time of the last request; None: there was none.
    sent_at: float | None = None
    #: The last look after that request; None: nobody has looked.
    sighting: Sighting | None = None
    looked_at: float | None = None


class NextStep(Enum):
    """Steps towards a settled effect."""

    SEND = "send"
    #: The token of the last request again.
    SEND_SAME_TOKEN = "send with the same token"
    #: A token that was never sent.
    SEND_NEW_TOKEN = "send with a new token"
    LOOK = "look at the site"
    #: The site may not show it yet.
    WAIT = "wait"
    #: It has happened.
    SETTLED = "settled"
    #: It has not happened, and the site does not want it.
    FAILED = "failed"
    #: It may have happened and is left so.
    LEAVE_IN_DOUBT = "left in doubt"
    #: Somebody who can see the site's pages decides.
    ASK_PERSON = "ask a person"


#: Steps that end an effect's way.
FINAL_STEPS = frozenset({NextStep.SETTLED, NextStep.FAILED, NextStep.LEAVE_IN_DOUBT, NextStep.ASK_PERSON})
#: Steps that ask the site for the effect.
SENDING_STEPS = frozenset({NextStep.SEND, NextStep.SEND_SAME_TOKEN, NextStep.SEND_NEW_TOKEN})


def next_step(settlement: Settlement, attempts: Attempts, now: float) -> NextStep:
    """Return the next step for an effect.

    Args:
        settlement: the operation's rule at its site.
        attempts: what is known.
        now: seconds, on the clock of `attempts`.
    """
    match settlement:
        case ByHand():
            return NextStep.ASK_PERSON
        case Impossible():
            return NextStep.FAILED
        case BySendingAgain() | ByLooking() | ByToken() | AtMostOnce():
            pass
        case _:
            assert_never(settlement)
    if attempts.answer is Answer.NOT_SENT:
        return NextStep.SEND
    if attempts.answer is Answer.DONE:
        return NextStep.SETTLED
    return _after_failure(settlement, attempts, now)


def _after_failure(
    settlement: BySendingAgain | ByLooking | ByToken | AtMostOnce, attempts: Attempts, now: float
) -> NextStep:
    match settlement:
        case BySendingAgain():
            if attempts.answer is not Answer.REFUSED:
                return NextStep.SEND
            return NextStep.FAILED if settlement.is_refusal_final else _after_refusal(attempts)
        case AtMostOnce():
            return NextStep.FAILED if attempts.answer is Answer.REFUSED else NextStep.LEAVE_IN_DOUBT
        case ByLooking():
            if attempts.answer is Answer.REFUSED and settlement.is_refusal_final:
                return NextStep.FAILED
            return _by_looking(settlement, attempts, now)
        case ByToken():
            return _by_token(settlement, attempts, now)
        case _:
            assert_never(settlement)


def _after_refusal(attempts: Attempts) -> NextStep:
    match attempts.sighting:
        case None:
            return NextStep.LOOK
        case Sighting.THERE:
            return NextStep.SETTLED
        case Sighting.NOT_THERE:
            return NextStep.FAILED
        case Sighting.CANNOT_TELL:
            return NextStep.ASK_PERSON
        case _:
            assert_never(attempts.sighting)


def _by_looking(settlement: ByLooking, attempts: Attempts, now: float) -> NextStep:
    if attempts.sighting is Sighting.THERE:
        return NextStep.SETTLED
    shown_from = (attempts.sent_at if attempts.sent_at is not None else now) + settlement.lag_seconds
    if attempts.sighting is Sighting.CANNOT_TELL:
        return NextStep.ASK_PERSON
    if attempts.looked_at is None or (attempts.looked_at < shown_from <= now):
        return NextStep.LOOK
    if attempts.looked_at < shown_from:
        return NextStep.WAIT
    if attempts.answer is Answer.REFUSED:
        return NextStep.FAILED
    # A busy site asks to be asked again; a look that found nothing makes that safe.
    if settlement.absence is Absence.PROVES_NOTHING_HAPPENED or attempts.answer is Answer.THROTTLED:
        return NextStep.SEND_NEW_TOKEN
    return NextStep.ASK_PERSON


def _by_token(settlement: ByToken, attempts: Attempts, now: float) -> NextStep:
    if attempts.answer is Answer.REFUSED:
        return NextStep.FAILED
    first_sent = attempts.token_since if attempts.token_since is not None else attempts.sent_at
    is_remembered = first_sent is not None and now - first_sent < settlement.safe_seconds
    if is_remembered and attempts.answer is not Answer.TOKEN_SEEN:
        return NextStep.SEND_SAME_TOKEN
    return _after_failure(settlement.afterwards, attempts, now)


def before_step(step: NextStep, attempts: Attempts, now: float) -> Attempts:
    """Return what is to be recorded before a step is taken: if nothing follows, the answer is unknown.

    Args:
        step: the step.
        attempts: what is known.
        now: seconds on the clock of `attempts`.
    """
    if step not in SENDING_STEPS:
        return attempts
    keeps_token = step is NextStep.SEND_SAME_TOKEN and attempts.token_since is not None
    return Attempts(answer=Answer.UNKNOWN, token_since=attempts.token_since if keeps_token else now, sent_at=now)


def answer_after(step: NextStep, attempts: Attempts, answer: Answer) -> Answer:
    """Return what an answer says of the effect, in the light of the requests before it.

    Args:
        step: the step that sent the request.
        attempts: what was known before that step.
        answer: the site's answer to this request alone.
    """
    was_in_doubt = attempts.answer not in {Answer.NOT_SENT, Answer.REFUSED}
    if step is NextStep.SEND_NEW_TOKEN or not was_in_doubt:
        return answer
    # A request that did not reach the site says nothing about the one before it, and a refusal of a repeated token
    # says that the first one was seen.
    if answer is Answer.NOT_SENT:
        return Answer.UNKNOWN
    return Answer.TOKEN_SEEN if step is NextStep.SEND_SAME_TOKEN and answer is Answer.REFUSED else answer
