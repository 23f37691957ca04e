"""A small run, on which decisions are made one by one."""

from __future__ import annotations

from typing import TypeVar

import pytest

from mephisto_es.core.commands.admission import Applicant, AssignUnit, StartOnboarding
from mephisto_es.core.commands.agent import SubmitOnboarding, SubmitUnit
from mephisto_es.core.commands.base import Command
from mephisto_es.core.commands.directory import CreateQualifications, RegisterWorker
from mephisto_es.core.commands.task_run import (
    AssignmentPlan,
    CreateAssignments,
    CreateRun,
    LaunchUnits,
    RecordRunEvent,
    UnitPlan,
)
from mephisto_es.core.decisions.registry import DECISIONS
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import ids
from mephisto_es.events.base import Event, PayloadRef
from mephisto_es.events.task_run import TaskRunCreated, TaskRunDeployed, TaskRunPrepared, TaskRunWentLive

RUN = ids.TaskRunId(1)
DATA = PayloadRef("0" * 64, 2)
PAY_CENTS = 10

T = TypeVar("T", bound=Event)


class SmallRun:
    """A live run whose commands are decided and applied at once.

    Attributes:
        state: the state after all of them.
    """

    def __init__(self) -> None:
        self.state = DecisionState()

    def execute(self, command: Command) -> list[Event]:
        """Decide on a command and apply its events; all or none."""
        events = DECISIONS[type(command)](self.state, command)
        self.state.check(events)
        for stream, event in events:
            self.state.evolve(stream, event)
        return [event for _, event in events]

    def open(
        self, *, budget_cents: int | None = None, allowed_concurrent: int = 0, maximum_units_per_worker: int = 0
    ) -> None:
        """Create the run and bring it live."""
        created = TaskRunCreated(
            task_run=RUN,
            task=ids.TaskId(1),
            requester=ids.RequesterId(1),
            blueprint_type="static_task",
            architect_type="local",
            provider_type="mock",
            config="{}",
            budget_cents=budget_cents,
            allowed_concurrent=allowed_concurrent,
            maximum_units_per_worker=maximum_units_per_worker,
        )
        self.execute(CreateRun(created=created, task_name="rating", requester_name="lab"))
        for event in (TaskRunPrepared(), TaskRunDeployed(url="http://localhost:3000"), TaskRunWentLive()):
            self.execute(RecordRunEvent(task_run=RUN, event=event))

    def offer(self, assignment: int, units: int = 1, pay_cents: int = PAY_CENTS) -> None:
        """Create an assignment and launch its units, which are numbered from ten times its number."""
        first = assignment * 10
        numbers = tuple(ids.UnitId(first + index) for index in range(units))
        plans = tuple(UnitPlan(unit, index, pay_cents) for index, unit in enumerate(numbers))
        plan = AssignmentPlan(ids.AssignmentId(assignment), assignment - 1, DATA, plans)
        self.execute(CreateAssignments(task_run=RUN, assignments=(plan,)))
        self.execute(LaunchUnits(task_run=RUN, units=numbers))

    def register(self, worker: int) -> ids.WorkerId:
        """Register a worker."""
        new = ids.WorkerId(worker)
        self.execute(RegisterWorker(worker=new, provider_type="mock", identity=f"identity {worker}", name=DATA))
        return new

    def qualification(self, number: int, name: str) -> ids.QualificationId:
        """Create a qualification."""
        new = ids.QualificationId(number)
        self.execute(CreateQualifications(qualifications={name: new}))
        return new

    def assign(self, worker: int, agent: int, *, concurrent: bool = False) -> list[Event]:
        """Let a worker ask for a unit."""
        applicant = Applicant(ids.WorkerId(worker), f"token {agent}", f"registration {agent}")
        return self.execute(
            AssignUnit(task_run=RUN, applicant=applicant, agent=ids.AgentId(agent), concurrent=concurrent)
        )

    def submit(self, agent: int) -> list[Event]:
        """Let an agent submit its work."""
        return self.execute(SubmitUnit(task_run=RUN, agent=ids.AgentId(agent), submission=DATA))

    def start_onboarding(self, worker: int, agent: int) -> list[Event]:
        """Let a worker begin its onboarding."""
        applicant = Applicant(ids.WorkerId(worker), f"onboarding_{agent}", f"onboarding registration {agent}")
        return self.execute(StartOnboarding(task_run=RUN, applicant=applicant, agent=ids.OnboardingAgentId(agent)))

    def submit_onboarding(self, agent: int) -> list[Event]:
        """Let a worker submit its onboarding."""
        return self.execute(
            SubmitOnboarding(task_run=RUN, agent=ids.OnboardingAgentId(agent), submission=DATA, request="r")
        )


def only(events: list[Event], kind: type[T]) -> T:
    """The one event of a kind."""
    (found,) = (event for event in events if isinstance(event, kind))
    return found


@pytest.fixture
def run() -> SmallRun:
    """A live run without a budget; two workers are registered."""
    small = SmallRun()
    small.open()
    for worker in range(1, 6):
        small.register(worker)
    return small
