"""Operators that are away, people who act on the sites' pages, and the calls that a site gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.fakes.connect.schema import ReviewBodyLine
from mephisto_es.adapters.fakes.connect.site import FakeConnect
from mephisto_es.adapters.fakes.prolific.site import FakeProlific
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.crowd.site_work import SiteWork
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.core.operations.registry import register_mephisto_abstraction
from mephisto_es.core.operations.services.provider_places import LISTED_AFTER_SECONDS
from mephisto_es.events.agent import AgentSubmitted

from .site_run import NearConnect, NearProlific, SiteRun, calls_to, open_site_run, until, write_accounts

DAY_SECONDS = 24 * 3600
PEOPLE = 50
#: One interval of observation, at its longest.
A_POLL_SECONDS = 62
KINDS = pytest.mark.parametrize("kind", ["prolific", "connect"])


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


@KINDS
async def test_work_of_three_days_without_an_operator_is_recorded_once(
    kind: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The router takes 50 submissions while nobody is here; each is in the log once, completed at the site and paid."""
    MemoryArchitect.routers.clear()
    log, days = MemoryLog(), {"assignment_duration_in_seconds": 7 * DAY_SECONDS}
    async with open_site_run(kind, tmp_path, log=log) as run:
        live = await run.launch(PEOPLE, **days)
        router, site = run.harness.router(live), run.site
        at_work = []
        for number in range(PEOPLE):
            person = run.person(f"person{number}")
            await until(lambda: places_left(site) > 0)
            taken = await person.reserve()
            assert taken is not None
            details = await router.request_agent(await person.open(taken))
            at_work.append((person, taken, details["agent_id"]))
    for person, taken, agent in at_work:
        await trio.sleep(3 * DAY_SECONDS / PEOPLE)
        router.submit_task(agent, {"answer": person.name})
        await person.enter_code(taken)
    assert router.unacknowledged >= PEOPLE
    async with open_site_run(kind, tmp_path, site, log) as run:
        live = await run.launch(PEOPLE, **days, resume_incomplete_run=True)
        operator = run.harness.operator
        await operator.runs.wait_until_all_ended()
        submitted = [one for one in log.read() if isinstance(one.envelope.event, AgentSubmitted)]
        assert len(submitted) == len({one.envelope.stream for one in submitted}) == PEOPLE
        assert {one.status for one in operator.ledger.state.units.values()} == {UnitStatus.COMPLETED}
        for agent in list(operator.ledger.state.agents.values()):
            await operator.reviewer().approve_work(agent.agent)
        await run.settle(live.task_run)
        assert sum(work.reward_cents for work in run.works()) == 150 * PEOPLE
        assert await run.faults(live.task_run) == ()


def places_left(site: FakeProlific | FakeConnect) -> int:
    """Return the places that nobody holds."""
    if isinstance(site, FakeProlific):
        return sum(one.places for one in site.ledger.studies.values()) - len(site.ledger.submissions)
    return sum(one.body.participants for one in site.ledger.projects.values()) - len(site.ledger.assignments)


async def test_what_people_do_on_connects_pages_is_recorded_within_a_poll_and_overrides_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(4)
        router, operator = run.harness.router(live), run.harness.operator
        for name in ("anna", "bert", "cleo"):
            await run.person(name).take_part(router)
        dora = run.person("dora")
        taken = await dora.reserve()
        assert taken is not None
        await router.request_agent(await dora.open(taken))
        await trio.sleep(2 * A_POLL_SECONDS)
        anna, *_ = operator.ledger.state.agents.values()
        await operator.reviewer().reject_work(anna.agent, "the same rating for each sentence")
        await until(lambda: run.statuses()[0] == "Rejected")
        rules = run.connect.assignments
        first, second, third, _ = run.connect.ledger.assignments.values()
        rules.reverse(first.project, [ReviewBodyLine(first.id)])
        rules.reject(first.project, [ReviewBodyLine(second.id, "by hand")])
        rules.approve(first.project, [ReviewBodyLine(third.id)])
        await trio.sleep(A_POLL_SECONDS)
        assert shown(run) == ["approved", "rejected", "approved"]
        await dora.give_back(taken)
        await trio.sleep(A_POLL_SECONDS)
        assert shown(run)[-1] == "returned"
        assert [one.status for one in operator.ledger.state.agents.values()] == [
            AgentStatus.REJECTED,
            AgentStatus.COMPLETED,
            AgentStatus.COMPLETED,
            AgentStatus.RETURNED,
        ]
        left = (await run.reconcile(live.task_run)).open
        assert [one.difference.name for one in left] == ["APPROVED_THERE", "DECIDED_THERE", "DECIDED_THERE"]


