"""Places of a run whose earlier study or project has ended: those that nobody took are offered again, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.fakes.connect.books import FakeProject
from mephisto_es.adapters.fakes.connect.site import FakeConnect
from mephisto_es.adapters.fakes.prolific.site import FakeProlific
from mephisto_es.adapters.providers.connect.provider import PROJECT
from mephisto_es.adapters.providers.prolific.api.study_request import arrival_url
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.operations.control.requests import ReconcileRequest
from mephisto_es.events.task_run import SiteOffer

from .site_run import SiteRun, open_site_run, until, write_accounts

ADDRESSES = {"prolific": arrival_url("https://other.example/"), "connect": "https://other.example/"}
SETTINGS = {"prolific": "prolific_external_study_url", "connect": "connect_project_url"}


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


def places(run: SiteRun) -> list[int]:
    """Return the places of each study or project, the oldest first."""
    if isinstance(run.site, FakeProlific):
        return [study.places for study in run.site.ledger.studies.values()]
    return [project.body.participants for project in run.site.ledger.projects.values()]


@pytest.mark.parametrize("kind", ["prolific", "connect"])
async def test_a_page_with_another_address_offers_what_is_left(
    kind: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run(kind, tmp_path) as run:
        live = await run.launch(3)
        await until(lambda: places(run) == [3])
        await run.person("anna").take_part(run.harness.router(live))
        await run.harness.operator.runs.pause_run(live.task_run, "we move", "me")
        await trio.sleep(120)
        live = await run.launch(3, resume_incomplete_run=True, **{SETTINGS[kind]: ADDRESSES[kind]})
        await trio.sleep(120)
        assert places(run) == [3, 2]
        for name in ("bert", "cleo"):
            await run.person(name).take_part(run.harness.router(live))
        await run.harness.operator.runs.wait_until_all_ended()
        agents = run.harness.operator.ledger.state.agents.values()
        assert [one.status for one in agents] == [AgentStatus.COMPLETED] * 3


async def test_a_project_that_nobody_could_take_holds_no_places(tmp_path: Path, autojump_clock: MockClock) -> None:
    """An operator whose launch had failed archived its project, and died: the next one offered one place of three."""
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(3)
        await until(lambda: places(run) == [3])
        (project,) = projects_of(run)
        project.status = "Archived"
        (held,) = live.provider.resources.held(PROJECT)
        await live.provider.resources.released(held.number, "the run is over")
        await run.harness.operator.runs.pause_run(live.task_run, "it died", "me")
        await trio.sleep(120)
        await run.launch(3, resume_incomplete_run=True)
        await trio.sleep(120)
        assert places(run) == [3, 3]


async def test_a_place_that_is_given_back_in_an_ended_project_is_offered_in_the_next(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Somebody held it when the operator ended the project, and went: the last unit was offered to nobody."""
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(3)
        await until(lambda: places(run) == [3])
        anna = run.person("anna")
        taken = await anna.reserve()
        assert taken is not None
        await run.harness.operator.runs.pause_run(live.task_run, "we move", "me")
        await trio.sleep(120)
        await run.launch(3, resume_incomplete_run=True, connect_project_url=ADDRESSES["connect"])
        await until(lambda: places(run) == [3, 2])
        await anna.give_back(taken)
        await until(lambda: places(run) == [3, 3])


async def test_a_project_that_a_person_closes_stays_closed_until_somebody_offers_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(3)
        await until(lambda: places(run) == [3])
        await run.person("anna").take_part(run.harness.router(live))
        (project,) = projects_of(run)
        project.status = "Closed"
        await until(lambda: offer(run) is SiteOffer.PAUSED_THERE)
        await trio.sleep(300)
        assert places(run) == [3]
        await run.ask(ReconcileRequest(task_run=live.task_run, starts_offer=True))
        assert places(run) == [3, 2]
        await until(lambda: projects_of(run)[1].status == "Live")
        assert offer(run) is SiteOffer.OPEN


async def test_work_whose_place_was_taken_back_holds_none(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A follow-up had a place too many: its unit was done here, by somebody who never entered the code there."""
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(2)
        await until(lambda: places(run) == [2])
        anna = run.person("anna")
        taken = await anna.reserve()
        assert taken is not None
        details = await run.harness.router(live).request_agent(await anna.open(taken))
        run.harness.router(live).submit_task(details["agent_id"], {"answer": 1})
        await trio.sleep(7200)  # Connect takes the place back
        (project,) = projects_of(run)
        project.status = "Closed"
        await until(lambda: offer(run) is SiteOffer.PAUSED_THERE)
        await run.ask(ReconcileRequest(task_run=live.task_run, starts_offer=True))
        assert places(run) == [2, 1]


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_a_study_that_an_operator_ended_before_it_died_gets_a_follow_up(
    tmp_path: Path, autojump_clock: MockClock, is_deleted: bool
) -> None:
    """It had no time to record that; each operator after it found a study that is gone, or that does not start."""
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(3)
        await until(lambda: places(run) == [3])
        await run.harness.operator.runs.pause_run(live.task_run, "it died", "me")
        assert isinstance(run.site, FakeProlific)
        (study,) = run.site.ledger.studies.values()
        if is_deleted:
            run.site.ledger.studies.clear()
        else:
            run.site.studies.transition(study, "STOP")
        await trio.sleep(120)
        live = await run.launch(3, resume_incomplete_run=True)
        await trio.sleep(120)
        assert places(run)[-1] == 3
        for name in ("anna", "bert", "cleo"):
            await run.person(name).take_part(run.harness.router(live))
        await run.harness.operator.runs.wait_until_all_ended()


async def test_a_study_that_a_person_stops_stays_so_until_somebody_offers_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Nothing said that it was stopped, and its units were offered to nobody."""
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(3)
        await until(lambda: places(run) == [3])
        await run.person("anna").take_part(run.harness.router(live))
        assert isinstance(run.site, FakeProlific)
        (study,) = run.site.ledger.studies.values()
        run.site.studies.transition(study, "STOP")
        await until(lambda: offer(run) is SiteOffer.PAUSED_THERE)
        await trio.sleep(300)
        assert places(run) == [3]
        await run.ask(ReconcileRequest(task_run=live.task_run, starts_offer=True))
        assert places(run) == [3, 2]
        assert offer(run) is SiteOffer.OPEN


def offer(run: SiteRun) -> SiteOffer | None:
    (state,) = run.harness.operator.ledger.state.task_runs.values()
    return state.offer


def projects_of(run: SiteRun) -> list[FakeProject]:
    assert isinstance(run.site, FakeConnect)
    return list(run.site.ledger.projects.values())
