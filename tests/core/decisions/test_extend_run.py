"""Giving a run more to do, or more to spend."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.task_run import (
    AddedItems,
    AddedUnit,
    AddUnits,
    CompleteRun,
    ExhaustData,
    ExpireUnits,
    ExtendRun,
    PauseRun,
    RecordRunEvent,
    ReopenRun,
    StopRun,
    UnitPlan,
)
from mephisto_es.core.decisions.task_run import seen_run
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.lifecycles.task_run import TaskRunState, TaskRunStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.events import ids, streams
from mephisto_es.events.task_run import (
    TaskRunBudgetChanged,
    TaskRunCreated,
    TaskRunDataAdded,
    TaskRunDataExhausted,
    TaskRunReopened,
    TaskRunStopping,
    TaskRunUnitsRaised,
)
from mephisto_es.events.unit import UnitCreated, UnitReopened

from .conftest import DATA, PAY_CENTS, RUN, SmallRun

ADDED = TaskRunDataAdded(items=2, data=DATA)


def items() -> ExtendRun:
    return ExtendRun(task_run=RUN, reason="more", items=AddedItems(2, DATA))


def raised(units: int) -> ExtendRun:
    return ExtendRun(task_run=RUN, reason="more", units_per_assignment=units)


def budget(cents: int | None) -> ExtendRun:
    return ExtendRun(task_run=RUN, reason="more", changes_budget=True, budget_cents=cents)


def state_of(run: SmallRun) -> TaskRunState:
    return run.state.task_runs[streams.task_run(RUN)]


def end(run: SmallRun) -> None:
    run.execute(StopRun(task_run=RUN, reason="enough"))
    units = tuple(sorted(run.state.runs[RUN].open_units))
    run.execute(ExpireUnits(task_run=RUN, units=units, reason="enough"))
    run.execute(CompleteRun(task_run=RUN))


def test_a_run_that_is_extended_does_not_end_as_if_it_were_not(run: SmallRun) -> None:
    for extension in (items(), raised(2), budget(5000)):
        seen = seen_run(run.state, RUN)
        run.execute(extension)
        assert run.execute(StopRun(task_run=RUN, reason="all work is done", seen=seen)) == []
    now = StopRun(task_run=RUN, reason="all work is done", seen=seen_run(run.state, RUN))
    assert run.execute(now) == [TaskRunStopping(reason="all work is done")]


def test_items_follow_the_data_of_a_live_run(run: SmallRun) -> None:
    assert run.execute(items()) == [ADDED]
    assert (state_of(run).assignments, state_of(run).added) == (None, (ADDED,))
    assert run.execute(ExhaustData(task_run=RUN, assignments=1, additions=0)) == []
    exhausted = ExhaustData(task_run=RUN, assignments=3, additions=1)
    assert run.execute(exhausted) == [TaskRunDataExhausted(assignments=3)]
    assert run.execute(exhausted) == []
    assert run.execute(items()) == [ADDED]
    assert (state_of(run).assignments, state_of(run).exhausted_at, state_of(run).added) == (None, 3, (ADDED,))


def test_an_ended_run_is_reopened_by_more_to_do(run: SmallRun) -> None:
    run.offer(1)
    run.offer(2)
    run.assign(1, agent=1)
    run.submit(1)
    end(run)
    assert run.execute(items()) == [TaskRunReopened(reason="more"), UnitReopened(reason="more"), ADDED]
    assert state_of(run).status is TaskRunStatus.PAUSED


def test_more_units_are_only_added(run: SmallRun) -> None:
    assert run.execute(raised(1)) == [TaskRunUnitsRaised(units_per_assignment=1)]
    run.offer(1, units=2)
    for few in (1, 2):
        with pytest.raises(CommandRefusedError, match="run 1 has 2 units per assignment already; units can be added"):
            run.execute(raised(few))
    assert run.execute(raised(3)) == [TaskRunUnitsRaised(units_per_assignment=3)]
    with pytest.raises(CommandRefusedError, match="run 1 has 3 units per assignment already"):
        run.execute(raised(3))


def test_units_are_added_to_a_live_run_once(run: SmallRun) -> None:
    run.offer(1)
    plan = UnitPlan(ids.UnitId(99), 1, PAY_CENTS)
    command = AddUnits(task_run=RUN, further=(AddedUnit(ids.AssignmentId(1), plan),))
    created = UnitCreated(unit=ids.UnitId(99), assignment=ids.AssignmentId(1), index=1, pay_cents=PAY_CENTS)
    assert run.execute(command) == [created]
    assert run.execute(command) == []
    run.execute(PauseRun(task_run=RUN, reason="signal"))
    assert run.execute(command) == []


def test_a_budget_covers_what_is_owed_and_reserved(run: SmallRun) -> None:
    run.offer(1)
    with pytest.raises(CommandRefusedError, match="a budget of 5 cents does not cover run 1: 0 cents are owed, and 10"):
        run.execute(budget(5))
    assert run.execute(budget(10)) == [TaskRunBudgetChanged(budget_cents=10)]
    assert run.state.runs[RUN].budget.left_cents == 0
    with pytest.raises(CommandRefusedError, match="run 1 has this budget already"):
        run.execute(budget(10))
    run.execute(ExpireUnits(task_run=RUN, units=(ids.UnitId(10),), reason="enough"))
    end(run)
    assert run.execute(budget(None)) == [TaskRunBudgetChanged(budget_cents=None)]
    assert state_of(run).status is TaskRunStatus.COMPLETED


def test_a_run_that_stops_is_not_extended(run: SmallRun) -> None:
    run.execute(StopRun(task_run=RUN, reason="enough"))
    with pytest.raises(CommandRefusedError, match="run 1 is 'stopping': it can be extended once it has ended"):
        run.execute(items())


def test_a_run_without_a_server_is_not_extended() -> None:
    small = SmallRun()
    created = TaskRunCreated(
        task_run=RUN,
        task=ids.TaskId(1),
        requester=ids.RequesterId(1),
        blueprint_type="static_task",
        architect_type="local",
        provider_type="mock",
        config="{}",
    )
    small.state.evolve(streams.task_run(RUN), created)
    with pytest.raises(CommandRefusedError, match="run 1 is 'created': it can be extended once it is live"):
        small.execute(budget(5))


def test_nothing_is_no_extension(run: SmallRun) -> None:
    with pytest.raises(CommandRefusedError, match="nothing to change"):
        run.execute(ExtendRun(task_run=RUN, reason="more"))


def test_a_part_of_separate_units_is_reopened(run: SmallRun) -> None:
    run.offer(1, units=2)
    run.assign(1, agent=1)
    run.submit(1)
    run.execute(RecordRunEvent(task_run=RUN, event=TaskRunDataExhausted(assignments=1)))
    end(run)
    with pytest.raises(CommandRefusedError, match="run 1 has no unit that could be put back"):
        run.execute(ReopenRun(task_run=RUN, reason="more"))
    reopened = run.execute(ReopenRun(task_run=RUN, reason="more", partial=True))
    assert reopened == [TaskRunReopened(reason="more"), UnitReopened(reason="more")]
    assert run.state.units[streams.unit(RUN, ids.UnitId(11))].status is UnitStatus.CREATED