def shown(run: SiteRun) -> list[str]:
    """Return what the sites' observations say, one person after the other, without those that say nothing."""
    engagements = run.harness.operator.ledger.state.engagements.values()
    return [one.status.value for each in engagements for one in each.places.values() if one is not None]


@KINDS
async def test_a_thousand_units_are_offered_with_few_calls(
    kind: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Places are counted, so an offer of any size takes a few calls; a run that waits asks once per interval."""
    async with open_site_run(kind, tmp_path, balance_cents=10_000_000) as run:
        await run.launch(1000)
        await until(lambda: places_left(run.site) == 1000)
        offered = calls_to(kind)
        assert offered < 100
        await trio.sleep(3600)
        assert calls_to(kind) - offered <= 3600 / 10


@register_mephisto_abstraction()
class CrowdedProlific(NearProlific):
    """A site whose list of the work takes many calls."""

    PROVIDER_TYPE: ClassVar[str] = "crowded_prolific"
    PIECES_PER_CALL: ClassVar[int] = 1


async def test_a_long_list_is_read_less_often(tmp_path: Path, autojump_clock: MockClock) -> None:
    """However often something happens at the site, a list of many calls is read at one call a second on average."""
    async with open_site_run("prolific", tmp_path) as run:
        run.near = CrowdedProlific
        live = await run.launch(20)
        await until(lambda: places_left(run.site) == 20)
        for number in range(20):
            assert await run.person(f"person{number}").reserve() is not None
        await trio.sleep(2 * A_POLL_SECONDS)
        before = calls_to("prolific")
        for _ in range(600):
            live.site.observe_soon()
            await trio.sleep(1)
        observations = 600 / len(run.works())
        assert calls_to("prolific") - before <= 4 * observations


async def test_a_place_that_is_returned_at_once_is_not_taken_for_one_that_the_list_does_not_show_yet(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(2)
        anna = run.person("anna")
        taken = await anna.reserve()
        assert taken is not None
        await run.harness.router(live).request_agent(await anna.open(taken))
        await anna.give_back(taken)
        # No list of the site has shown the work, so it may be too new for this one.
        assert (await run.reconcile(live.task_run)).open == ()
        assert shown(run) == []
        # The run's own observation comes as soon as a list would show it.
        await trio.sleep(LISTED_AFTER_SECONDS + 2)
        assert shown(run) == ["returned"]


class SlowConnect(NearConnect):
    """Connect, whose list was made before it had the new work, and arrives when it has."""

    PROVIDER_TYPE: ClassVar[str] = "slow_connect"

    async def observe(self) -> Sequence[SiteWork]:
        await trio.sleep(LISTED_AFTER_SECONDS + 1)
        return ()


async def test_a_list_that_comes_late_is_as_old_as_its_request(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live = await run.launch(2)
        anna = run.person("anna")
        taken = await anna.reserve()
        assert taken is not None
        details = await run.harness.router(live).request_agent(await anna.open(taken))
        run.payer = SlowConnect
        await run.reconcile(live.task_run)
        assert shown(run) == []
        run.harness.router(live).submit_task(details["agent_id"], {})
        await anna.enter_code(taken)
        await until(lambda: shown(run) == ["submitted"])
