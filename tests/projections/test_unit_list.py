"""Units and workers of a run, a page at a time."""

from __future__ import annotations

from itertools import count
from random import Random

import pytest

from mephisto_es.core.errors import UnknownEntityError
from mephisto_es.events.ids import TaskRunId
from mephisto_es.projections.mephisto_db.rows import UnitRow
from mephisto_es.projections.queries.runs.run_status import all_runs
from mephisto_es.projections.queries.unit_list import (
    UNIT_COLUMNS,
    WORKER_COLUMNS,
    RowFilter,
    WorkerLine,
    list_units,
    list_workers,
    unit_page,
)
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
    for number in count(1):
        page = list_workers(MOMENT, run, RowFilter(page=number, size=2))
        found += page.workers
        if not page.workers:
            assert page.total == len(found)
            break
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


@pytest.mark.parametrize("column", UNIT_COLUMNS)
@pytest.mark.parametrize("is_descending", [False, True])
def test_units_are_sorted_by_any_column(column: str, is_descending: bool) -> None:
    choice = RowFilter(column=column, is_descending=is_descending, size=10_000)
    found = list_units(MOMENT, RUNS[0], choice)
    name = {"unit": "unit_id", "agent": "agent_id", "worker": "worker_id", "worth": "pay_cents"}.get(column, column)
    name = "creation_date" if name == "created" else name
    values = [getattr(unit, name) for unit in found.units]
    given = [value for value in values if value is not None]
    assert given == sorted(given, reverse=is_descending)
    assert values[: len(given)] == given, "what is missing comes last"
    assert found.total == len(values) == len(MOMENT.db.find_units(task_run_id=RUNS[0]))
    again = [list_units(MOMENT, RUNS[0], choice._replace(size=7, page=page)).units for page in range(1, 4)]
    assert [unit for page in again for unit in page] == list(found.units[:21])


def test_rows_have_all_words_that_are_searched_for() -> None:
    units = list_units(MOMENT, RUNS[0], RowFilter(size=10_000)).units
    wanted = next(unit for unit in units if unit.worker_id is not None)
    words = (f"WORKER-{wanted.worker_id}", wanted.status)
    found = list_units(MOMENT, RUNS[0], RowFilter(words=words, size=10_000)).units
    assert wanted in found
    assert {unit.status for unit in found} == {wanted.status}
    assert {str(unit.worker_id)[: len(str(wanted.worker_id))] for unit in found} == {str(wanted.worker_id)}
    assert list_units(MOMENT, RUNS[0], RowFilter(words=("%",))).total == 0
    name = next(one.worker_name for one in MOMENT.db.find_workers() if one.worker_id == wanted.worker_id) or ""
    assert list_units(MOMENT, RUNS[0], RowFilter(words=(name,), searches_names=True)).total > 0
    assert list_units(MOMENT, RUNS[0], RowFilter(words=(f" {name}",))).total == 0


@pytest.mark.parametrize("column", WORKER_COLUMNS)
def test_workers_are_sorted_by_any_column(column: str) -> None:
    found = list_workers(MOMENT, RUNS[0], RowFilter(column=column, is_descending=True, size=10_000)).workers
    name = {"worker": "worker_id", "agent": "latest_agent"}.get(column, column)
    values = [value for line in found if (value := getattr(line, name)) is not None]
    assert values == sorted(values, reverse=True)


def test_a_run_that_is_not_there() -> None:
    with pytest.raises(UnknownEntityError):
        unit_page(MOMENT, TaskRunId(999), size=1)
    with pytest.raises(UnknownEntityError):
        list_workers(MOMENT, TaskRunId(999))
