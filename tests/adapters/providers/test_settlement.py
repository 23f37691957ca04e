from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mephisto_es.core.decisions.settlement import (
    FINAL_STEPS,
    SENDING_STEPS,
    SETTLEMENTS,
    Absence,
    AtMostOnce,
    Attempts,
    ByHand,
    ByLooking,
    BySendingAgain,
    ByToken,
    CrowdSite,
    Impossible,
    NextStep,
    Settlement,
    SiteOperation,
    next_step,
)
from mephisto_es.events.payment import Answer, Sighting

RULES = st.sampled_from(sorted(SETTLEMENTS, key=str))
TIMES = st.floats(0, 10**6)
ATTEMPTS = st.builds(
    Attempts,
    answer=st.sampled_from(Answer),
    token_since=st.none() | TIMES,
    sent_at=st.none() | TIMES,
    sighting=st.none() | st.sampled_from(Sighting),
    looked_at=st.none() | TIMES,
)
DAY = 24 * 3600
#: A request that nobody answers is dropped by the world after so many seconds at most.
MAX_FLIGHT_SECONDS = 60


def test_each_operation_of_each_site_has_a_rule() -> None:
    assert set(SETTLEMENTS) == {(site, operation) for site in CrowdSite for operation in SiteOperation}


def test_the_rules_are_those_of_the_sites() -> None:
    kinds = {key: type(rule) for key, rule in SETTLEMENTS.items()}
    for operation, connect, sona, prolific in (
        (SiteOperation.CREATE, ByLooking, ByHand, ByLooking),
        (SiteOperation.ADD_PLACES, BySendingAgain, ByHand, BySendingAgain),
        (SiteOperation.BASE_PAY, ByLooking, BySendingAgain, BySendingAgain),
        (SiteOperation.BONUS, ByLooking, Impossible, ByLooking),
        (SiteOperation.MESSAGE, ByToken, Impossible, AtMostOnce),
    ):
        found = [kinds[site, operation] for site in (CrowdSite.CONNECT, CrowdSite.SONA, CrowdSite.PROLIFIC)]
        assert found == [connect, sona, prolific], operation
    assert {kind for (site, _), kind in kinds.items() if site is CrowdSite.LINK} == {ByHand}
    for site, absence in (
        (CrowdSite.CONNECT, Absence.PROVES_NOTHING_HAPPENED),
        (CrowdSite.PROLIFIC, Absence.PROVES_NOTHING),
    ):
        rule = SETTLEMENTS[site, SiteOperation.BONUS]
        assert isinstance(rule, ByLooking)
        assert rule.absence is absence
    message = SETTLEMENTS[CrowdSite.CONNECT, SiteOperation.MESSAGE]
    assert isinstance(message, ByToken)
    assert message.safe_seconds == 20 * 3600


@given(RULES, ATTEMPTS, TIMES)
def test_every_situation_has_a_step(key: tuple[CrowdSite, SiteOperation], attempts: Attempts, now: float) -> None:
    assert isinstance(next_step(SETTLEMENTS[key], attempts, now), NextStep)


@given(RULES, ATTEMPTS, TIMES)
def test_a_doubtful_effect_is_not_asked_for_again_without_a_look(
    key: tuple[CrowdSite, SiteOperation], attempts: Attempts, now: float
) -> None:
    rule = SETTLEMENTS[key]
    doubtful = replace(attempts, answer=Answer.UNKNOWN, sighting=None, looked_at=None)
    step = next_step(rule, doubtful, now)
    if step in SENDING_STEPS:
        is_harmless = isinstance(rule, BySendingAgain)
        since = doubtful.token_since if doubtful.token_since is not None else doubtful.sent_at
        is_remembered = isinstance(rule, ByToken) and since is not None and now - since < DAY
        assert is_harmless or (is_remembered and step is NextStep.SEND_SAME_TOKEN)


@pytest.mark.parametrize(
    ("site", "steps"),
    [
        (CrowdSite.CONNECT, [NextStep.LOOK, NextStep.WAIT, NextStep.LOOK, NextStep.SEND_NEW_TOKEN]),
        (CrowdSite.PROLIFIC, [NextStep.LOOK, NextStep.WAIT, NextStep.LOOK, NextStep.ASK_PERSON]),
    ],
)
def test_a_bonus_whose_answer_is_lost(site: CrowdSite, steps: list[NextStep]) -> None:
    rule = SETTLEMENTS[site, SiteOperation.BONUS]
    lost = Attempts(answer=Answer.UNKNOWN, sent_at=100, token_since=100)
    early = replace(lost, sighting=Sighting.NOT_THERE, looked_at=110)
    late = replace(lost, sighting=Sighting.NOT_THERE, looked_at=100 + 3600)
    assert [
        next_step(rule, lost, 105),
        next_step(rule, early, 120),
        next_step(rule, early, 100 + 3600),
        next_step(rule, late, 100 + 3601),
    ] == steps
    assert next_step(rule, replace(lost, sighting=Sighting.THERE, looked_at=110), 120) is NextStep.SETTLED
    assert next_step(rule, replace(lost, sighting=Sighting.CANNOT_TELL, looked_at=110), 120) is NextStep.ASK_PERSON


