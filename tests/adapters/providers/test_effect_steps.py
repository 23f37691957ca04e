"""Single steps of an effect: what each failure is taken for, and what is recorded before it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mephisto_es.adapters.providers.api.errors import (
    EffectUnknownError,
    SiteError,
    SiteMissingError,
    SiteRefusedError,
    SiteThrottledError,
    SiteUnavailableError,
    SiteUnreachableError,
)
from mephisto_es.adapters.providers.effects import CalledEffect, answer_of
from mephisto_es.adapters.providers.prolific.api.answers import ProlificSubmission, ProlificSubmissionStatus
from mephisto_es.adapters.providers.prolific.effects import bonus_sighting, verdict_sighting
from mephisto_es.adapters.providers.sona.answer import CreditAnswer
from mephisto_es.adapters.providers.sona.effects import CreditGrant, CreditRefusedError
from mephisto_es.core.abstractions.crowd.effects import take_step
from mephisto_es.core.decisions.settlement import (
    SENDING_STEPS,
    AtMostOnce,
    Attempts,
    NextStep,
    Settlement,
    before_step,
)
from mephisto_es.events.payment import Answer, Sighting

from .fake_sites import open_sona

ERRORS: dict[type[SiteError], Answer] = {
    SiteUnreachableError: Answer.NOT_SENT,
    SiteThrottledError: Answer.THROTTLED,
    SiteRefusedError: Answer.REFUSED,
    SiteMissingError: Answer.REFUSED,
    EffectUnknownError: Answer.UNKNOWN,
    SiteUnavailableError: Answer.UNKNOWN,
}


class Scripted:
    """An effect whose request or look ends as told."""

    settlement: Settlement = AtMostOnce()

    def __init__(self, error: SiteError | None) -> None:
        self.error = error
        self.tokens: list[str] = []

    async def send(self, token: str) -> None:
        self.tokens.append(token)
        if self.error is not None:
            raise self.error

    async def look(self) -> Sighting:
        if self.error is not None:
            raise self.error
        return Sighting.THERE


@pytest.mark.parametrize("kind", ERRORS)
async def test_each_error_tells_something(kind: type[SiteError]) -> None:
    error = kind("site", "do it")
    assert answer_of(error) is ERRORS[kind]
    effect = CalledEffect(Scripted(error))
    known = await take_step(effect, NextStep.SEND, Attempts(), "t", 5)
    assert known.answer is ERRORS[kind]
    # With a token that may have been seen, a refusal means that, and silence means nothing new.
    before = Attempts(answer=Answer.UNKNOWN)
    repeated = (await take_step(effect, NextStep.SEND_SAME_TOKEN, before, "t", 5)).answer
    assert repeated is {Answer.REFUSED: Answer.TOKEN_SEEN, Answer.NOT_SENT: Answer.UNKNOWN}.get(
        known.answer, known.answer
    )


async def test_a_look_that_fails_sees_nothing() -> None:
    before = Attempts(answer=Answer.UNKNOWN, sent_at=1)
    blind = CalledEffect(Scripted(SiteUnavailableError("site", "read")))
    assert await take_step(blind, NextStep.LOOK, before, "t", 5) == before
    seen = await take_step(CalledEffect(Scripted(None)), NextStep.LOOK, before, "t", 5)
    assert seen == replace(before, sighting=Sighting.THERE, looked_at=5)


@pytest.mark.parametrize("step", [step for step in NextStep if step not in SENDING_STEPS | {NextStep.LOOK}])
async def test_other_steps_ask_nobody(step: NextStep) -> None:
    effect = Scripted(SiteRefusedError("site", "do it"))
    known = Attempts(answer=Answer.UNKNOWN, sent_at=1)
    assert before_step(step, known, 9) == known
    assert await take_step(CalledEffect(effect), step, known, "t", 9) == known
    assert effect.tokens == []


def test_the_record_before_a_request_is_that_nobody_knows() -> None:
    seen = Attempts(answer=Answer.UNKNOWN, token_since=1, sent_at=3, sighting=Sighting.NOT_THERE, looked_at=4)
    assert before_step(NextStep.SEND_NEW_TOKEN, seen, 9) == Attempts(answer=Answer.UNKNOWN, token_since=9, sent_at=9)
    assert before_step(NextStep.SEND_SAME_TOKEN, seen, 9) == Attempts(answer=Answer.UNKNOWN, token_since=1, sent_at=9)
    assert before_step(NextStep.LOOK, seen, 9) == seen


def test_what_a_look_at_prolific_means() -> None:
    status = ProlificSubmissionStatus
    wanted = {
        status.APPROVED: Sighting.THERE,
        status.AWAITING_REVIEW: Sighting.NOT_THERE,
        status.REJECTED: Sighting.CANNOT_TELL,
        status.UNKNOWN: Sighting.CANNOT_TELL,
        status.RETURNED: Sighting.CANNOT_TELL,
    }
    for shown, sighting in wanted.items():
        assert verdict_sighting(ProlificSubmission(id="s", status=shown), status.APPROVED) is sighting
    assert [bonus_sighting(more, 25) for more in (0, 25, 50, -1)] == [
        *(Sighting.NOT_THERE, Sighting.THERE, Sighting.CANNOT_TELL, Sighting.CANNOT_TELL)
    ]


async def test_credit_that_somebody_else_granted_is_told_apart() -> None:
    async with open_sona() as stage:
        code = await stage.code("anna")
        elsewhere = CreditGrant(stage.client, code, was_sent_before=False)
        assert await stage.client.grant(code) is CreditAnswer.GRANTED
        await elsewhere.send("")
        assert elsewhere.was_granted_elsewhere
        ours = CreditGrant(stage.client, code, was_sent_before=True)
        await ours.send("")
        assert not ours.was_granted_elsewhere
        nobody = CreditGrant(stage.client, "7654321", was_sent_before=False)
        with pytest.raises(CreditRefusedError) as caught:
            await nobody.send("")
        assert caught.value.answer is CreditAnswer.CODE_UNKNOWN
        assert await nobody.look() is Sighting.CANNOT_TELL
