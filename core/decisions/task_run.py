"""Decides on a run as a whole: its creation, pause, end, extension, and its admission when its code fails."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from ...events import streams
from ...events.ids import TaskRunId
from ...events.records import RequesterRegistered, TaskRegistered
from ...events.task_run import (
    CallbackFailed,
    CallbackRecovered,
    TaskRunAdmissionPaused,
    TaskRunAdmissionResumed,
    TaskRunBudgetChanged,
    TaskRunCompleted,
    TaskRunDataAdded,
    TaskRunDataExhausted,
    TaskRunDraining,
    TaskRunPaused,
    TaskRunReopened,
    TaskRunStopping,
    TaskRunUnitsRaised,
)
from ...events.unit import UnitCreated, UnitReopened
from ..commands.task_run import (
    AddUnits,
    CompleteRun,
    CreateRun,
    DrainRun,
    ExhaustData,
    ExtendRun,
    PauseRun,
    RecordCallbackFailure,
    RecordCallbackRecovery,
    ReopenRun,
    ResumeAdmission,
    SeenRun,
    StopRun,
)
from ..errors import CommandRefusedError, RunExistsError
from ..lifecycles.task_run import ENDED_RUN_STATUSES, GIVING_RUN_STATUSES, TASK_RUN, TaskRunState, TaskRunStatus
from ..lifecycles.unit import UnitStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState
from ..state.run_index import RunIndex
from .directory import put_in_project

#: Failures in a row of one function of the task after which newcomers get no more work.
FAILURES_IN_A_ROW = 3


def decide_create_run(state: DecisionState, command: CreateRun) -> list[NewEvent]:
    """Create a run, and register its task and requester if their names are new.

    Raises:
        RunExistsError: the task has a run that the launcher does not know.
        CommandRefusedError: the project's name is no name for a project.
    """
    proposed = command.created
    known_task = state.tasks_by_name.get(command.task_name)
    if command.known_runs is not None and len(state.runs_of(command.task_name)) > command.known_runs:
        raise RunExistsError(command.task_name)
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
    if command.project is not None:
        events += put_in_project(state, created.task, command.project.name, command.project.new)
    return events


def decide_stop_run(state: DecisionState, command: StopRun) -> list[NewEvent]:
    """Give out no more work; nothing if the run is not live, is stopping like that already, or was changed meanwhile.

    Raises:
        UnknownEntityError: there is no such run.
    """
    stream = streams.task_run(command.task_run)
    run = state.task_runs[stream]
    hurries = run.status is TaskRunStatus.STOPPING and command.at_once and not run.ends_at_once
    if run.status is not TaskRunStatus.LIVE and not hurries:
        return []
    if command.seen not in (None, seen_run(state, command.task_run)):
        return []
    return [NewEvent(stream, TaskRunStopping(reason=command.reason, at_once=command.at_once))]


def seen_run(state: DecisionState, run: TaskRunId) -> SeenRun:
    """Return what a run's operator sees of it now."""
    return SeenRun(state.version(streams.task_run(run)), len(state.runs[run].settled))


def decide_pause_run(state: DecisionState, command: PauseRun) -> list[NewEvent]:
    """Record that the operator leaves a run; nothing if the run is not under way.

    Raises:
        UnknownEntityError: there is no such run.
    """
    stream = streams.task_run(command.task_run)
    status = state.task_runs[stream].status
    pauses = status is TaskRunStatus.LIVE if command.only_live else TASK_RUN.allows(status, TaskRunPaused)
    return [NewEvent(stream, TaskRunPaused(reason=command.reason))] if pauses else []


def decide_drain_run(state: DecisionState, command: DrainRun) -> list[NewEvent]:
    """Record that a run waits for the people at work before it is paused; nothing if it is not live, or does already.

    Raises:
        UnknownEntityError: there is no such run.
    """
    stream = streams.task_run(command.task_run)
    run = state.task_runs[stream]
    drains = run.status is TaskRunStatus.LIVE and run.draining is None
    return [NewEvent(stream, TaskRunDraining(reason=command.reason))] if drains else []


