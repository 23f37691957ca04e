"""The maximum of units per worker, which counts in all runs of a task."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from msgspec.structs import replace

from mephisto_es.core.commands.admission import Applicant, AssignUnit
from mephisto_es.core.commands.agent import EndAgent, SubmitUnit
from mephisto_es.core.commands.base import Command
from mephisto_es.core.commands.directory import RegisterWorker
from mephisto_es.core.commands.task_run import (
    AssignmentPlan,
    CreateAssignments,
    CreateRun,
    LaunchUnits,
    RecordRunEvent,
    UnitPlan,
)
from mephisto_es.core.decisions.assign_work import partitions_to_lock
from mephisto_es.core.decisions.registry import DECISIONS
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import AgentReturned
from mephisto_es.events.base import Event
from mephisto_es.events.engagement import RefusalReason, WorkerRefused
from mephisto_es.events.task_run import TaskRunCreated, TaskRunDeployed, TaskRunPrepared, TaskRunWentLive

from .conftest import DATA, PAY_CENTS

RUNS = 3
LIMIT = 2


class Task:
    """Several live runs of one task, whose operator may die after any event."""

    def __init__(self, *, workers: int, units: int, is_per_task: bool = True) -> None:
        self.state = DecisionState()
        self.history: list[tuple[str, Event]] = []
        self.agents = 0
        for worker in range(1, workers + 1):
            self.execute(
                RegisterWorker(worker=ids.WorkerId(worker), provider_type="mock", identity=f"w{worker}", name=DATA)
            )
        for run in range(1, RUNS + 1):
            self._open(ids.TaskRunId(run), units, is_per_task=is_per_task)

    def execute(self, command: Command) -> list[Event]:
        events = DECISIONS[type(command)](self.state, command)
        for stream, event in events:
            self.state.evolve(stream, event)
            self.history.append((stream, event))
        return [event for _, event in events]

    def crash(self) -> None:
        """Forget everything, and read the log again."""
        self.state = DecisionState()
        for stream, event in self.history:
            self.state.evolve(stream, event)

    def ask(self, run: int, worker: int) -> ids.AgentId | WorkerRefused:
        """Let a worker ask for a unit of a run."""
        self.agents += 1
        agent = ids.AgentId(self.agents)
        applicant = Applicant(ids.WorkerId(worker), f"token {agent}", f"registration {agent}")
        events = self.execute(
            AssignUnit(task_run=ids.TaskRunId(run), applicant=applicant, agent=agent, concurrent=False)
        )
        return events[-1] if isinstance(events[-1], WorkerRefused) else agent

    def submit(self, run: int, agent: ids.AgentId) -> None:
        self.execute(SubmitUnit(task_run=ids.TaskRunId(run), agent=agent, submission=DATA))

    def give_back(self, run: int, agent: ids.AgentId) -> None:
        returned = AgentReturned(reason="returned")
        self.execute(EndAgent(task_run=ids.TaskRunId(run), agent=agent, departure=returned, concurrent=False))

    def _open(self, run: ids.TaskRunId, units: int, *, is_per_task: bool) -> None:
        created = TaskRunCreated(
            task_run=run,
            task=ids.TaskId(run),
            requester=ids.RequesterId(run),
            blueprint_type="static_task",
            architect_type="local",
            provider_type="mock",
            config="{}",
            maximum_units_per_worker=LIMIT,
            maximum_is_per_task=is_per_task,
        )
        self.execute(CreateRun(created=created, task_name="rating", requester_name="lab"))
        for event in (TaskRunPrepared(), TaskRunDeployed(url="http://localhost:3000"), TaskRunWentLive()):
            self.execute(RecordRunEvent(task_run=run, event=event))
        numbers = tuple(ids.UnitId(run * 100_000 + number) for number in range(units))
        plans = tuple(
            AssignmentPlan(ids.AssignmentId(unit), number, DATA, (UnitPlan(unit, 0, PAY_CENTS),))
            for number, unit in enumerate(numbers)
        )
        self.execute(CreateAssignments(task_run=run, assignments=plans))
        self.execute(LaunchUnits(task_run=run, units=numbers))


def test_nobody_exceeds_the_limit_of_a_task_whatever_crashes() -> None:
    chance, workers = Random(14), 1000
    task = Task(workers=workers, units=workers)
    for moment in range(RUNS):
        for worker in range(1, workers + 1):
            for run in chance.choices(range(1, RUNS + 1), k=2):
                agent = task.ask(run, worker)
                if not isinstance(agent, WorkerRefused) and chance.random() < 0.8:
                    task.submit(run, agent) if chance.random() < 0.9 else task.give_back(run, agent)
        if moment < RUNS - 1:
            task.crash()
    has: Counter[int] = Counter()
    for engagement in task.state.engagements.values():
        has[engagement.worker] += engagement.counted
    assert len(has) == workers
    assert max(has.values()) == LIMIT
    assert Counter(has.values())[LIMIT] > workers * 0.9


@pytest.mark.parametrize(("is_per_task", "refused"), [(True, True), (False, False)])
def test_the_limit_counts_in_the_task_or_by_choice_in_the_run(is_per_task: bool, refused: bool) -> None:
    task = Task(workers=1, units=3, is_per_task=is_per_task)
    for run in (1, 2):
        agent = task.ask(run, 1)
        assert not isinstance(agent, WorkerRefused)
        task.submit(run, agent)
    outcome = task.ask(3, 1)
    assert isinstance(outcome, WorkerRefused) == refused
    if isinstance(outcome, WorkerRefused):
        assert outcome.rule == "maximum_units_per_worker"
        assert outcome.inputs == {"limit": LIMIT, "has": 2}
        assert outcome.reason is RefusalReason.MAX_FOR_TASK


def test_work_that_was_returned_does_not_count() -> None:
    task = Task(workers=1, units=3)
    for run in (1, 2, 3):
        agent = task.ask(run, 1)
        assert not isinstance(agent, WorkerRefused)
        task.give_back(run, agent)
    assert task.state.counted_units(ids.TaskRunId(1), ids.WorkerId(1)) == 0
    assert not isinstance(task.ask(1, 1), WorkerRefused)


def test_a_command_names_the_runs_whose_units_it_counts() -> None:
    applicant = Applicant(ids.WorkerId(1), "token", "registration")
    alone = AssignUnit(task_run=ids.TaskRunId(2), applicant=applicant, agent=ids.AgentId(1), concurrent=False)
    assert alone.partitions == (streams.partition_of_run(ids.TaskRunId(2)),)
    counted = AssignUnit(
        task_run=ids.TaskRunId(2),
        applicant=applicant,
        agent=ids.AgentId(1),
        concurrent=False,
        counted_runs=(ids.TaskRunId(3), ids.TaskRunId(1)),
    )
    runs = tuple(streams.partition_of_run(ids.TaskRunId(run)) for run in (1, 2, 3))
    assert counted.partitions == (streams.DIRECTORY, *runs)


@pytest.mark.parametrize("is_per_task", [True, False])
def test_work_is_given_out_in_one_run_at_a_time_only_if_the_maximum_is_over_all_of_them(is_per_task: bool) -> None:
    task = Task(workers=1, units=1, is_per_task=is_per_task)
    applicant = Applicant(ids.WorkerId(1), "token", "registration")
    command = AssignUnit(task_run=ids.TaskRunId(1), applicant=applicant, agent=ids.AgentId(1), concurrent=False)
    locked = partitions_to_lock(task.state, command)
    assert (streams.DIRECTORY in locked) is is_per_task
    assert set(command.partitions) <= set(locked)
    unknown = replace(command, task_run=ids.TaskRunId(99))
    assert partitions_to_lock(task.state, unknown) == unknown.partitions
    launch = LaunchUnits(task_run=ids.TaskRunId(1), units=())
    assert partitions_to_lock(task.state, launch) == launch.partitions
