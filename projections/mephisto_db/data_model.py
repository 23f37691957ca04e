"""Mephisto's data model: rows that can look up the rows they belong to.

The values of a row are those at the time it was read. Methods query the database each time they are called. Nothing
here writes; use `Reviewer` for verdicts and workers, and `Directory` for names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Protocol

from ...core.abstractions.work_data import AgentState, InitializationData
from ...core.lifecycles.unit import UnitStatus
from ...core.lifecycles.worker import WorkerStatus
from ...core.payloads import agent_files_dir
from ...events.ids import TaskId, TaskRunId, WorkerId
from ..engine.lazy_import import lazy_import
from . import rows
from .decisions import AgentDecisions, WorkerDecisions
from .entity import Entity as Entity
from .queries import JsonValue, MephistoQueries
from .work_reader import read_onboarding_state, read_state

if TYPE_CHECKING:
    from omegaconf import DictConfig

_omegaconf = lazy_import("omegaconf")

#: Statuses that an assignment takes from any one of its units, the first match first.
_UNFINISHED = (UnitStatus.CREATED, UnitStatus.LAUNCHED, UnitStatus.ASSIGNED, UnitStatus.COMPLETED)
MIXED = "mixed"
#: The statuses of an assignment.
ASSIGNMENT_STATUSES = (*(status.value for status in UnitStatus), MIXED)
#: Statuses of units that were paid for, or may have to be.
PAYABLE_UNIT_STATUSES = frozenset(
    status.value
    for status in (
        UnitStatus.LAUNCHED,
        UnitStatus.ASSIGNED,
        UnitStatus.COMPLETED,
        UnitStatus.ACCEPTED,
        UnitStatus.SOFT_REJECTED,
    )
)


class _InRun(Protocol):
    """The columns that lead to a run and its task."""

    @property
    def db(self) -> MephistoQueries: ...

    @property
    def task_run_id(self) -> TaskRunId: ...

    @property
    def task_id(self) -> TaskId: ...


class _AgentColumns(_InRun, Protocol):
    """The columns that agents and onboarding agents share."""

    @property
    def worker_id(self) -> WorkerId: ...

    @property
    def status(self) -> str: ...


class RunMember(Entity, frozen=True):
    """An entity that belongs to a run."""

    def get_task_run(self: _InRun) -> TaskRunView:
        """Return its run."""
        return self.db.get(TaskRunView, self.task_run_id)

    def get_task(self: _InRun) -> TaskView:
        """Return its task."""
        return self.db.get(TaskView, self.task_id)


class WorkerInRun(RunMember, frozen=True):
    """A worker in a run, as an agent or an onboarding agent."""

    @property
    def db_status(self: _AgentColumns) -> str:
        """The status at the time the row was read."""
        return self.status

    def get_worker(self: _AgentColumns) -> WorkerView:
        """Return the worker."""
        return self.db.get(WorkerView, self.worker_id)


class ProjectView(Entity, rows.ProjectRow, frozen=True, gc=True, dict=True):
    """A group of tasks."""

    def get_tasks(self) -> list[TaskView]:
        """Return its tasks, oldest first."""
        return self.db.find(TaskView, project_id=self.project_id)

    def get_total_spend(self) -> float:
        """Return the cost of the units of its tasks in whole currency; see `TaskRunView.get_total_spend`."""
        return _cost(
            (unit for task in self.get_tasks() for unit in self.db.find(UnitView, task_id=task.task_id)),
            PAYABLE_UNIT_STATUSES,
        )


class TaskView(Entity, rows.TaskRow, frozen=True, gc=True, dict=True):
    """A kind of work, identified by its name."""

    def get_project(self) -> ProjectView | None:
        """Return the project that it is in, or None."""
        project = self.db.get(TaskView, self.task_id).project_id
        return None if project is None else self.db.get(ProjectView, project)

    def get_runs(self) -> list[TaskRunView]:
        """Return its runs, oldest first."""
        return self.db.find(TaskRunView, task_id=self.task_id)

    def get_assignments(self) -> list[AssignmentView]:
        """Return the assignments of all its runs."""
        return self.db.find(AssignmentView, task_id=self.task_id)

    def get_total_spend(self) -> float:
        """Return the cost of its units in whole currency; see `TaskRunView.get_total_spend`."""
        return _cost(self.db.find(UnitView, task_id=self.task_id), PAYABLE_UNIT_STATUSES)


class RequesterView(Entity, rows.RequesterRow, frozen=True, gc=True, dict=True):
    """An account at a crowd provider."""

    def get_task_runs(self) -> list[TaskRunView]:
        """Return the runs launched under this account."""
        return self.db.find(TaskRunView, requester_id=self.requester_id)

    def get_total_spend(self) -> float:
        """Return the cost of the units of its runs in whole currency; see `TaskRunView.get_total_spend`."""
        return _cost(self.db.find(UnitView, requester_id=self.requester_id), PAYABLE_UNIT_STATUSES)


class TaskRunView(Entity, rows.TaskRunRow, frozen=True, gc=True, dict=True):
    """One launch of a task with one configuration."""

    def get_task(self) -> TaskView:
        """Return its task."""
        return self.db.get(TaskView, self.task_id)

    def get_requester(self) -> RequesterView:
        """Return the account that offers the work."""
        return self.db.get(RequesterView, self.requester_id)

    def get_units(self) -> list[UnitView]:
        """Return all its units, including screening and gold units."""
        return self.db.find(UnitView, task_run_id=self.task_run_id)

    def get_assignments(self, status: str | None = None) -> list[AssignmentView]:
        """Return its assignments: all, or those with a status."""
        assignments = self.db.find(AssignmentView, task_run_id=self.task_run_id)
        if status is None:
            return assignments
        statuses = self._assignment_statuses()
        return [assignment for assignment in assignments if statuses[assignment.assignment_id] == status]

    def get_assignment_statuses(self) -> dict[str, int]:
        """Count its assignments by status."""
        counts = Counter(self._assignment_statuses().values())
        return {status: counts[status] for status in ASSIGNMENT_STATUSES}

    def get_task_args(self) -> DictConfig:
        """Return the settings of the run, with secrets redacted: the `mephisto` section of a config file."""
        args: DictConfig = _omegaconf.OmegaConf.create(self.init_params)
        return args

    @property
    def args(self) -> DictConfig:
        """The settings of the run, as `get_task_args` returns them."""
        return self.get_task_args()

    def get_run_dir(self) -> str:
        """Return the folder of the run's files, which may not exist.

        Raises:
            UnusableLogError: the log is not a file.
        """
        return str(self.db.run_dir(self.task_run_id))

    def get_is_completed(self) -> bool:
        """Return whether the run has completed; a failed run has not."""
        return self.db.get(TaskRunView, self.task_run_id).is_completed

    def get_total_spend(self) -> float:
        """Return the cost, in whole currency, of the units that were paid for or may have to be.

        Bonuses and fees are not included. `mephisto-es ledger` shows exact cents and which payments were made.
        """
        return _cost(self.get_units(), PAYABLE_UNIT_STATUSES)

    def _assignment_statuses(self) -> dict[int, str]:
        by_assignment: dict[int, list[str]] = {}
        for unit in self.get_units():
            by_assignment.setdefault(unit.assignment_id, []).append(unit.status)
        return {assignment: assignment_status(statuses) for assignment, statuses in by_assignment.items()}


class AssignmentView(RunMember, rows.AssignmentRow, frozen=True, gc=True, dict=True):
    """One piece of input data, for one or more workers."""

    def get_requester(self) -> RequesterView:
        """Return the account that offers it."""
        return self.db.get(RequesterView, self.requester_id)

    def get_assignment_data(self) -> InitializationData | None:
        """Return its input data, or None if it was erased."""
        return self.db.get_assignment_data(self.assignment_id)

    def get_units(self, status: str | None = None) -> list[UnitView]:
        """Return its units: all, or those with a status."""
        return self.db.find(UnitView, assignment_id=self.assignment_id, status=status)

    def get_agents(self) -> list[AgentView | None]:
        """Return the agent of each unit, None for units that are not assigned."""
        return [unit.get_assigned_agent() for unit in self.get_units()]

    def get_workers(self) -> list[WorkerView]:
        """Return the workers its units are assigned to."""
        return [agent.get_worker() for agent in self.get_agents() if agent is not None]

    def get_status(self) -> str:
        """Return its current status, which follows from those of its units."""
        return assignment_status(unit.status for unit in self.get_units())

    def get_cost_of_statuses(self, statuses: Collection[str]) -> float:
        """Return the cost, in whole currency, of its units with some statuses."""
        return _cost(self.get_units(), statuses)


class UnitView(RunMember, rows.UnitRow, frozen=True, gc=True, dict=True):
    """The smallest piece of work."""

    @property
    def db_status(self) -> str:
        """The status at the time the row was read."""
        return self.status

    def get_status(self) -> str:
        """Return its current status."""
        return self.db.get(UnitView, self.unit_id).status

    def get_worker(self) -> WorkerView | None:
        """Return the worker who has or did it, or None."""
        agent = self.get_assigned_agent()
        return None if agent is None else agent.get_worker()

    #: Mephisto's name for a read of the database alone; there is nothing else here.
    get_db_status = get_status

    def get_assigned_agent(self) -> AgentView | None:
        """Return the agent it is assigned to now, or None."""
        agent = self.db.get(UnitView, self.unit_id).agent_id
        return None if agent is None else self.db.get(AgentView, agent)

    def get_assignment(self) -> AssignmentView:
        """Return its assignment."""
        return self.db.get(AssignmentView, self.assignment_id)

    def get_assignment_data(self) -> InitializationData | None:
        """Return the input data of its assignment, or None if it was erased."""
        return self.db.get_assignment_data(self.assignment_id)

    def get_requester(self) -> RequesterView:
        """Return the account that offers it."""
        return self.db.get(RequesterView, self.requester_id)

    def get_pay_amount(self) -> float:
        """Return its pay in whole currency; `pay_cents` is exact."""
        return self.pay_amount


class WorkerView(WorkerDecisions, Entity, rows.WorkerRow, frozen=True, gc=True, dict=True):
    """A person who works."""

    def get_agents(self, status: str | None = None) -> list[AgentView]:
        """Return the worker's agents: all, or those with a status."""
        return self.db.find(AgentView, worker_id=self.worker_id, status=status)

    def get_units(self, status: str | None = None) -> list[UnitView]:
        """Return the units that the worker has or did: all, or those with a status."""
        return self.db.find(UnitView, worker_id=self.worker_id, status=status)

    def get_qualifications(self) -> dict[str, int]:
        """Return the values of the worker's qualifications by name."""
        return {
            self.db.get(rows.QualificationRow, held.qualification_id).qualification_name: held.value
            for held in self.db.find(rows.GrantedQualificationRow, worker_id=self.worker_id)
        }

    def get_granted_qualification(self, qualification_name: str) -> rows.GrantedQualificationRow | None:
        """Return one of the worker's qualifications, or None if it was not granted."""
        for qualification in self.db.find(rows.QualificationRow, qualification_name=qualification_name):
            for held in self.db.find(
                rows.GrantedQualificationRow,
                worker_id=self.worker_id,
                qualification_id=qualification.qualification_id,
            ):
                return held
        return None

    def is_qualified(self, qualification_name: str) -> bool:
        """Return whether the worker has a qualification with a value other than 0."""
        held = self.get_granted_qualification(qualification_name)
        return held is not None and held.value != 0

    def is_disqualified(self, qualification_name: str) -> bool:
        """Return whether the worker was evaluated and failed: the qualification has the value 0."""
        held = self.get_granted_qualification(qualification_name)
        return held is not None and held.value == 0

    def is_blocked(self, requester: object = None) -> bool:  # noqa: ARG002 - a block holds for all requesters
        """Return whether the worker is blocked in all runs."""
        return self.db.get(WorkerView, self.worker_id).status == WorkerStatus.BLOCKED.value


