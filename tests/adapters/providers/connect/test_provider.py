"""A run on Connect from its launch to its end: the project follows the units, people are approved and paid."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from mephisto_es.adapters.fakes.connect.books import FakeProject
from mephisto_es.core.errors import ConfigError, LaunchError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.events.codec import encode

from ..site_run import SiteRun, open_site_run, until, write_accounts


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


def projects_of(run: SiteRun) -> list[FakeProject]:
    return list(run.connect.ledger.projects.values())


async def test_a_run_from_launch_to_pay(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("connect", tmp_path, flipped=("ids_in_upper_case",)) as run:
        live = await run.launch(3, task_title="Rate sentences")
        (project,) = projects_of(run)
        assert (project.status, project.body.participants, project.body.name) == ("Live", 3, "Rate sentences")
        operator = run.harness.operator
        for name in ("anna", "bert", "cleo"):
            await run.person(name).take_part(run.harness.router(live))
        await operator.runs.wait_until_all_ended()
        assert run.statuses() == ["Pending"] * 3
        anna, bert, cleo = operator.ledger.state.agents.values()
        await operator.reviewer().approve_work(anna.agent, bonus_cents=30)
        for agent in (bert, cleo):
            await operator.reviewer().reject_work(agent.agent, "the same rating for each sentence")
        await run.settle(live.task_run)
        assert run.statuses() == ["Approved", "Rejected", "Rejected"]
        await operator.reviewer().approve_work(cleo.agent, "a mistake of ours")
        await run.settle(live.task_run)
        assert [work[1:] for work in run.works()] == [("Approved", 150, 30), ("Rejected", 0, 0), ("Approved", 150, 0)]
        assert await run.faults(live.task_run) == ()
        assert (await run.reconcile(live.task_run)).open == ()
        secrets = (b"fake-connect-key", b"anna", *(one.id.encode() for one in run.works()))
        logged = [encode(recorded.envelope) for recorded in operator.ledger.log.read()]
        assert not any(secret in line for line in logged for secret in secrets)


async def test_pausing_and_ending(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(3)
        operator = run.harness.operator
        await operator.runs.pause_run(live.task_run, "lunch", "me")
        assert [one.status for one in projects_of(run)] == ["Paused"]
        await run.launch(3, resume_incomplete_run=True)
        assert [one.status for one in projects_of(run)] == ["Live"]
        await operator.runs.end_run(live.task_run, "enough", "me")
        assert [one.status for one in projects_of(run)] == ["Closed"]
        assert {one.status.value for one in operator.ledger.state.resources.values()} == {"released"}


async def test_a_full_project_gets_a_follow_up(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("connect", tmp_path, flipped=("completed_is_final",)) as run:
        live = await run.launch(2, max_num_concurrent_units=1)
        await run.person("anna").take_part(run.harness.router(live))
        await until(lambda: len(projects_of(run)) == 2)
        first, second = projects_of(run)
        await until(lambda: second.status == "Live")
        assert (first.status, second.body.participants) == ("Completed", 1)
        assert second.body.platform_targeting is not None
        assert second.body.platform_targeting.projects is not None
        assert second.body.platform_targeting.projects.excluded_projects == [first.id]
        await run.person("bert").take_part(run.harness.router(live))
        await run.harness.operator.runs.wait_until_all_ended()
        agents = run.harness.operator.ledger.state.agents.values()
        assert [one.status for one in agents] == [AgentStatus.COMPLETED] * 2


async def test_a_pause_by_the_site_is_left_alone(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(3, max_num_concurrent_units=1)
        (project,) = projects_of(run)
        taken = await run.person("anna").reserve()
        assert taken is not None
        project.status, project.is_held = "Paused", True
        details = await run.harness.router(live).request_agent(await run.person("anna").open(taken))
        run.harness.router(live).submit_task(details["agent_id"], {})
        await until(lambda: project.body.participants == 2)
        await trio.sleep(300)
        assert project.status == "Paused"


async def test_blocked_workers_are_excluded_by_the_launch_and_by_follow_ups(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_site_run("connect", tmp_path, flipped=("completed_is_final",)) as run:
        operator = run.harness.operator
        anna = await operator.directory().new_worker("anna", "near_connect")
        await operator.reviewer().block_worker(anna, "a bot")
        live = await run.launch(3, max_num_concurrent_units=1, connect_excluded_participants=["cleo"])
        (first,) = projects_of(run)
        assert excluded(first) == ["cleo", "anna"]
        assert await run.person("anna").reserve() is None
        bert = await operator.directory().new_worker("bert", "near_connect")
        await operator.reviewer().block_worker(bert, "a bot, too")
        await trio.sleep(10)
        assert excluded(first) == ["cleo", "anna"]
        await run.person("dora").take_part(run.harness.router(live))
        await until(lambda: len(projects_of(run)) == 2)
        assert excluded(projects_of(run)[1]) == ["cleo", "anna", "bert"]


def excluded(project: FakeProject) -> list[str]:
    targeting = project.body.platform_targeting
    assert targeting is not None
    assert targeting.participants is not None
    return list(targeting.participants.excluded_participants)


async def test_a_launch_is_refused_with_the_reason(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_site_run("connect", tmp_path, balance_cents=100) as run:
        with pytest.raises(ConfigError, match="30 cents for 5 minutes are 360 an hour; Connect demands 750"):
            await run.launch(1, task_reward="0.30")
        with pytest.raises(LaunchError, match="insufficient funds"):
            await run.launch(1)
        assert [one.status for one in projects_of(run)] == ["Archived"]
