"""The client of Prolific against its fake, over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mephisto_es.adapters.fakes.faults import Fault, FaultPlan
from mephisto_es.adapters.fakes.prolific.books import WORKSPACE
from mephisto_es.adapters.fakes.prolific.guesses import ProlificGuess
from mephisto_es.adapters.fakes.prolific.site import DEFAULT_TOKEN
from mephisto_es.adapters.providers.api.errors import (
    EffectUnknownError,
    SiteCredentialsError,
    SiteMissingError,
    SiteRefusedError,
    SiteThrottledError,
)
from mephisto_es.adapters.providers.prolific.api.answers import ProlificStudyStatus, ProlificSubmissionStatus
from mephisto_es.adapters.providers.prolific.api.client import ProlificClient
from mephisto_es.adapters.providers.prolific.api.studies import StudyAction
from mephisto_es.adapters.providers.prolific.api.study_request import (
    ALLOW_GROUP_FILTER,
    BLOCK_GROUP_FILTER,
    AccessDetail,
    CompletionCode,
    PlainAction,
    SimpleAction,
    StudyFilter,
)
from mephisto_es.adapters.providers.prolific.api.submissions import BonusLine, RejectionCategory
from mephisto_es.core.errors import ConfigError

from ..fake_sites import BY_SERVER, DAY, DONE, LIMITS, SCREENED, Prolific, open_prolific, screen_out_code, study_request

REASON = "All ten sentences got the same rating within four seconds, and the two attention checks were both missed. "
STATUS = ProlificSubmissionStatus


async def published(stage: Prolific, places: int = 3, **changes: object) -> str:
    """Publish a study; its id."""
    study = await stage.client.studies.create(study_request(places, **changes))
    await stage.client.studies.transition(study.id, StudyAction.PUBLISH)
    return study.id


async def status(stage: Prolific, submission: str) -> ProlificSubmissionStatus:
    stage.site.clock.advance(10)
    return (await stage.client.submissions.get(submission)).status


@pytest.mark.parametrize("flipped", [None, *ProlificGuess], ids=str)
async def test_a_whole_study_with_each_guess_either_way(flipped: ProlificGuess | None) -> None:
    async with open_prolific(*([flipped.name] if flipped else [])) as stage:
        client, before = stage.client, stage.site.ledger.balance
        assert (await client.accounts.me()).currency_code == "USD"
        project = await client.accounts.create_project(WORKSPACE, "Language")
        assert [one.title for one in await client.accounts.projects(WORKSPACE)] == ["Language"]
        study = await client.studies.create(study_request(4, project=project.id))
        assert study.status is ProlificStudyStatus.UNPUBLISHED
        await client.studies.transition(study.id, StudyAction.PUBLISH)
        assert [one.id for one in await client.studies.find("token-1", project.id)] == [study.id]
        ids = [await stage.submission(study.id, name) for name in ("anna", "bert", "cleo")]
        by_server = await stage.submission(study.id, "dora", code=None)
        completed = await client.submissions.complete(by_server, BY_SERVER)
        assert completed.code == BY_SERVER
        stage.site.clock.advance(10)
        listed = {one.id: one for one in await client.submissions.of_study(study.id)}
        assert {one.status for one in listed.values()} == {STATUS.AWAITING_REVIEW}
        assert {one.participant for one in listed.values()} == {"anna", "bert", "cleo", "dora"}
        await client.submissions.approve(ids[0])
        await client.submissions.approve(ids[0])
        await client.submissions.approve_all([by_server, ids[1]])
        try:
            await client.submissions.reject(ids[2], RejectionCategory.LOW_EFFORT, REASON)
        except SiteRefusedError:
            assert flipped is ProlificGuess.REJECTION_ANSWERS_ERROR
        assert [await status(stage, one) for one in (*ids, by_server)] == [
            *(STATUS.APPROVED, STATUS.APPROVED, STATUS.REJECTED, STATUS.APPROVED)
        ]
        setup = await client.submissions.set_up_bonuses(study.id, [BonusLine(ids[0], 25), BonusLine(ids[1], 100)])
        await client.submissions.pay_bonuses(setup.id)
        paid = [(await client.submissions.get(one)).bonus_cents for one in ids]
        assert paid == [[25], [100], []]
        await client.studies.transition(study.id, StudyAction.STOP)
        assert (await client.studies.get(study.id)).status is ProlificStudyStatus.COMPLETED
        spent = before - stage.site.ledger.balance
        assert spent - stage.site.ledger.fees_paid == 3 * 150 + 125
        cost = await client.studies.cost(study.id)
        assert cost.rewards is not None
        assert cost.bonuses is not None
        assert cost.rewards.total_cents + cost.bonuses.total_cents in range(int(spent), int(spent) + 5)


async def test_money_becomes_cents_field_by_field() -> None:
    """The sample of the documentation: 850 cents of bonuses cost 283.34 in fees, 1133.34 in all."""
    async with open_prolific(balance_cents=90_000) as stage:
        client = stage.client
        study = await published(stage, places=2, reward=850, estimated_completion_time=20)
        rates = await client.accounts.pay_advice(WORKSPACE, "USD")
        assert rates is not None
        assert (rates.minimum_cents, rates.recommended_cents) == (800, 1200)  # the first entry is the newest
        assert await client.accounts.calculate_cost_cents(850, 2) == 2267  # 2266.68, rounded up
        balance = await client.accounts.balance(WORKSPACE)
        assert (balance.total_cents, balance.available_cents) == (90_000, 87_733)
        shown = await client.studies.get(study)
        assert (shown.reward_cents, shown.total_cost_cents) == (850, 2267)
        submission = await stage.submission(study, "anna", minutes=15)
        setup = await client.submissions.set_up_bonuses(study, [BonusLine(submission, 850)])
        assert (setup.amount_cents, setup.fees_cents, setup.vat_cents, setup.total_cents) == (850, 284, 0, 1134)
        await client.submissions.pay_bonuses(setup.id)
        assert (await client.submissions.get(submission)).bonus_cents == [850]
        await client.submissions.approve(submission)
        cost = await client.studies.cost(study)
        assert cost.rewards is not None
        assert cost.bonuses is not None
        assert (cost.rewards.total_cents, cost.bonuses.total_cents) == (1134, 1134)


async def test_the_address_of_the_page_tells_who_has_come() -> None:
    async with open_prolific() as stage:
        study = await published(stage)
        async with stage.person("an na") as person:
            taken = await person.post(f"/studies/{study}/reserve")
            query = parse_qs(urlsplit(taken["address"]).query)
        assert query == {"a": ["1"], "PROLIFIC_PID": ["an na"], "STUDY_ID": [study], "SESSION_ID": [taken["id"]]}


Change = Callable[[Prolific, str, str], Awaitable[object]]

CHANGES: dict[str, tuple[Change, Callable[[Prolific], object]]] = {
    "create a study": (
        lambda stage, study, submission: stage.client.studies.create(study_request(internal_name="token-2")),
        lambda stage: len(stage.site.ledger.studies),
    ),
    "pause a study": (
        lambda stage, study, submission: stage.client.studies.transition(study, StudyAction.PAUSE),
        lambda stage: [one.status for one in stage.site.ledger.studies.values()],
    ),
    "send a message": (
        lambda stage, study, submission: stage.client.people.send_message("anna", study, "Thank you"),
        lambda stage: len(stage.site.ledger.messages),
    ),
    "set up bonuses": (
        lambda stage, study, submission: stage.client.submissions.set_up_bonuses(study, [BonusLine(submission, 5)]),
        lambda stage: len(stage.site.ledger.setups),
    ),
    "request a return": (
        lambda stage, study, submission: stage.client.submissions.request_return(submission, ["Withdrew consent"]),
        lambda stage: [one.return_requested_at is not None for one in stage.site.ledger.submissions.values()],
    ),
    "create a project": (
        lambda stage, study, submission: stage.client.accounts.create_project(WORKSPACE, "p"),
        lambda stage: len(stage.site.ledger.projects),
    ),
    "create a group": (
        lambda stage, study, submission: stage.client.people.create_group(WORKSPACE, "g"),
        lambda stage: len(stage.site.ledger.groups),
    ),
    "replace the secret": (
        lambda stage, study, submission: stage.client.hooks.replace_secret(WORKSPACE),
        lambda stage: stage.site.ledger.hook_secret,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("fault", "has_effect"),
    [
        (Fault.LOST_BEFORE, False),
        (Fault.LOST_AFTER, True),
        (Fault.FAILED_BEFORE, False),
        (Fault.FAILED_AFTER, True),
    ],
)
async def test_a_lost_answer_is_unknown_and_the_call_is_made_once(change: str, fault: Fault, has_effect: bool) -> None:
    act, effect = CHANGES[change]
    async with open_prolific() as stage:
        study = await published(stage)
        submission = await stage.submission(study, "anna")
        before = effect(stage)
        stage.disturb(fault)
        with pytest.raises(EffectUnknownError):
            await act(stage, study, submission)
        after = effect(stage)
        assert (after != before) == has_effect
        assert await act(stage, study, submission) is not NotImplemented  # the next call gets through


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.FAILED_AFTER, Fault.THROTTLED])
async def test_an_idempotent_call_is_repeated_until_it_is_answered(fault: Fault) -> None:
    async with open_prolific() as stage:
        study = await published(stage)
        submission = await stage.submission(study, "anna")
        stage.disturb(fault, fault)
        assert (await stage.client.submissions.approve(submission)).status is STATUS.APPROVED
        stage.disturb(fault, only="PATCH")
        assert (await stage.client.studies.set_places(study, 7)).total_available_places == 7
        stage.disturb(fault)
        group = stage.site.ledger.groups
        stage.disturb()
        made = await stage.client.people.create_group(WORKSPACE, "g")
        stage.disturb(fault)
        await stage.client.people.add_members(made.id, ["anna"])
        assert list(group[made.id].members) == ["anna"]
        assert stage.site.ledger.submissions[submission].reward_paid == 150


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.THROTTLED, Fault.THROTTLED_AFTER])
async def test_a_bonus_is_asked_for_once(fault: Fault) -> None:
    async with open_prolific() as stage:
        study = await published(stage)
        submission = await stage.submission(study, "anna")
        setup = await stage.client.submissions.set_up_bonuses(study, [BonusLine(submission, 25)])
        stage.disturb(fault, only="/pay/")
        with pytest.raises((EffectUnknownError, SiteThrottledError)):
            await stage.client.submissions.pay_bonuses(setup.id)
        payments = stage.site.ledger.setups[setup.id].payments
        assert payments == (fault in {Fault.LOST_AFTER, Fault.THROTTLED_AFTER})
        found = await stage.client.submissions.get(submission)
        assert found.bonus_without_screen_out_cents(None) == 25 * payments


async def test_a_set_up_that_is_paid_twice_pays_twice() -> None:
    """The control: this is why nothing here repeats it."""
    async with open_prolific() as stage:
        study = await published(stage)
        submission = await stage.submission(study, "anna")
        setup = await stage.client.submissions.set_up_bonuses(study, [BonusLine(submission, 25)])
        await stage.client.submissions.pay_bonuses(setup.id)
        await stage.client.submissions.pay_bonuses(setup.id)
        assert (await stage.client.submissions.get(submission)).bonus_cents == [25, 25]


async def test_a_busy_site_is_asked_again_where_nothing_can_happen_twice() -> None:
    async with open_prolific() as stage:
        study = await published(stage)
        stage.disturb(Fault.THROTTLED, Fault.THROTTLED)
        assert (await stage.client.studies.transition(study, StudyAction.PAUSE)).status is ProlificStudyStatus.PAUSED
        stage.disturb(Fault.THROTTLED, only="GET")
        assert [one.id for one in await stage.client.studies.find("token-1")] == [study]
        stage.disturb(Fault.THROTTLED)
        with pytest.raises(SiteThrottledError):
            await stage.client.studies.create(study_request(internal_name="token-2"))


async def test_lists_lag_and_new_ids_are_unknown_for_a_while() -> None:
    plan = FaultPlan(list_lag_seconds=60, seed=3)
    async with open_prolific(plan=plan) as stage:
        study = await published(stage)
        assert await stage.client.studies.find("token-1") == []
        stage.site.submissions.new_id_lag_seconds = 1000
        submission = await stage.submission(study, "anna")
        with pytest.raises(SiteMissingError):
            await stage.client.submissions.get(submission)
        assert await stage.client.submissions.of_study(study) == []
        stage.site.clock.advance(1000)
        assert len(await stage.client.studies.find("token-1")) == 1
        assert (await stage.client.submissions.get(submission)).participant == "anna"


async def test_approvals_in_bulk_and_bonuses_come_later() -> None:
    async with open_prolific() as stage:
        study = await published(stage)
        submission = await stage.submission(study, "anna")
        stage.site.submissions.bulk_lag_seconds = stage.site.bonuses.lag_seconds = 600
        await stage.client.submissions.approve_all([submission])
        setup = await stage.client.submissions.set_up_bonuses(study, [BonusLine(submission, 25)])
        await stage.client.submissions.pay_bonuses(setup.id)
        now = await stage.client.submissions.get(submission)
        assert (now.status, now.bonus_cents) == (STATUS.AWAITING_REVIEW, [])
        stage.site.clock.advance(600)
        later = await stage.client.submissions.get(submission)
        assert (later.status, later.bonus_cents) == (STATUS.APPROVED, [25])


async def test_long_lists_are_read_to_the_end() -> None:
    async with open_prolific() as stage:
        made = [
            (await stage.client.studies.create(study_request(internal_name=f"token-{number}"))).id
            for number in range(3)
        ]
        group = await stage.client.people.create_group(WORKSPACE, "group")
        people = [f"person {number}" for number in range(450)]
        await stage.client.people.add_members(group.id, people)
        assert await stage.client.people.members(group.id) == people
        assert [one.id for one in await stage.client.studies.list_all()] == made[::-1]


async def test_the_status_decides_what_is_allowed() -> None:
    async with open_prolific() as stage:
        client = stage.client
        study = await published(stage)
        with pytest.raises(SiteRefusedError, match="can only be increased"):
            await client.studies.set_places(study, 1)
        with pytest.raises(SiteRefusedError, match="only a draft can be deleted"):
            await client.studies.delete(study)
        submission = await stage.submission(study, "anna", code=None)
        for call in (client.submissions.approve, client.submissions.reverse_rejection):
            with pytest.raises(SiteRefusedError):
                await call(submission)
        with pytest.raises(SiteRefusedError, match="not one that a researcher may use"):
            await client.submissions.complete(submission, DONE)
        with pytest.raises(ConfigError, match="Prolific wants 100"):
            await client.submissions.reject(submission, RejectionCategory.OTHER, "bad")
        await client.studies.rename(study, "token-1 expired")
        assert (await client.studies.get(study)).internal_name == "token-1 expired"
        draft = await client.studies.create(study_request(internal_name="draft"))
        await client.studies.delete(draft.id)
        with pytest.raises(SiteMissingError):
            await client.studies.get(draft.id)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward": 10}, "below the minimum hourly reward"),
        ({"external_study_url": None}, "external_study_url or access_details"),
        ({"completion_codes": (screen_out_code(150),)}, "below the reward"),
        ({"completion_codes": (screen_out_code(), screen_out_code())}, "unique"),
        ({"project": "nothing"}, "no such project"),
    ],
)
async def test_a_study_that_the_site_does_not_take(changes: dict[str, Any], message: str) -> None:
    async with open_prolific() as stage:
        for _ in range(2):  # errors come in several forms
            with pytest.raises(SiteRefusedError, match=message):
                await stage.client.studies.create(study_request(**changes))


async def test_a_study_costs_more_than_the_balance() -> None:
    async with open_prolific(balance_cents=500) as stage:
        study = await stage.client.studies.create(study_request())
        with pytest.raises(SiteRefusedError, match="balance"):
            await stage.client.studies.transition(study.id, StudyAction.PUBLISH)


async def test_a_workspace_without_gated_features() -> None:
    async with open_prolific() as stage:
        stage.site.studies.has_gated_features = False
        with pytest.raises(SiteRefusedError, match="does not have access to this feature"):
            await stage.client.studies.create(study_request(completion_codes=(screen_out_code(),)))


async def test_screening_out_pays_a_fixed_reward_until_the_slots_are_used() -> None:
    async with open_prolific() as stage:
        codes = (*study_request().completion_codes, screen_out_code(20, slots=2))
        study = await published(stage, places=5, completion_codes=codes)
        first = await stage.submission(study, "anna", code=None)
        await stage.client.submissions.complete(first, SCREENED)
        setup = await stage.client.submissions.set_up_bonuses(study, [BonusLine(first, 30)])
        await stage.client.submissions.pay_bonuses(setup.id)
        seen = await stage.client.submissions.get(first)
        assert (seen.status, seen.bonus_cents) == (STATUS.SCREENED_OUT, [20, 30])
        assert seen.bonus_without_screen_out_cents(20) == 30
        assert (await stage.client.studies.get(study)).places_taken == 0
        second = await stage.submission(study, "bert", code=None)
        await stage.client.submissions.complete(second, SCREENED)
        assert (await stage.client.studies.get(study)).status is ProlificStudyStatus.PAUSED


async def test_a_part_of_the_reward() -> None:
    async with open_prolific() as stage:
        partly = CompletionCode(
            code="PART",
            actor=study_request().completion_codes[1].actor,
            actions=(PlainAction(action=SimpleAction.DYNAMIC_PAYMENT),),
        )
        study = await published(stage, completion_codes=(partly,))
        submission = await stage.submission(study, "anna", code=None)
        done = await stage.client.submissions.complete(submission, "PART", percentage_of_reward=40)
        assert done.status is STATUS.PARTIALLY_APPROVED
        assert stage.site.ledger.submissions[submission].reward_paid == 60


async def test_what_the_site_does_by_itself() -> None:
    async with open_prolific() as stage:
        automatic = CompletionCode(code="AUTO", actions=(PlainAction(action=SimpleAction.AUTOMATICALLY_APPROVE),))
        codes = (*study_request().completion_codes, automatic)
        study = await published(stage, places=9, completion_codes=codes)
        at_once = await stage.submission(study, "anna", code="AUTO")
        hasty = await stage.submission(study, "bert", code="AUTO", minutes=2)
        wrong = await stage.submission(study, "cleo", code="WRONG")
        servers = await stage.submission(study, "dora", code=BY_SERVER)
        assert await status(stage, at_once) is STATUS.APPROVED
        assert [await status(stage, one) for one in (hasty, wrong, servers)] == [STATUS.AWAITING_REVIEW] * 3
        idle = await stage.submission(study, "emil", code=None, minutes=100)
        assert await status(stage, idle) is STATUS.TIMED_OUT
        await stage.client.submissions.complete(idle, BY_SERVER)  # late work can still be completed
        async with stage.person("fritz") as person:
            await person.post(f"/studies/{study}/reserve")
        counts = await stage.client.studies.counts(study)
        assert (counts["RESERVED"], counts["AWAITING REVIEW"], counts["TOTAL"]) == (1, 4, 6)
        stage.site.clock.advance(21 * DAY - 60 * 100 - 1000)
        assert await status(stage, hasty) is STATUS.AWAITING_REVIEW
        stage.site.clock.advance(DAY)
        assert [await status(stage, one) for one in (hasty, wrong, servers, idle)] == [STATUS.APPROVED] * 4


async def test_people_act_on_the_site() -> None:
    async with open_prolific() as stage:
        study = await published(stage, places=1)
        submission = await stage.submission(study, "anna")
        async with stage.person("bert") as person:
            assert "not active" in await person.refused(f"/studies/{study}/reserve")
            assert (await person.get("/"))["studies"] == []
        requested = await stage.client.submissions.request_return(submission, ["Withdrew consent."])
        assert requested is not None
        assert await status(stage, submission) is STATUS.AWAITING_REVIEW
        async with stage.person("anna") as person:
            await person.post(f"/submissions/{submission}/return")
        assert await status(stage, submission) is STATUS.RETURNED
        await stage.client.studies.transition(study, StudyAction.START)
        await stage.submission(study, "bert")


async def test_rejections_can_be_taken_back_or_not() -> None:
    for flipped, after in (((), STATUS.AWAITING_REVIEW), (("unreject_is_refused",), STATUS.REJECTED)):
        async with open_prolific(*flipped) as stage:
            study = await published(stage)
            submission = await stage.submission(study, "anna")
            await stage.client.submissions.reject(submission, RejectionCategory.FAILED_CHECK, REASON)
            try:
                await stage.client.submissions.reverse_rejection(submission)
            except SiteRefusedError:
                assert flipped
            assert await status(stage, submission) is after


async def test_groups_act_on_running_studies() -> None:
    async with open_prolific() as stage:
        people = stage.client.people
        allowed = await people.create_group(WORKSPACE, "allowed", ["anna", "bert"])
        blocked = await people.create_group(WORKSPACE, "blocked", [])
        study = await published(
            stage,
            filters=(
                StudyFilter(filter_id=ALLOW_GROUP_FILTER, selected_values=(allowed.id,)),
                StudyFilter(filter_id=BLOCK_GROUP_FILTER, selected_values=(blocked.id,)),
            ),
        )
        await people.add_members(blocked.id, ["bert"])
        await people.add_members(blocked.id, ["bert"])
        for name in ("bert", "cleo"):
            async with stage.person(name) as person:
                assert "not eligible" in await person.refused(f"/studies/{study}/reserve")
        await people.remove_members(blocked.id, ["bert"])
        await stage.submission(study, "bert")
        await people.delete_group(blocked.id)
        assert [group.id for group in await people.groups(WORKSPACE)] == [allowed.id]


async def test_one_study_can_lead_to_several_pages() -> None:
    async with open_prolific() as stage:
        pages = tuple(AccessDetail(external_url=f"https://tasks.example/{page}", total_allocation=2) for page in "ab")
        study = await published(stage, places=4, external_study_url=None, access_details=pages)
        await stage.submission(study, "anna")
        with pytest.raises(SiteRefusedError, match="allocations"):
            await stage.client.studies.create(
                study_request(5, external_study_url=None, access_details=pages, internal_name="t")
            )


async def test_wrong_ids_of_a_bonus_are_told_and_not_shown() -> None:
    async with open_prolific() as stage:
        study = await published(stage)
        stranger = "60ffe5c8371090c7041d43f8"
        for _ in range(3):  # each form of errors
            with pytest.raises(SiteRefusedError) as caught:
                await stage.client.submissions.set_up_bonuses(study, [BonusLine(stranger, 5)])
            assert stranger not in str(caught.value)
            assert caught.value.mentioned_ids <= {stranger}


async def test_a_test_study_and_its_people() -> None:
    async with open_prolific() as stage:
        study = await stage.client.studies.create(study_request())
        assert (await stage.client.studies.make_test(study.id)).study_url.startswith(stage.url)
        assert len(await stage.client.people.create_test_participant("me@example.org")) == 24
        await stage.client.people.send_messages(["a", "b"], study.id, "Hello")
        assert len(stage.site.ledger.messages) == 2


async def test_a_wrong_token_and_what_is_shown_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        open_prolific() as stage,
        ProlificClient("a-wrong-token", lambda: 0.5, base_url=stage.url, limits=LIMITS) as client,
    ):
        with pytest.raises(SiteCredentialsError) as caught:
            await client.accounts.me()
        assert "a-wrong-token" not in str(caught.value)
        await stage.client.hooks.replace_secret(WORKSPACE)
        new = await stage.client.hooks.subscribe(WORKSPACE, "study.status.change", "https://hooks.example/")
        secret = await stage.client.hooks.secret(WORKSPACE)
    for hidden in (DEFAULT_TOKEN, "a-wrong-token", new.confirmation, secret or ""):
        assert hidden
        assert hidden not in caplog.text
