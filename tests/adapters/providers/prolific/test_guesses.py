"""Each guess about Prolific makes a difference that the client can see, and the client copes with either way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from mephisto_es.adapters.fakes.faults import Fault
from mephisto_es.adapters.fakes.prolific.books import WORKSPACE, RuleError
from mephisto_es.adapters.fakes.prolific.guesses import ProlificGuess
from mephisto_es.adapters.providers.api.errors import SiteRefusedError, SiteThrottledError
from mephisto_es.adapters.providers.prolific.api.studies import StudyAction
from mephisto_es.adapters.providers.prolific.api.submissions import MAX_BONUSES, BonusLine, RejectionCategory

from ..fake_sites import Prolific, open_prolific, study_request

REASON = "All ten sentences got the same rating within four seconds, and the two attention checks were both missed. "


async def full_study(stage: Prolific) -> tuple[str, str]:
    """A study of one place, done by one person."""
    study = await stage.client.studies.create(study_request(1))
    await stage.client.studies.transition(study.id, StudyAction.PUBLISH)
    return study.id, await stage.submission(study.id, "anna")


async def is_refused(call: Awaitable[object]) -> bool:
    try:
        await call
    except SiteRefusedError:
        return True
    return False


async def unreject(stage: Prolific) -> object:
    _, submission = await full_study(stage)
    await stage.client.submissions.reject(submission, RejectionCategory.OTHER, REASON)
    return await is_refused(stage.client.submissions.reverse_rejection(submission))


async def rejection(stage: Prolific) -> object:
    _, submission = await full_study(stage)
    return await is_refused(stage.client.submissions.reject(submission, RejectionCategory.OTHER, REASON))


async def reopened(stage: Prolific) -> object:
    study, submission = await full_study(stage)
    await stage.client.submissions.reject(submission, RejectionCategory.OTHER, REASON)
    found = (await stage.client.studies.get(study)).status
    await stage.client.studies.transition(study, StudyAction.START)
    await stage.submission(study, "bert")
    return found


async def more_places(stage: Prolific) -> object:
    study, _ = await full_study(stage)
    return (await stage.client.studies.set_places(study, 2)).status


async def processing(stage: Prolific) -> object:
    _, submission = await full_study(stage)
    found = (await stage.client.submissions.get(submission)).status
    stage.site.clock.advance(10)
    assert (await stage.client.submissions.get(submission)).status.value == "AWAITING REVIEW"
    return found


async def throttled_bonus(stage: Prolific) -> object:
    study, submission = await full_study(stage)
    setup = await stage.client.submissions.set_up_bonuses(study, [BonusLine(submission, 5)])
    is_paid = stage.site.guesses.is_flipped(ProlificGuess.THROTTLED_BONUS_IS_PAID)
    stage.disturb(Fault.THROTTLED_AFTER if is_paid else Fault.THROTTLED)
    with pytest.raises(SiteThrottledError):
        await stage.client.submissions.pay_bonuses(setup.id)
    return (await stage.client.submissions.get(submission)).bonus_cents


async def return_request(stage: Prolific) -> object:
    _, submission = await full_study(stage)
    requested = await stage.client.submissions.request_return(submission, ["Withdrew consent."])
    assert requested is not None
    found = await stage.client.submissions.get(submission)
    assert found.return_requested == requested
    assert found.status.value == "AWAITING REVIEW"  # nobody has returned anything yet
    return stage.site.guesses.is_flipped(ProlificGuess.RETURN_REQUEST_RETURNS)


async def subscription(stage: Prolific) -> object:
    await stage.client.hooks.replace_secret(WORKSPACE)
    new = await stage.client.hooks.subscribe(WORKSPACE, "study.status.change", "https://hooks.example/")
    assert (await stage.client.hooks.confirm(new)).is_enabled
    return stage.site.guesses.is_flipped(ProlificGuess.SUBSCRIPTION_COMES_IN_LIST)


async def publish_twice(stage: Prolific) -> object:
    study = (await stage.client.studies.create(study_request(1))).id
    await stage.client.studies.transition(study, StudyAction.PUBLISH)
    return await is_refused(stage.client.studies.transition(study, StudyAction.PUBLISH))


async def many_bonuses(stage: Prolific) -> object:
    study, submission = await full_study(stage)
    setup = await stage.client.submissions.set_up_bonuses(study, [BonusLine(submission, 1)] * MAX_BONUSES)
    assert setup.amount_cents == MAX_BONUSES
    lines = "\n".join([f"{submission},0.01"] * (MAX_BONUSES + 1))
    try:
        stage.site.bonuses.set_up(stage.site.ledger.studies[study], lines)
    except RuleError:
        return "refused"
    return "taken"


async def tries(stage: Prolific) -> object:
    await stage.client.hooks.replace_secret(WORKSPACE)
    new = await stage.client.hooks.subscribe(WORKSPACE, "submission.status.change", "https://hooks.example/")
    await stage.client.hooks.confirm(new)
    study = (await stage.client.studies.create(study_request(1))).id
    await stage.client.studies.transition(study, StudyAction.PUBLISH)
    async with stage.person("anna") as person:
        taken = await person.post(f"/studies/{study}/reserve")
        await person.post(f"/submissions/{taken['id']}/open")
    sent = 0

    async def refuse(address: str, body: bytes, headers: dict[str, str]) -> int | None:
        nonlocal sent
        sent += 1
        return 500

    for _ in range(200):
        await stage.site.courier.deliver_due(refuse)
        stage.site.clock.advance(3600 / 2)
    return sent > 10 and (sent, len(await stage.client.hooks.deliveries(new.hook.id)) == sent)


OBSERVATIONS: dict[ProlificGuess, Callable[[Prolific], Awaitable[object]]] = {
    ProlificGuess.UNREJECT_IS_REFUSED: unreject,
    ProlificGuess.REJECTION_ANSWERS_ERROR: rejection,
    ProlificGuess.REOPENED_STUDY_PAUSES: reopened,
    ProlificGuess.PLACES_DO_NOT_REOPEN: more_places,
    ProlificGuess.PROCESSING_IS_SHOWN: processing,
    ProlificGuess.THROTTLED_BONUS_IS_PAID: throttled_bonus,
    ProlificGuess.RETURN_REQUEST_RETURNS: return_request,
    ProlificGuess.SUBSCRIPTION_COMES_IN_LIST: subscription,
    ProlificGuess.PUBLISHING_TWICE_IS_REFUSED: publish_twice,
    ProlificGuess.MORE_THAN_200_BONUSES_ARE_REFUSED: many_bonuses,
    ProlificGuess.WEBHOOKS_ARE_TRIED_13_TIMES: tries,
}


@pytest.mark.parametrize("guess", list(ProlificGuess), ids=lambda guess: guess.name)
async def test_a_guess_makes_a_difference(guess: ProlificGuess) -> None:
    observe = OBSERVATIONS[guess]
    async with open_prolific() as stage:
        by_default = await observe(stage)
    async with open_prolific(guess.name) as stage:
        flipped = await observe(stage)
    assert by_default != flipped
