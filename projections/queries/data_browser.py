"""Returns collected work in the form that scripts written for Mephisto expect."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypedDict

from ...core.errors import UnknownEntityError
from ...core.lifecycles.unit import UnitStatus
from ...events.ids import AssignmentId, UnitId, WorkerId
from ..mephisto_db.criteria import EntityId
from ..mephisto_db.data_model import TaskRunView, UnitView, WorkerView
from ..mephisto_db.reader import MephistoDB

#: Statuses of units whose work was submitted.
COMPLETED_UNIT_STATUSES = frozenset(
    status.value
    for status in (UnitStatus.COMPLETED, UnitStatus.ACCEPTED, UnitStatus.REJECTED, UnitStatus.SOFT_REJECTED)
)
#: Statuses of units that no worker will work on any more.
FINAL_UNIT_STATUSES = COMPLETED_UNIT_STATUSES | {UnitStatus.EXPIRED.value}


class UnitData(TypedDict):
    """The data collected for one unit."""

    assignment_id: AssignmentId
    #: What `AgentState.get_parsed_data` returns: `inputs`, `outputs`, and more for chats and remote procedures.
    data: dict[str, Any]
    #: The times again, and what else the worker left: `tips`, `feedback`, `worker_opinion`, `default`.
    metadata: dict[str, Any]
    #: The agent's status; None if the unit is not assigned.
    status: str | None
    #: Seconds since the epoch.
    task_start: float | None
    task_end: float | None
    unit_id: UnitId
    worker_id: WorkerId | None
    #: None if the unit is not assigned, or the worker was erased.
    worker_name: str | None
    #: Mephisto's copies of what `metadata` has.
    tips: list[dict[str, Any]] | None
    feedback: list[dict[str, Any]] | None


#: Tasks that an error names, at most.
TASKS_NAMED = 10


class DataBrowser:
    """Retrieves completed work from runs."""

    def __init__(self, db: MephistoDB) -> None:
        """Browse a database."""
        self.db = db

    def get_task_name_list(self) -> list[str]:
        """Return the names of all tasks, oldest first."""
        return [task.task_name for task in self.db.find_tasks()]

    def get_units_for_task_name(self, task_name: str) -> list[UnitView]:
        """Return the submitted units of all runs of a task.

        Raises:
            UnknownEntityError: there is no such task.
        """
        return self.collect_matching_units_from_task_runs(self._runs_of_task(task_name), COMPLETED_UNIT_STATUSES)

    def get_all_units_for_task_name(self, task_name: str) -> list[UnitView]:
        """Return the submitted or expired units of all runs of a task.

        Raises:
            UnknownEntityError: there is no such task.
        """
        return self.collect_matching_units_from_task_runs(self._runs_of_task(task_name), FINAL_UNIT_STATUSES)

    def get_units_for_run_id(self, run_id: EntityId) -> list[UnitView]:
        """Return the submitted units of a run.

        Raises:
            UnknownEntityError: there is no such run.
        """
        return self.collect_matching_units_from_task_runs([self.db.get_task_run(run_id)], COMPLETED_UNIT_STATUSES)

    def collect_matching_units_from_task_runs(
        self, task_runs: Iterable[TaskRunView], statuses: Collection[str]
    ) -> list[UnitView]:
        """Return the units of some runs that have one of some statuses."""
        return [
            unit
            for run in task_runs
            for unit in self.db.find_units(task_run_id=run.task_run_id)
            if unit.status in statuses
        ]

    def get_data_from_unit(self, unit: UnitView, raise_exception: bool = True) -> UnitData:
        """Return everything about the work on a unit.

        Args:
            unit: the unit.
            raise_exception: whether an unassigned unit is an error; otherwise its values are None.

        Raises:
            UnknownEntityError: the unit is not assigned.
        """
        agent = None if unit.agent_id is None else self.db.get_agent(unit.agent_id)
        if agent is None and raise_exception:
            raise UnknownEntityError(f"agent of unit-{unit.unit_id}: it is {unit.status}")
        worker = None if agent is None else self.db.get_worker(agent.worker_id)
        state = None if agent is None else agent.state
        return UnitData(
            assignment_id=unit.assignment_id,
            data={} if state is None else state.get_parsed_data(),
            metadata={} if state is None else state.get_metadata(),
            status=agent.status if agent else None,
            task_start=agent.task_start if agent else None,
            task_end=agent.task_end if agent else None,
            unit_id=unit.unit_id,
            worker_id=worker.worker_id if worker else None,
            worker_name=worker.worker_name if worker else None,
            tips=state.get_tips() if state else None,
            feedback=state.get_feedback() if state else None,
        )

    def get_workers_with_qualification(self, qualification_name: str) -> list[WorkerView]:
        """Return the workers who have a qualification with value 1.

        Raises:
            UnknownEntityError: there is no qualification of that name.
        """
        found = self.db.find_qualifications(qualification_name)
        if not found:
            raise UnknownEntityError(f"qualification {qualification_name!r}")
        granted = self.db.find_granted_qualifications(qualification_id=found[0].qualification_id, value=1)
        return [self.db.get_worker(one.worker_id) for one in granted]

    def get_metadata_property_from_task_name(self, task_name: str, property_name: str) -> list[Any]:
        """Return one property of the data of all final units of a task, such as `tips`, put together in one list.

        Raises:
            UnknownEntityError: there is no such task, or no such property.
        """
        found: list[Any] = []
        for unit in self.get_all_units_for_task_name(task_name):
            if unit.agent_id is None:
                continue
            data: dict[str, Any] = {**self.get_data_from_unit(unit)}
            if property_name not in data:
                raise UnknownEntityError(f"property {property_name!r} of unit-{unit.unit_id}")
            found += data[property_name] or []
        return found

    def _runs_of_task(self, task_name: str) -> list[TaskRunView]:
        found = self.db.find_tasks(task_name=task_name)
        if not found:
            names = self.get_task_name_list()
            known = f"whose tasks are {', '.join(map(repr, names[:TASKS_NAMED]))}" if names else "which has no task yet"
            raise UnknownEntityError(f"task {task_name!r} in {self.db.location}, {known}")
        return self.db.find_task_runs(task_id=found[0].task_id)
