"""A run on Prolific from its launch to its end: the study follows the units, people are approved and paid."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from mephisto_es.adapters.fakes.prolific.books import FakeStudy, FakeSubmission
from mephisto_es.core.abstractions.agent import Update
from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.errors import CommandRefusedError, ConfigError, LaunchError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.payment import PaymentStatus
from mephisto_es.core.operations.control.requests import VerdictRequest
from mephisto_es.events.codec import encode

from ....core.operations.operator_harness import HarnessTaskState, items
from ..site_run import PAGE, SiteRun, open_site_run, until, write_accounts

REASON = (
    "LOW_EFFORT: every sentence got the same rating within two seconds, the one that is in Dutch included; "
    "we had hoped for a rating of each"
)


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


def study_of(run: SiteRun) -> FakeStudy:
    return list(run.prolific.ledger.studies.values())[-1]


def submissions_of(run: SiteRun) -> list[FakeSubmission]:
    return list(run.prolific.ledger.submissions.values())


async def test_a_run_from_launch_to_pay(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(2, task_title="Rate sentences")
        assert (study_of(run).status, study_of(run).places) == ("ACTIVE", 2)
        assert study_of(run).body.name == "Rate sentences"
        operator = run.harness.operator
        for name in ("anna", "bert"):
            await run.person(name).take_part(run.harness.router(live))
        await operator.runs.wait_until_all_ended()
        assert run.statuses() == ["AWAITING REVIEW"] * 2
        by_server = {code.code for code in study_of(run).body.completion_codes if code.actor == "researcher"}
        assert {one.entered_code for one in submissions_of(run)} == by_server
        agents = list(operator.ledger.state.agents.values())
        await operator.reviewer().approve_work(agents[0].agent, bonus_cents=30)
        await operator.reviewer().reject_work(agents[1].agent, REASON)
        assert await run.settle(live.task_run) == 2
        assert await run.settle(live.task_run) == 0
        paid = [(one.status, one.reward_paid, one.bonuses) for one in submissions_of(run)]
        assert paid == [("APPROVED", 150, [30]), ("REJECTED", 0, [])]
        assert submissions_of(run)[1].message == REASON.partition(": ")[2]
        assert {one.status for one in operator.ledger.state.payments.values()} == {PaymentStatus.CONFIRMED}
        assert await run.faults(live.task_run) == ()
        assert (await run.reconcile(live.task_run)).open == ()
        assert study_of(run).is_stopped
        secrets = (b"fake-prolific-token", b"anna", *(one.id.encode() for one in submissions_of(run)))
        logged = [encode(recorded.envelope) for recorded in operator.ledger.log.read()]
        assert not any(secret in line for line in logged for secret in secrets)


async def test_pausing_pauses_the_study_and_resuming_publishes_it(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(3)
        await run.person("anna").take_part(run.harness.router(live))
        await until(lambda: run.statuses() == ["AWAITING REVIEW"])
        operator = run.harness.operator
        await operator.runs.pause_run(live.task_run, "lunch", "me")
        assert study_of(run).status == "PAUSED"
        resumed = await run.launch(3, resume_incomplete_run=True)
        assert resumed.task_run == live.task_run
        assert (study_of(run).status, len(run.prolific.ledger.studies)) == ("ACTIVE", 1)
        await run.person("bert").take_part(run.harness.router(resumed))
        await until(lambda: run.statuses() == ["AWAITING REVIEW"] * 2)
        await operator.runs.end_run(live.task_run, "enough", "me")
        assert study_of(run).is_stopped
        assert not operator.ledger.state.resources or all(
            one.status.value == "released" for one in operator.ledger.state.resources.values()
        )


async def test_resuming_starts_a_study_whose_places_are_all_taken(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Somebody who had only reserved a place returns it: the next person must see the study."""
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(1)
        anna = run.person("anna")
        taken = await anna.reserve()
        assert taken is not None
        await run.harness.operator.runs.pause_run(live.task_run, "lunch", "me")
        assert study_of(run).status == "PAUSED"
        resumed = await run.launch(1, resume_incomplete_run=True)
        assert study_of(run).status == "ACTIVE"
        await anna.give_back(taken)
        await run.person("bert").take_part(run.harness.router(resumed))
        await until(lambda: run.statuses() == ["RETURNED", "AWAITING REVIEW"])


