"""Work that was completed on a site while nobody was here is reported, and taken in when a person asks for it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.fakes.connect.site import FakeConnect
from mephisto_es.adapters.fakes.prolific.site import FakeProlific
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.crowd.differences import SiteDifference
from mephisto_es.core.decisions.worker_rights.take_in_work import WITHOUT_ANSWERS
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.core.operations.control.requests import ReconcileRequest
from mephisto_es.core.operations.control.round_report import RoundReport
from mephisto_es.events.agent import AgentSubmitted
from mephisto_es.events.ids import TaskRunId

from .site_run import Participant, SiteRun, open_site_run, until, write_accounts

DAY_SECONDS = 24 * 3600


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


def enter_code(site: FakeProlific | FakeConnect, work: str) -> None:
    """Let the person of a piece of work type the code in that the page had shown."""
    if isinstance(site, FakeProlific):
        submission = site.ledger.submissions[work]
        site.submissions.enter_code(submission, submission.study.body.completion_codes[0].code)


def places(site: FakeProlific | FakeConnect) -> int:
    """Return the places that the site offers, or has given."""
    if isinstance(site, FakeProlific):
        return sum(study.places for study in site.ledger.studies.values())
    return sum(project.body.participants for project in site.ledger.projects.values())


async def complete_alone(site: FakeProlific | FakeConnect, name: str) -> None:
    """Take a place and complete the work on the site; nothing answers at the page's address."""
    person = Participant(site, name)
    taken = await person.reserve()
    assert taken is not None
    await person.open(taken)
    await trio.sleep(60)
    await person.enter_code(taken)
    enter_code(site, taken["id"])


async def take_in(run: SiteRun, task_run: TaskRunId) -> RoundReport:
    found = (await run.ask(ReconcileRequest(task_run=task_run, takes_in=True))).round
    assert found is not None
    return found


@pytest.mark.parametrize(("kind", "people"), [("prolific", 50), ("connect", 5)])
async def test_what_people_did_in_three_days_without_us_is_taken_in(
    kind: str, people: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    log = MemoryLog()
    async with open_site_run(kind, tmp_path, log=log) as run:
        await run.launch(people)
        site = run.site
        await until(lambda: places(site) == people)
    for number in range(people):
        await complete_alone(site, f"Person{number}")
    await trio.sleep(3 * DAY_SECONDS)
    async with open_site_run(kind, tmp_path, site, log) as run:
        live = await run.launch(people, resume_incomplete_run=True)
        report = await run.reconcile(live.task_run)
        assert [one.difference for one in report.differences] == [SiteDifference.UNKNOWN_HERE] * people
        # Nobody else gets a place before a person has decided.
        assert await run.person("Late").reserve() is None
        report = await take_in(run, live.task_run)
        assert (report.taken_in, report.not_taken_in, report.open) == (people, (), ())
        operator = run.harness.operator
        await operator.runs.wait_until_all_ended()
        state = operator.ledger.state
        assert {one.status for one in state.units.values()} == {UnitStatus.COMPLETED}
        submitted = [one.envelope for one in log.read() if isinstance(one.envelope.event, AgentSubmitted)]
        assert {(one.actor, one.event.problems) for one in submitted if isinstance(one.event, AgentSubmitted)} == {
            ("user/me", (WITHOUT_ANSWERS,))
        }
        for agent in list(state.agents.values()):
            await operator.reviewer().approve_work(agent.agent)
        assert (await take_in(run, live.task_run)).taken_in == 0
        assert await run.settle(live.task_run) == people
        assert sum(work.reward_cents for work in run.works()) == 150 * people
        assert await run.faults(live.task_run) == ()


async def test_work_of_pages_that_never_got_through_is_taken_in(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(3)
        router, state = run.harness.router(live), run.harness.operator.ledger.state
        for name in ("anna", "bert"):
            person = run.person(name)
            taken = await person.reserve()
            assert taken is not None
            details = await router.request_agent(await person.open(taken))
            if name == "bert":
                router.return_task(details["agent_id"])
            enter_code(run.site, taken["id"])
        await until(lambda: [one.status.value for one in state.agents.values()] == ["in task", "returned"])
        report = await take_in(run, live.task_run)
        assert (report.taken_in, report.open) == (2, ())
        anna, bert = state.agents.values()
        assert (anna.status, bert.status) == (AgentStatus.COMPLETED, AgentStatus.RETURNED)
        assert bert.submission is not None
        assert anna.submission is not None
        body = run.harness.log.payload(anna.submission)
        assert body is not None
        assert set(msgspec.json.decode(body)["taken_in"]) == {"code", "started_at", "completed_at"}
        await run.harness.operator.reviewer().approve_work(anna.agent)
        await run.harness.operator.reviewer().accept_late_work(bert.agent)
        assert await run.settle(live.task_run) == 2
        assert await run.faults(live.task_run) == ()


async def test_work_for_which_no_unit_is_left_is_not_taken_in(tmp_path: Path, autojump_clock: MockClock) -> None:
    log = MemoryLog()
    async with open_site_run("prolific", tmp_path, log=log) as run:
        await run.launch(1)
        site = run.site
    await complete_alone(site, "anna")
    async with open_site_run("prolific", tmp_path, site, log) as run:
        live = await run.launch(1, resume_incomplete_run=True)
        await run.harness.operator.runs.end_run(live.task_run, "enough", "me")
        report = await take_in(run, live.task_run)
        assert report.not_taken_in == ("no unit is on offer for worker-1: `mephisto-es extend 1` adds some",)
        assert [one.difference for one in report.open] == [SiteDifference.UNKNOWN_HERE]
