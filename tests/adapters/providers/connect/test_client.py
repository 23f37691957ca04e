"""The client of Connect against its fake, over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mephisto_es.adapters.fakes.connect.guesses import ConnectGuess
from mephisto_es.adapters.fakes.connect.site import DEFAULT_KEY
from mephisto_es.adapters.fakes.faults import Fault, FaultPlan
from mephisto_es.adapters.providers.api.errors import (
    EffectUnknownError,
    SiteCredentialsError,
    SiteRefusedError,
    SiteThrottledError,
)
from mephisto_es.adapters.providers.connect.answers import ConnectAssignmentStatus, ConnectProjectStatus
from mephisto_es.adapters.providers.connect.assignments import BonusGrant, ReviewLine
from mephisto_es.adapters.providers.connect.client import ConnectClient
from mephisto_es.adapters.providers.connect.project_request import (
    CompletionKind,
    CompletionSettings,
    ParticipantTargeting,
    PlatformTargeting,
    ProjectChange,
    ProjectTargeting,
    dollars,
)
from mephisto_es.core.errors import ConfigError

from ..fake_sites import LIMITS, Connect, open_connect, project_request

DAY = 24 * 3600
STATUS = ConnectAssignmentStatus
PROJECT = ConnectProjectStatus


async def live(stage: Connect, places: int = 3, **changes: Any) -> str:
    """Launch a project; its id."""
    project = await stage.client.projects.create(project_request(places, **changes))
    await stage.client.projects.move(project.project_id, PROJECT.LIVE)
    return project.project_id


async def statuses(stage: Connect, project: str) -> dict[str | None, ConnectAssignmentStatus]:
    return {one.participant_id: one.status for one in await stage.client.assignments.of_project(project)}


@pytest.mark.parametrize("flipped", [None, *ConnectGuess], ids=str)
async def test_a_whole_project_with_each_guess_either_way(flipped: ConnectGuess | None) -> None:
    async with open_connect(*([flipped.name] if flipped else []), balance_cents=100_000) as stage:
        client = stage.client
        before = await client.balance_cents()
        quote = await client.quote(payment_cents=150, places=4, estimated_minutes=6)
        assert quote.total_cost_cents in {750, 752}  # with rounding of each fee, or without
        made = await client.projects.create(project_request(4), "token-a")
        assert await client.projects.status(made.project_id) is PROJECT.UNPUBLISHED
        assert [one.project_id for one in await client.projects.find("token-1")] == [made.project_id]
        await client.projects.move(made.project_id, PROJECT.LIVE, "token-b")
        assert await client.projects.status(made.project_id) is PROJECT.LIVE
        ids = [await stage.assignment(made.project_id, name) for name in ("anna", "bert", "cleo")]
        await stage.assignment(made.project_id, "dora", completed=False)
        async with stage.person("dora") as dora:
            work = (await dora.get("/"))["assignments"][0]
            await dora.post(f"/assignments/{work['id']}/return")
        unfinished = [one for one in await client.assignments.of_project(made.project_id) if not one.completion_time]
        assert len(unfinished) == (flipped is ConnectGuess.RETURNED_STAYS)
        await client.assignments.approve(made.project_id, [ReviewLine(ids[0].upper(), "Thank you")], "token-c")
        await client.assignments.reject(made.project_id, [ReviewLine(ids[1], "Both checks were missed")], "token-d")
        await client.assignments.reverse_rejection(made.project_id, [ReviewLine(ids[1])], "token-e")
        await client.assignments.approve(made.project_id, [ReviewLine("cleo")], "token-f")
        try:
            await client.assignments.approve(made.project_id, [ReviewLine(ids[0])], "token-g")
        except SiteRefusedError:
            assert flipped is ConnectGuess.APPROVED_TWICE_IS_REFUSED
        await client.assignments.bonus(made.project_id, [BonusGrant(ids[0], 25), BonusGrant(ids[2], 100)], "token-h")
        await client.assignments.bonus(made.project_id, [BonusGrant(ids[0], 5)], "token-i")
        found = {one.participant_id: one for one in await client.assignments.of_project(made.project_id)}
        assert [found[name].bonus_cents for name in ("anna", "bert", "cleo")] == [30, 0, 100]
        assert {found[name].status for name in ("anna", "bert", "cleo")} == {STATUS.APPROVED}
        await client.projects.move(made.project_id, PROJECT.PAUSED, "token-j")
        await client.projects.move(made.project_id, PROJECT.CLOSED, "token-k")
        spent = before - await client.balance_cents()
        exact = Decimal(before) - stage.site.ledger.balance
        assert exact - stage.site.ledger.fees_paid == 3 * 150 + 130
        assert exact <= spent < exact + 1


async def test_money_becomes_cents_field_by_field() -> None:
    async with open_connect(balance_cents=123_456) as stage:
        client = stage.client
        assert await client.balance_cents() == 123_456
        project = await live(stage, 2, payment=dollars(435))
        shown = await client.projects.get(project)
        assert (shown.payment_cents, shown.total_cost_cents) == (435, 2 * (435 + 109))
        work = await stage.assignment(project, "anna")
        await client.assignments.bonus(project, [BonusGrant(work, 7)], "t")
        (one,) = await client.assignments.of_project(project)
        assert (one.payment_cents, one.bonus_cents) == (435, 7)
        quote = await client.quote(payment_cents=435, places=2, estimated_minutes=6)
        assert quote.total_cost_cents == 2 * (435 + 109)
        assert (await client.quote(payment_cents=1, places=2, estimated_minutes=6)).total_cost_cents is None


async def test_fractions_of_a_cent_are_rounded_to_the_safe_side() -> None:
    async with open_connect("fees_have_fractions") as stage:
        project = await live(stage, 1, payment=dollars(151))
        assert (await stage.client.projects.get(project)).total_cost_cents == 189  # 188.75
        assert await stage.client.balance_cents() == 1_000_000 - 189


Change = Callable[[Connect, str, str], Awaitable[object]]
CHANGES: dict[str, tuple[Change, Callable[[Connect], object]]] = {
    "create": (
        lambda stage, project, work: stage.client.projects.create(project_request(internal_name="b"), "new"),
        lambda stage: len(stage.site.ledger.projects),
    ),
    "pause": (
        lambda stage, project, work: stage.client.projects.move(project, PROJECT.PAUSED, "new"),
        lambda stage: [one.status for one in stage.site.ledger.projects.values()],
    ),
    "approve": (
        lambda stage, project, work: stage.client.assignments.approve(project, [ReviewLine(work)], "new"),
        lambda stage: [one.status for one in stage.site.ledger.assignments.values()],
    ),
    "reject": (
        lambda stage, project, work: stage.client.assignments.reject(project, [ReviewLine(work, "no")], "new"),
        lambda stage: [one.status for one in stage.site.ledger.assignments.values()],
    ),
    "bonus": (
        lambda stage, project, work: stage.client.assignments.bonus(project, [BonusGrant(work, 5)], "new"),
        lambda stage: [one.bonus_cents for one in stage.site.ledger.assignments.values()],
    ),
    "message": (
        lambda stage, project, work: stage.client.assignments.send_message(project, "anna", "Hi", "Thanks", "new"),
        lambda stage: len(stage.site.ledger.messages),
    ),
    "places": (
        lambda stage, project, work: stage.client.projects.change(project, ProjectChange(participants=9), "new"),
        lambda stage: [one.body.participants for one in stage.site.ledger.projects.values()],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("fault", "has_effect"), [(Fault.LOST_BEFORE, False), (Fault.LOST_AFTER, True), (Fault.FAILED_AFTER, True)]
)
async def test_a_lost_answer_is_unknown_and_its_token_says_that_it_was_seen(
    change: str, fault: Fault, has_effect: bool
) -> None:
    act, effect = CHANGES[change]
    async with open_connect() as stage:
        project = await live(stage)
        work = await stage.assignment(project, "anna")
        before = effect(stage)
        stage.disturb(fault)
        with pytest.raises(EffectUnknownError):
            await act(stage, project, work)
        after = effect(stage)
        assert (after != before) == has_effect
        if has_effect:
            with pytest.raises(SiteRefusedError, match="seen before"):
                await act(stage, project, work)
        else:
            await act(stage, project, work)


@pytest.mark.parametrize("status", [400, 409])
async def test_a_token_of_a_failed_request_is_refused_too_and_forgotten_after_a_day(status: int) -> None:
    async with open_connect(*(["repeated_token_is_conflict"] if status == 409 else [])) as stage:
        project = await live(stage)
        work = await stage.assignment(project, "anna")
        stage.site.ledger.balance = Decimal(0)
        grant = [BonusGrant(work, 5)]
        with pytest.raises(SiteRefusedError, match="insufficient funds") as first:
            await stage.client.assignments.bonus(project, grant, "token")
        stage.site.ledger.balance = Decimal(1000)
        with pytest.raises(SiteRefusedError, match="seen before") as second:
            await stage.client.assignments.bonus(project, grant, "token")
        assert (first.value.status, second.value.status) == (400, status)
        assert first.value.trace == "trace-1"
        stage.site.clock.advance(DAY + 1)
        await stage.client.assignments.bonus(project, grant, "token")
        stage.site.clock.advance(DAY + 1)
        await stage.client.assignments.bonus(project, grant, "token")  # the trap: an old token pays again
        assert (await stage.client.assignments.of_project(project))[0].bonus_cents == 10


async def test_a_busy_site_is_not_asked_again_with_the_same_token() -> None:
    for flipped in ([], ["throttled_token_is_seen"]):
        async with open_connect(*flipped) as stage:
            project = await live(stage)
            work = await stage.assignment(project, "anna")
            stage.disturb(Fault.THROTTLED, only="/approve")
            with pytest.raises(SiteThrottledError):
                await stage.client.assignments.approve(project, [ReviewLine(work)], "token")
            assert await statuses(stage, project) == {"anna": STATUS.PENDING}
            try:
                await stage.client.assignments.approve(project, [ReviewLine(work)], "token")
            except SiteRefusedError:
                assert flipped
                await stage.client.assignments.approve(project, [ReviewLine(work)], "another token")
            assert await statuses(stage, project) == {"anna": STATUS.APPROVED}


async def test_reading_is_repeated_and_places_are_set_again_without_a_token() -> None:
    async with open_connect() as stage:
        project = await live(stage)
        for fault in (Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.THROTTLED, Fault.FAILED_BEFORE):
            stage.disturb(fault, fault, only="GET")
            assert (await stage.client.projects.get(project)).participants == 3
        stage.disturb(Fault.LOST_AFTER)
        assert (await stage.client.projects.change(project, ProjectChange(participants=5))).participants == 5


async def test_lists_lag_and_their_pages_grow_old() -> None:
    async with open_connect(plan=FaultPlan(list_lag_seconds=60, seed=1)) as stage:
        first = await stage.client.projects.create(project_request())
        for _ in range(249):
            stage.site.projects.create(stage.site.ledger.projects[first.project_id].body)
        stage.site.clock.advance(60)
        found = [one.project_id async for one in stage.client.projects.iterate()]
        assert len(found) == len(set(found)) == len(stage.site.ledger.projects)
        await stage.client.projects.create(project_request(internal_name="new"))
        assert await stage.client.projects.find("new") == []
        stage.site.clock.advance(60)
        assert len(await stage.client.projects.find("new")) == 1
        pages = stage.client.projects.iterate()
        await anext(pages)
        stage.site.clock.advance(3601)
        with pytest.raises(SiteRefusedError, match="NextToken"):
            async for _ in pages:
                pass
        await pages.aclose()


async def test_moves_and_frozen_fields() -> None:
    async with open_connect() as stage:
        projects = stage.client.projects
        project = await live(stage)
        with pytest.raises(SiteRefusedError, match="Live cannot become Closed"):
            await projects.move(project, PROJECT.CLOSED)
        for status in (PROJECT.COMPLETED, PROJECT.UNPUBLISHED, PROJECT.UNKNOWN):
            with pytest.raises(ConfigError, match="the site does"):
                await projects.move(project, status)
        with pytest.raises(SiteRefusedError, match="can only be increased"):
            await projects.change(project, ProjectChange(participants=1))
        changed = await projects.change(project, ProjectChange(name="Another name", summary="s"))
        assert changed.name == "Another name"
        draft = await projects.create(project_request(internal_name="draft"))
        await projects.move(draft.project_id, PROJECT.ARCHIVED)
        with pytest.raises(SiteRefusedError, match="cannot be changed"):
            await projects.change(draft.project_id, ProjectChange(name="x"))
        with pytest.raises(SiteRefusedError, match="does not exist"):
            await projects.get("nothing")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"payment": dollars(50)}, SiteRefusedError, "below the minimum"),
        ({"estimated_time_in_minutes": 1}, ConfigError, "does not take the project's times"),
        ({"max_time_in_minutes": 6}, ConfigError, "does not take the project's times"),
        ({"name": "x" * 501}, ConfigError, "too long"),
        ({"participants": 0}, ConfigError, "at least one place"),
    ],
)
async def test_a_project_that_is_not_taken(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    async with open_connect() as stage:
        with pytest.raises(error, match=message):
            await stage.client.projects.create(project_request(**changes))
        assert stage.site.ledger.projects == {}


async def test_a_launch_without_money() -> None:
    async with open_connect(balance_cents=500) as stage:
        project = await stage.client.projects.create(project_request())
        with pytest.raises(SiteRefusedError, match="insufficient funds"):
            await stage.client.projects.move(project.project_id, PROJECT.LIVE)


async def test_bonuses_are_paid_to_all_or_nobody() -> None:
    async with open_connect(balance_cents=600) as stage:
        project = await live(stage)
        works = [await stage.assignment(project, name) for name in ("anna", "bert")]
        with pytest.raises(SiteRefusedError, match="insufficient funds"):
            await stage.client.assignments.bonus(project, [BonusGrant(works[0], 5), BonusGrant(works[1], 50)], "t")
        assert [one.bonus_cents for one in await stage.client.assignments.of_project(project)] == [0, 0]


async def test_a_full_project_completes_itself_and_reopens_or_not() -> None:
    for flipped, after in (([], PROJECT.LIVE), (["completed_is_final"], PROJECT.COMPLETED)):
        async with open_connect(*flipped) as stage:
            project = await live(stage, 1)
            await stage.assignment(project, "anna")
            assert await stage.client.projects.status(project) is PROJECT.COMPLETED
            try:
                await stage.client.projects.change(project, ProjectChange(participants=2))
            except SiteRefusedError:
                assert flipped
            assert await stage.client.projects.status(project) is after


async def test_a_rejected_place_reopens_or_not() -> None:
    for flipped in ([], ["rejected_reopens"]):
        async with open_connect(*flipped) as stage:
            project = await live(stage, 2)
            work = await stage.assignment(project, "anna")
            await stage.assignment(project, "bert", completed=False)
            await stage.client.assignments.reject(project, [ReviewLine(work, "no")], "t")
            async with stage.person("cleo") as person:
                if flipped:
                    await person.post(f"/projects/{project}/accept")
                else:
                    assert "full" in await person.refused(f"/projects/{project}/accept")


async def test_lists_of_people_hold_from_the_launch_on() -> None:
    async with open_connect() as stage:
        first = await live(stage)
        await stage.assignment(first, "anna")
        targeting = PlatformTargeting(
            participants=ParticipantTargeting(excluded_participants=("BERT",)),
            projects=ProjectTargeting(excluded_projects=(first,)),
        )
        second = await live(stage, internal_name="second", platform_targeting=targeting)
        for name in ("anna", "bert"):
            async with stage.person(name) as person:
                assert "not eligible" in await person.refused(f"/projects/{second}/accept")
        await stage.assignment(second, "cleo")
        only = PlatformTargeting(participants=ParticipantTargeting(included_participants=("dora",)))
        third = await live(stage, internal_name="third", platform_targeting=only)
        async with stage.person("anna") as person:
            assert "not eligible" in await person.refused(f"/projects/{third}/accept")
        await stage.assignment(third, "dora")


async def test_what_the_site_does_by_itself() -> None:
    async with open_connect() as stage:
        stage.site.projects.returns_until_pause = 2
        project = await live(stage, 5)
        await stage.assignment(project, "anna")
        await stage.assignment(project, "bert", completed=False)
        await stage.assignment(project, "cleo", completed=False)
        assert (await stage.client.projects.statistics(project)).in_progress == 2
        stage.site.clock.advance(3600)  # both time out, and the site has had enough
        assert await stage.client.projects.status(project) is PROJECT.PAUSED
        with pytest.raises(SiteRefusedError, match="contact support"):
            await stage.client.projects.move(project, PROJECT.LIVE)
        stage.site.clock.advance(14 * DAY - 3600 - 660)
        assert await statuses(stage, project) == {"anna": STATUS.PENDING}
        stage.site.clock.advance(120)
        assert await statuses(stage, project) == {"anna": STATUS.APPROVED}
        assert (await stage.client.projects.statistics(project)).approved_assignments == 1


async def test_the_address_tells_who_has_come_in_either_case() -> None:
    for flipped in ([], ["ids_in_upper_case"]):
        async with open_connect(*flipped) as stage:
            project = await live(stage)
            async with stage.person("a1b2") as person:
                taken = await person.post(f"/projects/{project}/accept")
            query = parse_qs(urlsplit(taken["address"]).query)
            assert query["participantId"] == ["A1B2" if flipped else "a1b2"]
            (one,) = await stage.client.assignments.of_project(project)
            assert one.is_of(participant_id=query["participantId"][0], assignment_id=query["assignmentId"][0])
            assert one.is_of(participant_id=query["participantId"][0])
            assert not one.is_of(participant_id="other")
            assert not one.is_of(participant_id="a1b2", assignment_id="other")


async def test_a_code_is_checked_and_the_redirect_knows_people_by_their_browser() -> None:
    async with open_connect() as stage:
        settings = CompletionSettings(project_completion_type=CompletionKind.COMPLETION_CODE, value="7K3M")
        project = await live(stage, completion_settings=settings)
        work = await stage.assignment(project, "anna", completed=False)
        async with stage.person("anna") as person:
            assert "wrong" in await person.refused(f"/assignments/{work}/code", code="0000")
            await person.post(f"/assignments/{work}/code", code="7K3M")
        (one,) = await stage.client.assignments.of_project(project)
        assert one.completion is not None
        assert (one.completion.completion_code, one.completion.submission_type.value) == ("7K3M", "CompletionCode")


async def test_nobody_is_rejected_without_a_word_or_approved_unseen() -> None:
    async with open_connect() as stage:
        project = await live(stage)
        work = await stage.assignment(project, "anna")
        with pytest.raises(ConfigError, match="a message for each rejection"):
            await stage.client.assignments.reject(project, [ReviewLine(work, " ")], "t")
        with pytest.raises(ConfigError, match="at least one"):
            await stage.client.assignments.approve(project, [], "t")
        assert not hasattr(stage.client.assignments, "approve_all")


async def test_messages_and_checks_of_ids() -> None:
    for flipped in ([], ["validation_is_a_list"]):
        async with open_connect(*flipped) as stage:
            project = await live(stage)
            await stage.assignment(project, "anna")
            answer = await stage.client.validate_participants(["anna", "nobody"])
            assert "anna" in str(answer)
            await stage.client.assignments.send_messages(project, ["anna", "bert"], "Hi", "Thanks", "t1")
            await stage.client.assignments.send_message(project, "anna", "Hi", "Thanks", "t2")
            assert [one[0] for one in stage.site.ledger.messages] == ["anna", "bert", "anna"]


async def test_a_wrong_key_and_what_is_shown_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        open_connect() as stage,
        ConnectClient("a-wrong-key-of-mine", lambda: 0.5, base_url=stage.url, limits=LIMITS) as client,
    ):
        with pytest.raises(SiteCredentialsError) as caught:
            await client.balance_cents()
        await stage.client.balance_cents()
        assert "a-wrong-key-of-mine" not in str(caught.value)
    assert "a-wrong-key-of-mine" not in caplog.text
    assert DEFAULT_KEY not in caplog.text