def decide_reopen_run(state: DecisionState, command: ReopenRun) -> list[NewEvent]:
    """Put the expired units of an ended run back.

    Units that evaluate a worker stay expired. So do those of an assignment of which a part is done, unless its units
    are done separately: nobody could do the rest together with the others.

    Raises:
        UnknownEntityError: there is no such run.
        IllegalStepError: the run has not ended.
        CommandRefusedError: the run has no unit to put back, and its data has been read to the end.
    """
    run = command.task_run
    events = reopening_events(state, run, command.reason, partial=command.partial)
    if len(events) == 1 and state.task_runs[streams.task_run(run)].assignments is not None:
        raise CommandRefusedError(f"run {run} has no unit that could be put back: all its work is done")
    return events


def reopening_events(state: DecisionState, run: TaskRunId, reason: str, *, partial: bool) -> list[NewEvent]:
    """Return the events that reopen an ended run, and those of its expired units that can be done.

    Raises:
        UnknownEntityError: there is no such run.
        IllegalStepError: the run has not ended.
    """
    stream, index = streams.task_run(run), state.runs[run]
    TASK_RUN.after(state.task_runs[stream].status, TaskRunReopened(reason=reason), stream)
    events = [NewEvent(stream, TaskRunReopened(reason=reason))]
    for numbers in index.units_of.values():
        units = [state.units[streams.unit(run, number)] for number in numbers]
        expired = [unit for unit in units if unit.status is UnitStatus.EXPIRED and unit.index >= 0]
        if partial or len(expired) == len(units):
            events += [NewEvent(streams.unit(run, unit.unit), UnitReopened(reason=reason)) for unit in expired]
    return events


def decide_extend_run(state: DecisionState, command: ExtendRun) -> list[NewEvent]:
    """Give a run more to do, or more to spend. An ended run that gets more to do is reopened: it waits to be resumed.

    Raises:
        UnknownEntityError: there is no such run.
        CommandRefusedError: there is nothing to change, the run has no server yet or is stopping, each assignment has
            as many units already, or the new budget does not cover what is owed and reserved.
    """
    run, index = state.task_runs[streams.task_run(command.task_run)], state.runs[command.task_run]
    stream = streams.task_run(command.task_run)
    events: list[NewEvent] = []
    if command.changes_budget:
        events.append(NewEvent(stream, _budget_changed(run, index, command.budget_cents)))
    if command.items is not None:
        added = TaskRunDataAdded(items=command.items.count, data=command.items.data)
        events.append(NewEvent(stream, added))
    if command.units_per_assignment is not None:
        events.append(NewEvent(stream, _units_raised(run, index, command.units_per_assignment)))
    if not events:
        raise CommandRefusedError("nothing to change: give data, units per assignment, or a budget")
    gives_work = command.items is not None or command.units_per_assignment is not None
    if gives_work and run.status in ENDED_RUN_STATUSES:
        return [*reopening_events(state, run.task_run, command.reason, partial=False), *events]
    if not all(TASK_RUN.allows(run.status, type(event)) for _, event in events):
        when = "once it has ended" if run.status is TaskRunStatus.STOPPING else "once it is live"
        raise CommandRefusedError(f"run {run.task_run} is {run.status.value!r}: it can be extended {when}")
    return events


def _budget_changed(run: TaskRunState, index: RunIndex, budget_cents: int | None) -> TaskRunBudgetChanged:
    """Return the event of a new budget.

    Raises:
        CommandRefusedError: it does not cover what is owed and reserved, or is what the run has.
    """
    budget = index.budget
    if budget_cents == budget.limit_cents:
        raise CommandRefusedError(f"run {run.task_run} has this budget already")
    needed = budget.committed_cents + budget.reserved_cents
    if budget_cents is not None and budget_cents < needed:
        raise CommandRefusedError(
            f"a budget of {budget_cents} cents does not cover run {run.task_run}: {budget.committed_cents} cents are "
            f"owed, and {budget.reserved_cents} are reserved for units on offer or in work"
        )
    return TaskRunBudgetChanged(budget_cents=budget_cents)


