"""Units and workers of a run, a page at a time."""

from __future__ import annotations

from random import Random

import pytest

from mephisto_es.core.errors import UnknownEntityError
from mephisto_es.events.ids import TaskRunId
from mephisto_es.projections.mephisto_db.rows import UnitRow
from mephisto_es.projections.queries.runs.run_status import all_runs
from mephisto_es.projections.queries.unit_list import WorkerLine, unit_page, worker_page
from mephisto_es.projections.queries.unit_records import unit_records

from ..histories import history
from .memory_as_of import MemoryAsOf

MOMENT = MemoryAsOf(history(Random(5), 1500))
RUNS = [run.task_run_id for run in all_runs(MOMENT).runs]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("status", [None, "completed", "launched"])
def test_all_pages_are_all_units(run: TaskRunId, status: str | None) -> None:
    units = MOMENT.db.find_units(task_run_id=run)
    wanted = [unit for unit in units if status in (None, unit.status)]
    found: list[UnitRow] = []
    after = 0
    while True:
        page = unit_page(MOMENT, run, size=3, status=status, after=after)
        assert page.total == len(wanted)
        assert len(page.units) <= 3
        found += page.units
        if page.next_after is None:
            break
        after = page.next_after
    assert found == wanted
    records = list(unit_records(MOMENT, run, units=found[:2]))
    assert [record.unit_id for record in records] == [unit.unit_id for unit in found[:2]]


@pytest.mark.parametrize("run", RUNS)
def test_all_workers_and_what_they_did(run: TaskRunId) -> None:
    found: list[WorkerLine] = []
    after: int | None = 0
    while after is not None:
        page = worker_page(MOMENT, run, size=2, after=after)
        found += page.workers
        after = page.next_after
    db = MOMENT.db
    agents = db.find_agents(task_run_id=run)
    onboarded = {one.worker_id for one in db.find_onboarding_agents(task_run_id=run)}
    assert [line.worker_id for line in found] == sorted({agent.worker_id for agent in agents} | onboarded)
    for line in found:
        own = [agent for agent in agents if agent.worker_id == line.worker_id]
        assert line.assigned == len(own)
        done = {"completed", "approved", "soft_rejected", "rejected"}
        assert line.submitted == sum(agent.status in done for agent in own)
        assert line.latest_agent == max((agent.agent_id for agent in own), default=None)
        assert line.status == db.get_worker(line.worker_id).status


def test_a_run_that_is_not_there() -> None:
    with pytest.raises(UnknownEntityError):
        unit_page(MOMENT, TaskRunId(999), size=1)
    with pytest.raises(UnknownEntityError):
        worker_page(MOMENT, TaskRunId(999), size=1)