def test_an_error_after_the_effect_is_read_again() -> None:
    rule = SETTLEMENTS[CrowdSite.PROLIFIC, SiteOperation.BASE_PAY]
    refused = Attempts(answer=Answer.REFUSED, sent_at=1)
    assert next_step(rule, refused, 2) is NextStep.LOOK
    for sighting, step in (
        (Sighting.THERE, NextStep.SETTLED),
        (Sighting.NOT_THERE, NextStep.FAILED),
        (Sighting.CANNOT_TELL, NextStep.ASK_PERSON),
    ):
        assert next_step(rule, replace(refused, sighting=sighting, looked_at=2), 3) is step


def test_an_old_token_is_not_trusted() -> None:
    rule = SETTLEMENTS[CrowdSite.CONNECT, SiteOperation.MESSAGE]
    lost = Attempts(answer=Answer.UNKNOWN, sent_at=0, token_since=0)
    assert next_step(rule, lost, 19 * 3600) is NextStep.SEND_SAME_TOKEN
    assert next_step(rule, lost, 21 * 3600) is NextStep.LEAVE_IN_DOUBT
    # A late second try does not make the token younger.
    assert next_step(rule, replace(lost, sent_at=19 * 3600), 21 * 3600) is NextStep.LEAVE_IN_DOUBT


class Site:
    """A site as the rules believe it to be: answers get lost, effects show late, tokens are forgotten after a day."""

    def __init__(self, rule: Settlement, random: Random) -> None:
        self.rule = rule
        self.random = random
        self.effects: list[float] = []
        self.tokens: dict[int, float] = {}

    def send(self, token: int, now: float) -> Answer:
        if self.random.random() < 0.2:
            return Answer.UNKNOWN  # lost on the way there
        answer = self._carry_out(token, now)
        return Answer.UNKNOWN if self.random.random() < 0.4 else answer

    def _carry_out(self, token: int, now: float) -> Answer:
        is_connect = isinstance(self.rule, ByLooking) and not self.rule.is_refusal_final
        uses_tokens = is_connect or isinstance(self.rule, ByToken)
        seen = self.tokens.get(token)
        if uses_tokens and seen is not None and now - seen < DAY:
            return Answer.TOKEN_SEEN
        self.tokens[token] = now
        if self.random.random() < 0.1:
            if self.random.random() < 0.3 and not self.effects:
                self.effects.append(now)  # it did it all the same
            return Answer.THROTTLED
        if isinstance(self.rule, BySendingAgain) and self.effects:
            return Answer.DONE if self.rule.is_refusal_final else self.random.choice([Answer.DONE, Answer.REFUSED])
        self.effects.append(now)
        if not getattr(self.rule, "is_refusal_final", True) and self.random.random() < 0.2:
            return Answer.REFUSED  # an error after the effect
        return Answer.DONE

    def look(self, now: float) -> Sighting:
        lag = self.rule.lag_seconds if isinstance(self.rule, ByLooking) else 0
        shown = [at for at in self.effects if at + self.random.uniform(0, lag) <= now]
        return Sighting.THERE if shown else Sighting.NOT_THERE


@given(RULES, st.integers(0, 2**64))
@settings(max_examples=2000)
def test_no_site_is_made_to_do_it_twice(key: tuple[CrowdSite, SiteOperation], seed: int) -> None:
    rule, random = SETTLEMENTS[key], Random(seed)
    site, now, token = Site(rule, random), 0.0, 0
    attempts = Attempts()
    for _ in range(400):
        step = next_step(rule, attempts, now)
        if step in FINAL_STEPS:
            break
        if step in SENDING_STEPS:
            token += step is NextStep.SEND_NEW_TOKEN
            is_new = step is not NextStep.SEND_SAME_TOKEN or attempts.token_since is None
            # A crash between request and record is an unknown answer.
            answer = Answer.UNKNOWN if random.random() < 0.1 and site.send(token, now) else site.send(token, now)
            attempts = Attempts(answer=answer, sent_at=now, token_since=now if is_new else attempts.token_since)
        elif step is NextStep.LOOK:
            attempts = replace(attempts, sighting=site.look(now), looked_at=now)
        # Sometimes the operator is away for days.
        now += random.choice([1, 60, 600, 3600, 3 * DAY])
    else:
        raise AssertionError("it never ends")
    assert len(site.effects) <= 1
    if step is NextStep.SETTLED:
        assert len(site.effects) == 1
    if step is NextStep.FAILED:
        assert not site.effects