def _units_raised(run: TaskRunState, index: RunIndex, units_per_assignment: int) -> TaskRunUnitsRaised:
    """Return the event of more units for each assignment.

    Raises:
        CommandRefusedError: each assignment has as many already.
    """
    most = max((len(index.units_of[one]) for one in index.assignments), default=0)
    present = max(most, run.units_per_assignment)
    if units_per_assignment <= present:
        raise CommandRefusedError(
            f"run {run.task_run} has {present} units per assignment already; units can be added, but not taken away"
        )
    return TaskRunUnitsRaised(units_per_assignment=units_per_assignment)


def decide_exhaust_data(state: DecisionState, command: ExhaustData) -> list[NewEvent]:
    """Record that the data has no more items; nothing if that is known, or if items were added meanwhile.

    Raises:
        UnknownEntityError: there is no such run.
    """
    stream = streams.task_run(command.task_run)
    run = state.task_runs[stream]
    if run.assignments is not None or len(run.added) != command.additions:
        return []
    return [NewEvent(stream, TaskRunDataExhausted(assignments=command.assignments))]


def decide_add_units(state: DecisionState, command: AddUnits) -> list[NewEvent]:
    """Create further units of assignments, none of which is on offer yet; nothing if the run is not live.

    Raises:
        UnknownEntityError: there is no such run.
    """
    run = command.task_run
    if state.task_runs[streams.task_run(run)].status is not TaskRunStatus.LIVE:
        return []
    units_of = state.runs[run].units_of
    return [
        NewEvent(
            streams.unit(run, added.unit.unit),
            UnitCreated(
                unit=added.unit.unit,
                assignment=added.assignment,
                index=added.unit.unit_index,
                pay_cents=added.unit.pay_cents,
            ),
        )
        for added in command.further
        if added.assignment in units_of and added.unit.unit_index >= len(units_of[added.assignment])
    ]


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


def resume_advice(given_by_script: Collection[str], run: int | None = None) -> str:
    """Return how to continue a run that is paused, as the end of a sentence about it.

    Args:
        given_by_script: names of what the run's launch script passed, as recorded when the run was created.
        run: the run; None if it is the only one in the log.
    """
    if not given_by_script:
        return f"`mephisto-es resume{'' if run is None else f' {run}'}` continues it"
    return "start its launch script again with mephisto.task.resume_incomplete_run=true to continue it"


def check_pause(run: int, status: TaskRunStatus, *, waits: bool) -> bool:
    """Check that a run can be paused; return False if it is paused already.

    Args:
        run: the run.
        status: its status.
        waits: wait for the people at work first.

    Raises:
        CommandRefusedError: it has ended, or is ending and nothing would come of the wait.
    """
    if status in ENDED_RUN_STATUSES:
        raise CommandRefusedError(f"run {run} has ended: there is nothing to pause")
    if waits and status is TaskRunStatus.STOPPING:
        raise CommandRefusedError(
            f"run {run} is ending already, and gives out no more work: `mephisto-es pause {run} --now` leaves it to be "
            f"resumed, `mephisto-es end {run} --now` does not wait for the people at work"
        )
    return status is not TaskRunStatus.PAUSED


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


def offer_paused_text(run: int) -> str:
    """Return the sentence that tells people that nobody is admitted at the provider's site, and the remedy."""
    return (
        "the offer was paused at the provider's site, by a person or by the site itself: see why there, "
        f"then start it again with `mephisto-es reconcile {run} --start-offer`"
    )
