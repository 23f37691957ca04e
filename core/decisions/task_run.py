"""Decides on a run as a whole: creates, stops and completes it, and pauses its admission when its code fails."""

from __future__ import annotations

from msgspec.structs import replace

from ...events import streams
from ...events.records import RequesterRegistered, TaskRegistered
from ...events.task_run import (
    CallbackFailed,
    CallbackRecovered,
    TaskRunAdmissionPaused,
    TaskRunAdmissionResumed,
    TaskRunCompleted,
    TaskRunPaused,
    TaskRunReopened,
    TaskRunStopping,
)
from ...events.unit import UnitReopened
from ..commands.task_run import (
    CompleteRun,
    CreateRun,
    PauseRun,
    RecordCallbackFailure,
    RecordCallbackRecovery,
    ReopenRun,
    ResumeAdmission,
    StopRun,
)
from ..errors import CommandRefusedError
from ..lifecycles.task_run import GIVING_RUN_STATUSES, TASK_RUN, TaskRunState, TaskRunStatus
from ..lifecycles.unit import UnitStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState

#: Failures in a row of one function of the task after which newcomers get no more work.
FAILURES_IN_A_ROW = 3


def decide_create_run(state: DecisionState, command: CreateRun) -> list[NewEvent]:
    """Create a run, and register its task and requester if their names are new."""
    proposed = command.created
    known_task = state.tasks_by_name.get(command.task_name)
    known_requester = state.requesters_by_name.get((proposed.provider_type, command.requester_name))
    created = replace(proposed, task=known_task or proposed.task, requester=known_requester or proposed.requester)
    events = [NewEvent(streams.task_run(created.task_run), created)]
    if known_requester is None:
        account = RequesterRegistered(
            requester=created.requester, name=command.requester_name, provider_type=created.provider_type
        )
        events.insert(0, NewEvent(streams.requester(created.requester), account))
    if known_task is None:
        registered = TaskRegistered(task=created.task, name=command.task_name, task_type=created.blueprint_type)
        events.insert(0, NewEvent(streams.task(created.task), registered))
    return events


def decide_stop_run(state: DecisionState, command: StopRun) -> list[NewEvent]:
    """Give out no more work; nothing if the run is not live.

    Raises:
        UnknownEntityError: there is no such run.
    """
    stream = streams.task_run(command.task_run)
    live = state.task_runs[stream].status is TaskRunStatus.LIVE
    return [NewEvent(stream, TaskRunStopping(reason=command.reason))] if live else []


def decide_pause_run(state: DecisionState, command: PauseRun) -> list[NewEvent]:
    """Record that the operator leaves a run; nothing if the run is not under way.

    Raises:
        UnknownEntityError: there is no such run.
    """
    stream = streams.task_run(command.task_run)
    under_way = TASK_RUN.allows(state.task_runs[stream].status, TaskRunPaused)
    return [NewEvent(stream, TaskRunPaused(reason=command.reason))] if under_way else []


def decide_reopen_run(state: DecisionState, command: ReopenRun) -> list[NewEvent]:
    """Put the expired units of an ended run back.

    Units that evaluate a worker stay expired, and so do those of an assignment for several of which a part is done:
    nobody could do the rest together with the others.

    Raises:
        UnknownEntityError: there is no such run.
        IllegalStepError: the run has not ended.
        CommandRefusedError: the run has no unit to put back, and its data has been read to the end.
    """
    run = command.task_run
    stream, index = streams.task_run(run), state.runs[run]
    TASK_RUN.after(state.task_runs[stream].status, TaskRunReopened(reason=command.reason), stream)
    reopened = [
        NewEvent(streams.unit(run, unit), UnitReopened(reason=command.reason))
        for units in index.units_of.values()
        if all(state.units[streams.unit(run, unit)].status is UnitStatus.EXPIRED for unit in units)
        for unit in units
        if state.units[streams.unit(run, unit)].index >= 0
    ]
    if not reopened and state.task_runs[stream].assignments is not None:
        raise CommandRefusedError(f"run {run} has no unit that could be put back: all its work is done")
    return [NewEvent(stream, TaskRunReopened(reason=command.reason)), *reopened]


def decide_complete_run(state: DecisionState, command: CompleteRun) -> list[NewEvent]:
    """Complete a stopping run.

    Raises:
        CommandRefusedError: something is still open; the message says what.
    """
    index = state.runs[command.task_run]
    if not index.is_idle:
        raise CommandRefusedError(
            f"run {command.task_run} is not done: {len(index.open_units)} units are open, "
            f"{len(index.live_agents)} agents and {len(index.live_onboardings)} onboardings are at work"
        )
    return [NewEvent(streams.task_run(command.task_run), TaskRunCompleted())]


def decide_record_callback_failure(state: DecisionState, command: RecordCallbackFailure) -> list[NewEvent]:
    """Record a failure, and pause the admission of newcomers after too many in a row; nothing if the run has ended.

    Raises:
        UnknownEntityError: there is no such run.
    """
    stream, failure = streams.task_run(command.task_run), command.failure
    run = state.task_runs[stream]
    if not TASK_RUN.allows(run.status, CallbackFailed):
        return []
    failures = run.failures.get(failure.function, 0) + 1
    pauses = failures >= FAILURES_IN_A_ROW and run.admission_paused_by is None and run.status in GIVING_RUN_STATUSES
    paused = TaskRunAdmissionPaused(function=failure.function, failures=failures)
    return [NewEvent(stream, failure), *([NewEvent(stream, paused)] if pauses else [])]


def decide_record_callback_recovery(state: DecisionState, command: RecordCallbackRecovery) -> list[NewEvent]:
    """Record that a function works again; nothing if it had not failed, or the run has ended.

    Raises:
        UnknownEntityError: there is no such run.
    """
    stream = streams.task_run(command.task_run)
    run = state.task_runs[stream]
    had_failed = command.function in run.failures and TASK_RUN.allows(run.status, CallbackRecovered)
    return [NewEvent(stream, CallbackRecovered(function=command.function))] if had_failed else []


def decide_resume_admission(state: DecisionState, command: ResumeAdmission) -> list[NewEvent]:
    """Give work to newcomers again; nothing if no function has failed since it last succeeded.

    Raises:
        UnknownEntityError: there is no such run.
        CommandRefusedError: the run has ended, or has no server yet.
    """
    stream = streams.task_run(command.task_run)
    run = state.task_runs[stream]
    if not TASK_RUN.allows(run.status, TaskRunAdmissionResumed):
        raise CommandRefusedError(f"run {command.task_run} is {run.status.value!r}: it admits nobody")
    changes = run.admission_paused_by is not None or run.failures
    return [NewEvent(stream, TaskRunAdmissionResumed(reason=command.reason))] if changes else []


def admission_paused_text(run: int, function: str) -> str:
    """Return the sentence that tells people why newcomers get no work, and the remedy."""
    return (
        f"admission is paused because {function} failed {FAILURES_IN_A_ROW} times in a row: fix it and resume the run, "
        f"or ask it again with `mephisto-es retry {run}`"
    )


def admission_problem(run: TaskRunState) -> str | None:
    """Return why newcomers get no work from a run, and the remedy; None if its code did not keep failing."""
    paused_by = run.admission_paused_by
    return None if paused_by is None else admission_paused_text(run.task_run, paused_by)
