"""Failures of the task's own code: after some in a row, newcomers get no work until a person has looked."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.task_run import (
    CompleteRun,
    PauseRun,
    RecordCallbackFailure,
    RecordCallbackRecovery,
    ResumeAdmission,
    StopRun,
)
from mephisto_es.core.decisions.task_run import FAILURES_IN_A_ROW, admission_problem
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.events import streams
from mephisto_es.events.base import Event
from mephisto_es.events.task_run import CallbackFailed, CallbackRecovered, TaskRunAdmissionPaused

from .conftest import RUN, SmallRun

NAME = "on_unit_submitted"


def fail(run: SmallRun, function: str = NAME) -> list[Event]:
    failure = CallbackFailed(function=function, error="raised ValueError", location="run_task.py:12")
    events = run.execute(RecordCallbackFailure(task_run=RUN, failure=failure))
    assert events[:1] in ([failure], [])
    return events[1:]


def recover(run: SmallRun, function: str = NAME) -> list[Event]:
    return run.execute(RecordCallbackRecovery(task_run=RUN, function=function))


def problem(run: SmallRun) -> str | None:
    return admission_problem(run.state.task_runs[streams.task_run(RUN)])


def test_three_failures_in_a_row_pause_the_admission_once(run: SmallRun) -> None:
    assert FAILURES_IN_A_ROW == 3
    assert fail(run) == fail(run) == []
    assert problem(run) is None
    assert fail(run) == [TaskRunAdmissionPaused(function=NAME, failures=3)]
    assert f"{NAME} failed 3 times in a row" in str(problem(run))
    assert fail(run) == []


def test_a_success_in_between_counts_anew(run: SmallRun) -> None:
    fail(run)
    fail(run)
    assert recover(run) == [CallbackRecovered(function=NAME)]
    assert recover(run) == []
    assert fail(run) == fail(run) == []
    assert fail(run) == [TaskRunAdmissionPaused(function=NAME, failures=3)]


def test_each_function_is_counted_for_itself(run: SmallRun) -> None:
    assert recover(run) == []
    for _ in range(2):
        assert fail(run) == fail(run, "validate_onboarding") == []
    assert recover(run, "validate_onboarding") == [CallbackRecovered(function="validate_onboarding")]
    assert run.state.task_runs[streams.task_run(RUN)].failures == {NAME: 2}


def test_a_paused_run_pauses_its_admission_and_one_that_stops_does_not(run: SmallRun) -> None:
    stopping = SmallRun()
    stopping.open()
    stopping.execute(StopRun(task_run=RUN, reason="enough"))
    assert fail(stopping) == fail(stopping) == fail(stopping) == []
    run.execute(PauseRun(task_run=RUN, reason="lunch"))
    assert fail(run) == fail(run) == []
    assert fail(run) == [TaskRunAdmissionPaused(function=NAME, failures=3)]


def test_nothing_recovers_in_a_run_that_has_ended(run: SmallRun) -> None:
    fail(run)
    run.execute(StopRun(task_run=RUN, reason="enough"))
    run.execute(CompleteRun(task_run=RUN))
    assert recover(run) == []


def test_a_run_that_has_ended_admits_nobody_again(run: SmallRun) -> None:
    run.execute(StopRun(task_run=RUN, reason="enough"))
    run.execute(CompleteRun(task_run=RUN))
    with pytest.raises(CommandRefusedError, match="run 1 is 'completed': it admits nobody"):
        run.execute(ResumeAdmission(task_run=RUN, reason="repaired"))


@pytest.mark.parametrize("failures", [1, 3])
def test_a_person_lets_newcomers_in_again(run: SmallRun, failures: int) -> None:
    for _ in range(failures):
        fail(run)
    assert run.execute(ResumeAdmission(task_run=RUN, reason="repaired"))
    assert problem(run) is None
    assert fail(run) == fail(run) == []
    assert fail(run) == [TaskRunAdmissionPaused(function=NAME, failures=3)]