class AgentView(AgentDecisions, WorkerInRun, rows.AgentRow, frozen=True, gc=True, dict=True):
    """A worker's work on one unit."""

    @property
    def state(self) -> AgentState:
        """The inputs, the outputs and the metadata; empty where they were erased."""
        return read_state(self.db, self)

    def get_agent_id(self) -> str:
        """Return the id as Mephisto gives it to pages: text."""
        return str(self.agent_id)

    def get_data_dir(self) -> str:
        """Return the folder of the files that the worker uploaded, which may not exist; they have the router's names.

        Raises:
            UnusableLogError: the log is not a file.
        """
        return str(agent_files_dir(self.db.run_dir(self.task_run_id), self.agent_id))

    def get_status(self) -> str:
        """Return its current status."""
        return self.db.get(AgentView, self.agent_id).status

    def get_unit(self) -> UnitView:
        """Return its unit."""
        return self.db.get(UnitView, self.unit_id)

    def get_assignment(self) -> AssignmentView:
        """Return the assignment of its unit."""
        return self.db.get(AssignmentView, self.assignment_id)


class OnboardingAgentView(WorkerInRun, rows.OnboardingAgentRow, frozen=True, gc=True, dict=True):
    """A worker in the onboarding step of a run."""

    def get_status(self) -> str:
        """Return its current status."""
        return self.db.get(OnboardingAgentView, self.onboarding_agent_id).status

    @property
    def state(self) -> AgentState:
        """The submission, and the messages if there were any; empty where they were erased."""
        return read_onboarding_state(self.db, self)

    def get_agent_id(self) -> str:
        """Return the id as Mephisto gives it to pages: text that begins with `onboarding_`."""
        return f"onboarding_{self.onboarding_agent_id}"

    def get_outputs(self) -> JsonValue:
        """Return its submission, or None if there is none or it was erased."""
        return None if self.submission is None else self.db.read_json(self.submission)


def assignment_status(unit_statuses: Iterable[str]) -> str:
    """Derive the status of an assignment from those of its units.

    Returns:
        The status that all units share; otherwise the one with the most work left; `mixed` if all units are decided.
    """
    present = set(unit_statuses)
    if len(present) == 1:
        return present.pop()
    return next((status.value for status in _UNFINISHED if status.value in present), MIXED)


def _cost(units: Iterable[UnitView], statuses: Collection[str]) -> float:
    return sum(unit.pay_cents for unit in units if unit.status in statuses) / 100
