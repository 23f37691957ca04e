"""Decides on a run as a whole: creates, stops and completes it."""

from __future__ import annotations

from msgspec.structs import replace

from ...events import streams
from ...events.records import RequesterRegistered, TaskRegistered
from ...events.task_run import TaskRunCompleted, TaskRunPaused, TaskRunReopened, TaskRunStopping
from ...events.unit import UnitReopened
from ..commands.task_run import CompleteRun, CreateRun, PauseRun, ReopenRun, StopRun
from ..errors import CommandRefusedError
from ..lifecycles.task_run import TASK_RUN, TaskRunStatus
from ..lifecycles.unit import UnitStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState


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
