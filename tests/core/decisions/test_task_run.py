"""A run is created, given data, stopped, paused and completed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mephisto_es.core.commands.agent import AgentDeparture, EndAgent, ReleaseWork
from mephisto_es.core.commands.task_run import (
    AssignmentPlan,
    CompleteRun,
    CreateAssignments,
    CreateRun,
    DrainRun,
    ExpireUnits,
    LaunchUnits,
    PauseRun,
    ProjectPlan,
    RecordCallbackFailure,
    RecordResource,
    RecordRunEvent,
    ReopenRun,
    RepeatAssignment,
    StopRun,
    UnitPlan,
)
from mephisto_es.core.decisions.launch_work import original_of, wants_repeat
from mephisto_es.core.decisions.task_run import admission_problem, check_pause, resume_advice
from mephisto_es.core.errors import CommandRefusedError, IllegalStepError, RunExistsError, UnknownEntityError
from mephisto_es.core.lifecycles.task_run import TaskRunStatus
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import AgentDisconnected, AgentExpired, AgentReturned, AgentTimedOut
from mephisto_es.events.assignment import AssignmentCreated
from mephisto_es.events.records import (
    ProjectCreated,
    RequesterRegistered,
    TaskPutInProject,
    TaskRegistered,
)
from mephisto_es.events.resource import ResourceIntended, ResourceReleased
from mephisto_es.events.task_run import (
    CallbackFailed,
    TaskRunCompleted,
    TaskRunCreated,
    TaskRunDataExhausted,
    TaskRunDraining,
    TaskRunPaused,
    TaskRunReopened,
    TaskRunStopping,
)
from mephisto_es.events.unit import UnitCreated, UnitExpired, UnitLaunched, UnitReopened

from .conftest import DATA, PAY_CENTS, RUN, SmallRun, only

CREATED = TaskRunCreated(
    task_run=ids.TaskRunId(2),
    task=ids.TaskId(2),
    requester=ids.RequesterId(2),
    blueprint_type="static_task",
    architect_type="local",
    provider_type="mock",
    config="{}",
)
GONE = AgentTimedOut(reason="gone")
FIRST = ids.AssignmentId(1)


def plan(assignment: int, number: int, units: int) -> AssignmentPlan:
    made = tuple(UnitPlan(ids.UnitId(assignment * 10 + index), index, PAY_CENTS) for index in range(units))
    return AssignmentPlan(ids.AssignmentId(assignment), number, DATA, made)


def repeat(assignment: int, again: int, max_repeats: int = 1) -> RepeatAssignment:
    return RepeatAssignment(
        task_run=RUN, assignment=ids.AssignmentId(assignment), plan=plan(again, 0, 2), max_repeats=max_repeats
    )


def leave_a_group(run: SmallRun, assignment: int, agents: tuple[int, int]) -> None:
    """Start a group of two, of which the first leaves and the second submits."""
    run.assign(1, agent=agents[0], concurrent=True)
    run.assign(2, agent=agents[1], concurrent=True)
    first = ids.AgentId(agents[0])
    run.execute(EndAgent(task_run=RUN, agent=first, departure=GONE, concurrent=True))
    run.submit(agents[1])


def test_a_run_registers_task_and_requester_that_are_new(run: SmallRun) -> None:
    command = CreateRun(created=CREATED, task_name="chatting", requester_name="us")
    assert run.execute(command) == [
        TaskRegistered(task=ids.TaskId(2), name="chatting", task_type="static_task"),
        RequesterRegistered(requester=ids.RequesterId(2), name="us", provider_type="mock"),
        CREATED,
    ]


def test_a_run_takes_task_and_requester_that_are_known(run: SmallRun) -> None:
    command = CreateRun(created=CREATED, task_name="rating", requester_name="lab")
    assert run.execute(command) == [replace(CREATED, task=ids.TaskId(1), requester=ids.RequesterId(1))]


def test_a_run_is_not_created_if_its_launcher_does_not_know_the_last_one(run: SmallRun) -> None:
    def create(number: int, known_runs: int | None) -> CreateRun:
        created = replace(CREATED, task_run=ids.TaskRunId(number))
        return CreateRun(created=created, task_name="rating", requester_name="lab", known_runs=known_runs)

    with pytest.raises(RunExistsError, match="another operator has launched a run of 'rating'"):
        run.execute(create(2, known_runs=0))
    assert len(run.execute(create(2, known_runs=1))) == 1
    assert len(run.execute(create(3, known_runs=None))) == 1
    new_task = CreateRun(
        created=replace(CREATED, task_run=ids.TaskRunId(4)), task_name="new", requester_name="lab", known_runs=0
    )
    assert len(run.execute(new_task)) == 2


def test_a_run_puts_its_task_in_a_project(run: SmallRun) -> None:
    first = CreateRun(
        created=CREATED, task_name="chatting", requester_name="lab", project=ProjectPlan("speech", ids.ProjectId(3))
    )
    project = ProjectCreated(project=ids.ProjectId(3), name="speech")
    put = TaskPutInProject(project=ids.ProjectId(3))
    assert run.execute(first)[-2:] == [project, put]
    known = replace(CREATED, task=ids.TaskId(1), requester=ids.RequesterId(1))
    again = ProjectPlan("speech", ids.ProjectId(4))
    for number, expected in ((8, [put]), (9, [])):
        created = replace(known, task_run=ids.TaskRunId(number))
        command = CreateRun(created=created, task_name="rating", requester_name="lab", project=again)
        assert run.execute(command) == [created, *expected]


def test_a_run_is_stopped_once_and_completed_once_nothing_is_open(run: SmallRun) -> None:
    run.offer(1)
    stopping = TaskRunStopping(reason="enough")
    assert run.execute(StopRun(task_run=RUN, reason="enough")) == [stopping]
    assert run.execute(StopRun(task_run=RUN, reason="enough")) == []
    at_once = StopRun(task_run=RUN, reason="too slow", at_once=True)
    assert run.execute(at_once) == [TaskRunStopping(reason="too slow", at_once=True)]
    assert run.execute(at_once) == []
    with pytest.raises(CommandRefusedError, match="run 1 is not done: 1 units are open, 0 agents and 0 onboardings"):
        run.execute(CompleteRun(task_run=RUN))
    run.execute(ExpireUnits(task_run=RUN, units=(ids.UnitId(10),), reason="enough"))
    assert run.execute(CompleteRun(task_run=RUN)) == [TaskRunCompleted()]
    with pytest.raises(IllegalStepError):
        run.execute(CompleteRun(task_run=RUN))


def test_a_run_is_paused_while_it_is_under_way(run: SmallRun) -> None:
    run.offer(1)
    assert run.execute(PauseRun(task_run=RUN, reason="signal")) == [TaskRunPaused(reason="signal")]
    assert run.execute(PauseRun(task_run=RUN, reason="signal")) == []


def test_a_guest_pauses_a_run_only_while_it_is_live(run: SmallRun) -> None:
    pause = PauseRun(task_run=RUN, reason="night", only_live=True)
    assert run.execute(pause) == [TaskRunPaused(reason="night")]
    assert run.execute(pause) == []


def test_a_guest_does_not_pause_a_run_that_ends(run: SmallRun) -> None:
    run.execute(StopRun(task_run=RUN, reason="enough"))
    assert run.execute(PauseRun(task_run=RUN, reason="night", only_live=True)) == []


def test_a_run_says_once_that_it_waits_before_it_is_paused(run: SmallRun) -> None:
    drain = DrainRun(task_run=RUN, reason="night")
    assert run.execute(drain) == [TaskRunDraining(reason="night")]
    assert run.execute(drain) == []
    run.execute(PauseRun(task_run=RUN, reason="night"))
    assert run.state.task_runs[streams.task_run(RUN)].draining is None
    assert run.execute(drain) == []


def end(run: SmallRun) -> None:
    """Stop the run, expire what is open, and complete it."""
    run.execute(StopRun(task_run=RUN, reason="enough"))
    units = tuple(sorted(run.state.runs[RUN].open_units))
    run.execute(ExpireUnits(task_run=RUN, units=units, reason="enough"))
    run.execute(CompleteRun(task_run=RUN))


def test_an_ended_run_is_reopened_with_its_expired_units(run: SmallRun) -> None:
    run.offer(1)
    run.offer(2)
    reopen = ReopenRun(task_run=RUN, reason="more")
    with pytest.raises(IllegalStepError, match="run-1 is 'live'"):
        run.execute(reopen)
    run.assign(1, agent=1)
    run.submit(1)
    end(run)
    assert run.execute(reopen) == [TaskRunReopened(reason="more"), UnitReopened(reason="more")]
    assert run.state.runs[RUN].open_units == {20}


def test_a_part_of_a_group_is_not_reopened(run: SmallRun) -> None:
    run.offer(1, units=2)
    leave_a_group(run, 1, (1, 2))
    run.execute(RecordRunEvent(task_run=RUN, event=TaskRunDataExhausted(assignments=1)))
    end(run)
    with pytest.raises(CommandRefusedError, match="run 1 has no unit that could be put back"):
        run.execute(ReopenRun(task_run=RUN, reason="more"))


def test_a_run_that_does_not_exist_is_refused() -> None:
    run = SmallRun()
    for command in (
        StopRun(task_run=RUN, reason="why"),
        PauseRun(task_run=RUN, reason="why"),
        ReopenRun(task_run=RUN, reason="why"),
        CompleteRun(task_run=RUN),
        LaunchUnits(task_run=RUN, units=()),
        CreateAssignments(task_run=RUN, assignments=()),
    ):
        with pytest.raises(UnknownEntityError, match="run-1"):
            run.execute(command)
    assert run.state.runs == {}


def test_assignments_are_created_while_the_run_is_live(run: SmallRun) -> None:
    command = CreateAssignments(task_run=RUN, assignments=(plan(1, 0, 2),))
    assert [type(event) for event in run.execute(command)] == [AssignmentCreated, UnitCreated, UnitCreated]
    run.execute(StopRun(task_run=RUN, reason="enough"))
    assert run.execute(CreateAssignments(task_run=RUN, assignments=(plan(2, 1, 1),))) == []


def test_units_are_launched_once_and_as_far_as_the_budget_goes() -> None:
    run = SmallRun()
    run.open(budget_cents=3 * PAY_CENTS)
    run.execute(CreateAssignments(task_run=RUN, assignments=(plan(1, 0, 2), plan(2, 1, 2))))
    units = tuple(ids.UnitId(number) for number in (10, 11, 20, 21))
    assert run.execute(LaunchUnits(task_run=RUN, units=units)) == [UnitLaunched()] * 2
    assert run.execute(LaunchUnits(task_run=RUN, units=units)) == []


def test_only_units_that_nobody_works_on_expire(run: SmallRun) -> None:
    run.offer(1)
    run.offer(2)
    run.assign(1, agent=1)
    units = (ids.UnitId(10), ids.UnitId(20))
    assert run.execute(ExpireUnits(task_run=RUN, units=units, reason="over")) == [UnitExpired(reason="over")]
    assert run.execute(ExpireUnits(task_run=RUN, units=units, reason="over")) == []


def test_an_assignment_that_a_worker_left_is_repeated_as_often_as_allowed(run: SmallRun) -> None:
    run.offer(1, units=2)
    assert run.execute(repeat(1, again=3)) == []
    leave_a_group(run, 1, (1, 2))
    events = run.execute(repeat(1, again=3))
    assert only(events, AssignmentCreated).number == 0
    assert run.state.runs[RUN].repeats == {3: 1}
    assert run.execute(repeat(1, again=4, max_repeats=5)) == []
    run.execute(LaunchUnits(task_run=RUN, units=(ids.UnitId(30), ids.UnitId(31))))
    for worker in (3, 4):
        run.register(worker)
    run.assign(3, agent=3, concurrent=True)
    run.assign(4, agent=4, concurrent=True)
    run.execute(EndAgent(task_run=RUN, agent=ids.AgentId(3), departure=GONE, concurrent=True))
    assert run.execute(repeat(3, again=5, max_repeats=1)) == []
    assert run.execute(repeat(3, again=5, max_repeats=2))
    assert original_of(run.state, RUN, ids.AssignmentId(5)).assignment == FIRST


@pytest.mark.parametrize(
    ("departure", "is_repeated"),
    [
        (AgentTimedOut(reason="gone"), True),
        (AgentReturned(reason="gone"), True),
        (AgentDisconnected(reason="gone"), True),
        (AgentExpired(reason="taken away"), False),
    ],
)
def test_an_assignment_is_repeated_for_those_whose_partner_left_by_itself(
    run: SmallRun, departure: AgentDeparture, is_repeated: bool
) -> None:
    run.offer(1, units=2)
    run.assign(1, agent=1, concurrent=True)
    run.assign(2, agent=2, concurrent=True)
    run.execute(EndAgent(task_run=RUN, agent=ids.AgentId(1), departure=departure, concurrent=True))
    assert wants_repeat(run.state, RUN, FIRST, max_repeats=1) is is_repeated


@pytest.mark.parametrize("is_too_late", [True, False])
def test_an_assignment_whose_code_failed_is_repeated_if_its_units_are_not_offered_again(
    run: SmallRun, is_too_late: bool
) -> None:
    run.offer(1, units=2)
    agents = (ids.AgentId(1), ids.AgentId(2))
    for agent in agents:
        run.assign(int(agent), agent=int(agent), concurrent=True)
    failure = CallbackFailed(
        function="run_assignment", error="raised ValueError", location="run_task.py:12", assignment=FIRST, agents=agents
    )
    run.execute(RecordCallbackFailure(task_run=RUN, failure=failure))
    if is_too_late:
        run.submit(2)
    run.execute(ReleaseWork(task_run=RUN, agents=agents, reason="the code failed", concurrent=True))
    assert wants_repeat(run.state, RUN, FIRST, max_repeats=1) is is_too_late


def test_an_assignment_for_one_worker_is_not_repeated(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    run.execute(EndAgent(task_run=RUN, agent=ids.AgentId(1), departure=GONE, concurrent=True))
    assert not wants_repeat(run.state, RUN, FIRST, max_repeats=5)


def test_the_original_of_nothing_is_unknown(run: SmallRun) -> None:
    with pytest.raises(UnknownEntityError, match="assignment-9"):
        original_of(run.state, RUN, ids.AssignmentId(9))


def test_outside_resources_are_recorded_with_their_run(run: SmallRun) -> None:
    intended = ResourceIntended(resource_type="local_router", details={"port": 3000})
    assert run.execute(RecordResource(task_run=RUN, number=1, event=intended)) == [intended]
    assert list(run.state.resources) == [streams.resource(RUN, 1)]
    with pytest.raises(IllegalStepError, match="resource-2"):
        run.execute(RecordResource(task_run=RUN, number=2, event=ResourceReleased(reason="none")))


def test_an_illegal_event_of_a_run_is_refused(run: SmallRun) -> None:
    with pytest.raises(IllegalStepError, match="run-1 is 'live'"):
        run.execute(RecordRunEvent(task_run=RUN, event=TaskRunCompleted()))


def test_a_failure_of_code_that_comes_after_the_end_is_not_recorded(run: SmallRun) -> None:
    run.execute(StopRun(task_run=RUN, reason="enough"))
    run.execute(CompleteRun(task_run=RUN))
    failure = CallbackFailed(function="on_unit_submitted", error="raised ValueError", location="run_task.py:12")
    assert run.execute(RecordCallbackFailure(task_run=RUN, failure=failure)) == []


def test_a_paused_admission_names_the_function_and_the_remedy(run: SmallRun) -> None:
    state = run.state.task_runs[streams.task_run(RUN)]
    assert admission_problem(state) is None
    problem = admission_problem(replace(state, admission_paused_by="validate_onboarding"))
    assert problem is not None
    assert "validate_onboarding failed 3 times in a row" in problem
    assert f"mephisto-es retry {RUN}" in problem


def test_a_run_is_resumed_by_what_passed_its_data() -> None:
    assert resume_advice(()) == "`mephisto-es resume` continues it"
    assert resume_advice((), RUN) == f"`mephisto-es resume {RUN}` continues it"
    assert resume_advice(["assignment_data"], RUN).startswith("start its launch script again with ")


def test_a_run_that_is_ending_does_not_wait_to_be_paused() -> None:
    assert check_pause(7, TaskRunStatus.LIVE, waits=True)
    assert check_pause(7, TaskRunStatus.STOPPING, waits=False)
    assert not check_pause(7, TaskRunStatus.PAUSED, waits=True)
    with pytest.raises(CommandRefusedError, match="run 7 has ended: there is nothing to pause"):
        check_pause(7, TaskRunStatus.COMPLETED, waits=True)
    with pytest.raises(CommandRefusedError, match="`mephisto-es pause 7 --now` leaves it"):
        check_pause(7, TaskRunStatus.STOPPING, waits=True)
