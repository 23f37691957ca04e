"""The units of a run with what belongs to them, read in pages: the same as one by one, and only a page is in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.events.ids import TaskRunId
from mephisto_es.projections.mephisto_db.rows import AgentRow, UnitRow
from mephisto_es.projections.queries.review_queue import ReviewFilter, ReviewOrder, matching_units, review_queue
from mephisto_es.projections.queries.runs.run_status import all_runs
from mephisto_es.projections.queries.unit_pages import MAX_PAGE_BYTES, PAGE_UNITS, UnitPage, in_pages, units_of_run
from mephisto_es.projections.queries.unit_records import unit_records, unit_values
from mephisto_es.projections.registry import PROJECTIONS

from ..histories import history
from ..sample_log import RUN, submitted_history
from .memory_as_of import MemoryAsOf

MOMENT = MemoryAsOf(history(Random(11), 1500))
RUNS = [run.task_run_id for run in all_runs(MOMENT).runs]


@pytest.mark.parametrize("max_bytes", [0, 200, MAX_PAGE_BYTES])
def test_a_page_has_what_each_unit_has(max_bytes: int) -> None:
    db = MOMENT.db
    units: list[UnitRow] = [*db.find_units()]
    page = UnitPage(db, units, max_bytes)
    for unit in units:
        assert page.inputs_of(unit) == db.get_inputs(unit)
        assert page.assignment_of(unit).number == db.get_assignment(unit.assignment_id).number
        agent = page.agent_of(unit)
        assert agent == (None if unit.agent_id is None else db.get(AgentRow, unit.agent_id))
        if agent is not None:
            assert page.outputs_of(agent) == db.get_outputs(agent)


@pytest.mark.parametrize("run", RUNS)
def test_values_are_those_of_the_records(run: TaskRunId) -> None:
    records = [(one.assignment_id, one.unit_index, one.inputs, one.outputs) for one in unit_records(MOMENT, run)]
    assert [(one.assignment_id, one.unit_index, one.inputs, one.outputs) for one in unit_values(MOMENT, run)] == records


@pytest.mark.parametrize("order", ReviewOrder)
def test_work_that_is_listed_is_the_work_of_the_queue(order: ReviewOrder) -> None:
    for run in RUNS:
        chosen = ReviewFilter(order=order)
        assert tuple(matching_units(MOMENT, run, chosen)) == review_queue(MOMENT, run, chosen).units
        text = ReviewFilter(order=order, text="a")
        assert tuple(matching_units(MOMENT, run, text)) == review_queue(MOMENT, run, text).units


def test_pages_keep_the_order() -> None:
    assert list(in_pages(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(in_pages([], 2)) == []


def test_memory_does_not_grow_with_a_run(tmp_path: Path) -> None:
    peaks = []
    for pages in (2, 8):
        path = tmp_path / f"{pages}.db"
        with SqliteLog.create_or_open(path, PROJECTIONS) as log:
            log.commit(submitted_history(pages * PAGE_UNITS, 5))
        with open_as_of(path) as moment:
            count(unit_records(moment, RUN))
            tracemalloc.start()
            assert count(unit_records(moment, RUN)) == count(units_of_run(moment.db, RUN)) == pages * PAGE_UNITS
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] <= 1.3 * peaks[0]


def count(rows: Iterable[object]) -> int:
    return sum(1 for _ in rows)
