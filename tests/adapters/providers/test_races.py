"""A place that is given back while somebody else takes it: the second worker gets the unit and the pay.

`SITE_RACES=500` tries as many; `make sites` does that.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.architects.memory.router import MemoryRouter, PageGoneError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.unit import UnitStatus

from .site_run import Participant, SiteRun, open_site_run, write_accounts

RACES = int(os.environ.get("SITE_RACES", "50"))
#: The time in which the second worker's page asks again.
ASKS_EVERY_SECONDS = 5.0


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


class Race:
    """One place, a worker who gives it back, and one who takes it."""

    def __init__(self, run: SiteRun, router: MemoryRouter, number: int) -> None:
        self._run = run
        self._router = router
        self._random = Random(number)
        self._number = number

    async def take_place(self) -> None:
        """Race for the place, and have the second worker do the work."""
        first, second = (self._run.person(f"{name}{self._number}") for name in ("first", "second"))
        taken = await self._reserve(first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._open_and_give_back, first, taken)
            again = await self._reserve(second)
            details = await self._agent(await second.open(again))
        await trio.sleep(self._random.uniform(1, 60))
        self._router.submit_task(details["agent_id"], {"answer": self._number})
        await second.enter_code(again)

    async def _open_and_give_back(self, person: Participant, taken: dict[str, Any]) -> None:
        """Open the page, and return the work at the site before, while or after the page gets an agent."""
        page = await person.open(taken)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._request, page, self._random.uniform(0, 2))
            await trio.sleep(self._random.uniform(0, 3))
            await person.give_back(taken)

    async def _request(self, page: dict[str, str | None], after_seconds: float) -> None:
        await trio.sleep(after_seconds)
        await self._router.request_agent(page)

    async def _reserve(self, person: Participant) -> dict[str, Any]:
        while (taken := await person.reserve()) is None:  # noqa: ASYNC110 - the site has no events
            await trio.sleep(self._random.uniform(0.1, 2))
        return taken

    async def _agent(self, page: dict[str, str | None]) -> Any:
        while (details := await self._router.request_agent(page))["agent_id"] is None:  # noqa: ASYNC110 - as a page does
            await trio.sleep(ASKS_EVERY_SECONDS)
        return details


@pytest.mark.parametrize("kind", ["prolific", "connect"])
async def test_the_second_worker_gets_the_unit_and_the_pay(
    kind: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run(kind, tmp_path) as run:
        live = await run.launch(RACES, max_num_concurrent_units=1, maximum_units_per_worker=0)
        router, operator = run.harness.router(live), run.harness.operator
        for number in range(RACES):
            try:
                await Race(run, router, number).take_place()
            except PageGoneError:
                break
        await operator.runs.wait_until_all_ended()
        state = operator.ledger.state
        assert {one.status for one in state.units.values()} == {UnitStatus.COMPLETED}
        statuses = [one.status for one in state.agents.values()]
        assert statuses.count(AgentStatus.COMPLETED) == RACES
        assert set(statuses) <= {AgentStatus.COMPLETED, AgentStatus.RETURNED}
        assert AgentStatus.RETURNED in statuses
        for agent in list(state.agents.values()):
            if agent.status is AgentStatus.COMPLETED:
                await operator.reviewer().approve_work(agent.agent)
        await run.settle(live.task_run)
        paid = [work for work in run.works() if work.reward_cents]
        assert len(paid) == RACES
        assert await run.faults(live.task_run) == ()