async def test_a_returned_place_frees_its_unit(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(1)
        router, anna = run.harness.router(live), run.person("anna")
        taken = await anna.reserve()
        assert taken is not None
        details = await router.request_agent(await anna.open(taken))
        assert details["agent_id"] is not None
        await anna.give_back(taken)
        state = run.harness.operator.ledger.state
        await until(lambda: [one.status for one in state.agents.values()] == [AgentStatus.RETURNED])
        assert await run.person("bert").take_part(router) is not None
        await until(lambda: run.statuses() == ["RETURNED", "AWAITING REVIEW"])


async def test_places_follow_the_units(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(4, max_num_concurrent_units=2)
        assert study_of(run).places == 2
        await run.person("anna").take_part(run.harness.router(live))
        await until(lambda: study_of(run).places == 3)
        await run.person("bert").take_part(run.harness.router(live))
        await until(lambda: study_of(run).places == 4)


async def test_a_launch_is_refused_with_the_reason(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        run.prolific.ledger.balance = Decimal(100)
        # A dry run asks the site for its terms, too.
        with pytest.raises(ConfigError, match=r"0\.30 for 5 minutes are 3\.60 USD an hour, and the site demands"):
            await run.launch(1, task_reward="0.30")
        assert not run.prolific.ledger.studies
        with pytest.raises(LaunchError, match="publish a study was refused"):
            await run.launch(1)
        assert not run.prolific.ledger.studies
        with pytest.raises(
            LaunchError, match=r"no workspace 'Nowhere': set mephisto\.provider\.prolific_workspace_name"
        ):
            await run.launch(1, prolific_workspace_name="Nowhere")
        with pytest.raises(ConfigError, match="Prolific has no unpaid studies"):
            await run.launch(1, task_reward="0")
        with pytest.raises(ConfigError, match="prolific_access_details is for Prolific's Taskflow"):
            await run.launch(1, prolific_access_details=[{"external_url": PAGE, "total_allocation": 1}])
        with pytest.raises(ConfigError, match="there is no requirement 'AgeRange'"):
            await run.launch(1, prolific_eligibility_requirements=[{"name": "AgeRange"}])


async def test_what_people_do_on_the_site_is_recorded_and_overrides_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(4)
        router, operator = run.harness.router(live), run.harness.operator
        for name in ("anna", "bert", "cleo"):
            await run.person(name).take_part(router)
        await until(lambda: run.statuses() == ["AWAITING REVIEW"] * 3)
        anna, *_ = operator.ledger.state.agents.values()
        await operator.reviewer().reject_work(anna.agent, "too short")
        rules = run.prolific.submissions
        rules.approve(submissions_of(run)[0])
        rules.give_back(submissions_of(run)[1])
        stranger = rules.reserve(study_of(run), "dora")
        rules.start(stranger)
        rules.enter_code(stranger, "GUESSED")
        await trio.sleep(60)
        engagements = operator.ledger.state.engagements.values()
        shown = [one.status.value for each in engagements for one in each.places.values() if one is not None]
        assert shown == ["approved", "returned", "submitted"]
        assert [one.status for one in operator.ledger.state.agents.values()] == [
            AgentStatus.REJECTED,
            AgentStatus.COMPLETED,
            AgentStatus.COMPLETED,
        ]
        left = (await run.reconcile(live.task_run)).open
        assert [(one.difference.name, one.outcome.name) for one in left] == [
            ("APPROVED_THERE", "FOR_PERSON"),
            ("RETURNED_THERE", "FOR_PERSON"),
            ("UNKNOWN_HERE", "FOR_PERSON"),
        ]
        assert await run.faults(live.task_run) == ("agent-1: approved at the site, and not paid according to the log",)


async def test_a_rejection_without_a_reason_waits_and_can_be_reversed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(2)
        operator = run.harness.operator
        for name in ("anna", "bert"):
            await run.person(name).take_part(run.harness.router(live))
        await operator.runs.wait_until_all_ended()
        anna, bert = operator.ledger.state.agents.values()
        await operator.reviewer().reject_work(anna.agent, "bad")
        await operator.reviewer().reject_work(bert.agent, REASON)
        (left,) = (await run.reconcile(live.task_run)).open
        assert (left.difference.name, left.outcome.name) == ("NOT_REJECTED", "REFUSED")
        assert left.reason.startswith("Prolific wants a reason of at least 100 characters, and this one has 3: ")
        assert run.statuses() == ["AWAITING REVIEW", "REJECTED"]
        for agent in (anna, bert):
            await operator.reviewer().approve_work(agent.agent)
        assert await run.settle(live.task_run) == 2
        assert run.statuses() == ["APPROVED"] * 2
        assert await run.faults(live.task_run) == ()


async def test_the_budget_reserves_the_sites_fee(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(3, budget="4.50")
        # 1.50 cost 2.01 at the site, which is 34 percent more.
        budget = run.harness.operator.ledger.state.runs[live.task_run].budget
        assert (budget.fee_percent, budget.reserved_cents) == (34, 402)
        assert study_of(run).places == 2


async def test_a_rejection_that_the_site_would_refuse_is_not_given(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(2)
        await run.person("anna").take_part(run.harness.router(live))
        state = run.harness.operator.ledger.state
        await until(lambda: run.statuses() == ["AWAITING REVIEW"])
        (agent,) = state.agents
        verdict = VerdictRequest(agent=state.agents[agent].agent, verdict=Verdict.REJECTED, note="bad")
        with pytest.raises(CommandRefusedError, match="agent-1 is not rejected: Prolific wants a reason"):
            await run.ask(verdict)
        assert state.agents[agent].status is AgentStatus.COMPLETED
        await run.ask(msgspec.structs.replace(verdict, note=REASON))
        await until(lambda: run.statuses() == ["REJECTED"])


async def test_blocked_workers_are_kept_away_at_the_site(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(3)
        await run.person("anna").take_part(run.harness.router(live))
        operator, (group,) = run.harness.operator, run.prolific.ledger.groups.values()
        assert (group.name, list(group.members)) == ("Block list", [])
        group.members["by hand"] = 0.0
        (worker,) = operator.ledger.state.workers.values()
        await operator.reviewer().block_worker(worker.worker, "a bot")
        await until(lambda: set(group.members) == {"by hand", "anna"})
        assert await run.person("anna").reserve() is None
        await operator.reviewer().unblock_worker(worker.worker, "no bot")
        await until(lambda: set(group.members) == {"by hand"})
        assert await run.person("anna").reserve() is not None


async def test_participant_groups_follow_qualifications(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        operator, directory = run.harness.operator, run.harness.operator.directory()
        await directory.find_or_create_qualification("careful")
        anna = await directory.new_worker("anna", "near_prolific")
        await operator.reviewer().grant_qualification(anna, "careful")
        groups = {"prolific_qualification_groups": {"careful": "Careful"}, "prolific_allow_list_group_name": "Careful"}
        await run.launch(3, **groups)
        group = next(one for one in run.prolific.ledger.groups.values() if one.name == "Careful")
        assert list(group.members) == ["anna"]
        group.members["by hand"] = 0.0
        assert await run.person("bert").reserve() is None
        bert = await directory.new_worker("bert", "near_prolific")
        await operator.reviewer().grant_qualification(bert, "careful", 0)
        await operator.reviewer().revoke_qualification(anna, "careful", "in a hurry")
        await until(lambda: set(group.members) == {"by hand"})
        await operator.reviewer().grant_qualification(bert, "careful", 2)
        await until(lambda: set(group.members) == {"by hand", "bert"})
        assert await run.person("bert").reserve() is not None


async def nobody_passes(_: Update) -> bool:
    return False


@pytest.mark.parametrize("screen_out", [None, "0.20"])
async def test_the_time_of_an_onboarding_is_paid_unless_the_site_pays_it(
    screen_out: str | None, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        operator = run.harness.operator
        fixed = {} if screen_out is None else {"prolific_screen_out_reward": screen_out, "prolific_screen_out_slots": 3}
        cfg = run.config(pay_for_time="0.10", **fixed)
        cfg.blueprint.onboarding_qualification = "knows"
        shared = HarnessTaskState(data=items(2), validate_onboarding=nobody_passes)
        number = await operator.launch_task_run_or_die(cfg, shared)
        live = operator.get_running_task_runs()[number]
        router, anna = run.harness.router(live), run.person("anna")
        taken = await anna.reserve()
        assert taken is not None
        details = await router.request_agent(await anna.open(taken))
        await trio.sleep(120)
        await router.submit_onboarding(details["agent_id"], {})
        await trio.sleep(60)
        if screen_out is None:
            await anna.give_back(taken)
        await trio.sleep(60)
        assert await run.settle(live.task_run) == (screen_out is None)
        (submission,) = submissions_of(run)
        assert submission.status == ("RETURNED" if screen_out is None else "SCREENED OUT")
        assert sum(submission.bonuses) == 20
        assert await run.faults(live.task_run) == ()


async def test_an_approval_by_the_site_is_announced(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(2)
        await run.person("anna").take_part(run.harness.router(live))
        await until(lambda: run.statuses() == ["AWAITING REVIEW"])
        await trio.sleep(100)
        completed = run.prolific.ledger.submissions[run.works()[0].id].completed_at
        assert completed is not None
        report = await run.reconcile(live.task_run)
        assert (report.unreviewed, report.approved_by_site_at) == (1, int(completed + 21 * 24 * 3600))
        agent = next(iter(run.harness.operator.ledger.state.agents.values()))
        await run.harness.operator.reviewer().approve_work(agent.agent)
        assert (await run.reconcile(live.task_run)).approved_by_site_at is None


async def test_a_draft_that_was_deleted_does_not_hide_the_rest(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(2)
        await run.harness.operator.runs.pause_run(live.task_run, "lunch", "me")
        study = study_of(run)
        del run.prolific.ledger.studies[study.id]
        assert (await run.reconcile(live.task_run)).observed == 0
