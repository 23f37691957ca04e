"""Handles of workers, assignments and units, which task code and callbacks read with Mephisto's methods."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

import msgspec

from ....events.ids import AgentId, AssignmentId, UnitId, WorkerId
from ..work_data import AgentState, InitializationData, Update
from .decided import DecidedAgent, DecidedWorker, WorkDecider


class WorkReader(Protocol):
    """Reads about workers and work for handles. Its answers are those of the last durable event."""

    def worker_name(self, worker: WorkerId) -> str | None:
        """Return the name of a worker at the provider; None once it is erased."""

    def worker_provider(self, worker: WorkerId) -> str:
        """Return the type of a worker's provider."""

    def qualifications_of(self, worker: WorkerId) -> dict[str, int]:
        """Return the values of a worker's qualifications by name."""

    def is_blocked(self, worker: WorkerId) -> bool:
        """Return whether a worker is blocked."""

    def agents_of(self, worker: WorkerId, status: str | None) -> list[AssignedAgent]:
        """Return all agents of a worker in this run, or those with a status, the oldest first."""

    def units_of(self, assignment: AssignmentId) -> list[Unit]:
        """Return the units of an assignment in order, each with its agent if it has one."""

    def status_of(self, unit: UnitId) -> str:
        """Return the status of a unit."""

    @property
    def decisions(self) -> WorkDecider:
        """Decisions about workers and work."""


class Worker(DecidedWorker):
    """A worker, for task code and callbacks. Two handles of the same worker are equal."""

    def __init__(self, worker_id: WorkerId, reader: WorkReader | None) -> None:
        self.worker_id = worker_id
        self._made_with = reader

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Worker) and other.worker_id == self.worker_id

    def __hash__(self) -> int:
        return hash(self.worker_id)

    def __repr__(self) -> str:
        return f"Worker({self.worker_id})"

    @property
    def db_id(self) -> WorkerId:
        """The worker's id, under Mephisto's name."""
        return self.worker_id

    @property
    def _reader(self) -> WorkReader:
        if self._made_with is None:
            raise TypeError("this worker was not made by an operator, and has nothing to read from")
        return self._made_with

    @property
    def decider(self) -> WorkDecider:
        """Carries out decisions about the worker. For the methods of this class."""
        return self._reader.decisions

    @property
    def worker_name(self) -> str | None:
        """The name at the provider; None once it is erased."""
        return self._reader.worker_name(self.worker_id)

    @property
    def provider_type(self) -> str:
        """The type of the provider that the worker comes from."""
        return self._reader.worker_provider(self.worker_id)

    def get_agents(self, status: str | None = None) -> list[AssignedAgent]:
        """Return the worker's agents in this run: all, or those with a status."""
        return self._reader.agents_of(self.worker_id, status)

    def get_qualifications(self) -> dict[str, int]:
        """Return the values of the worker's qualifications by name."""
        return self._reader.qualifications_of(self.worker_id)

    def get_granted_qualification(self, qualification_name: str) -> GrantedQualification | None:
        """Return one of the worker's qualifications, or None if it was not granted."""
        value = self.get_qualifications().get(qualification_name)
        return None if value is None else GrantedQualification(self.worker_id, qualification_name, value)

    def is_qualified(self, qualification_name: str) -> bool:
        """Return whether the worker has a qualification with a value other than 0."""
        return bool(self.get_qualifications().get(qualification_name))

    def is_disqualified(self, qualification_name: str) -> bool:
        """Return whether the worker was evaluated and failed: the qualification has the value 0."""
        return self.get_qualifications().get(qualification_name) == 0

    def is_blocked(self, requester: object = None) -> bool:  # noqa: ARG002 - Mephisto's
        """Return whether the worker is blocked in all runs.

        Args:
            requester: ignored; blocks here do not depend on who offers the work.
        """
        return self._reader.is_blocked(self.worker_id)


class GrantedQualification(NamedTuple):
    """A qualification that a worker has."""

    worker_id: WorkerId
    qualification_name: str
    value: int


class AssignedAgent(DecidedAgent, msgspec.Struct, frozen=True, dict=True):
    """The agent that did a unit, with its work."""

    agent_id: AgentId
    worker_id: WorkerId
    state: AgentState
    data_dir: str = ""
    #: Status at the time it was read.
    status: str = ""
    unit_id: UnitId | None = None

    @property
    def decider(self) -> WorkDecider:
        """Carries out verdicts on the work. For the methods of this class."""
        return _reader_of(self).decisions

    @property
    def db_id(self) -> AgentId:
        """The agent's id, under Mephisto's name."""
        return self.agent_id

    @property
    def db_status(self) -> str:
        """The status at the time the agent was read."""
        return self.status

    def get_status(self) -> str:
        """Return the status at the time the agent was read."""
        return self.status

    def get_agent_id(self) -> str:
        """Return the id as Mephisto gives it to pages: text."""
        return str(self.agent_id)

    def get_worker(self) -> Worker:
        """Return the worker."""
        return Worker(self.worker_id, _reader_of(self))

    def get_data_dir(self) -> str:
        """Return the folder of the files that the worker uploaded; they have the names in `outputs["files"]`."""
        return self.data_dir


class Assignment(msgspec.Struct, frozen=True, dict=True):
    """An assignment, for task code."""

    assignment_id: AssignmentId
    data: InitializationData

    @property
    def db_id(self) -> AssignmentId:
        """The assignment's id, under Mephisto's name."""
        return self.assignment_id

    def get_assignment_data(self) -> InitializationData:
        """Return the assignment's data."""
        return self.data

    def get_units(self, status: str | None = None) -> list[Unit]:
        """Return the units of the assignment: all, or those with a status, each with its agent if it has one."""
        units = _reader_of(self).units_of(self.assignment_id)
        return [unit for unit in units if status is None or unit.get_status() == status]

    def get_agents(self) -> list[AssignedAgent | None]:
        """Return the agent of each unit, None for units that are not assigned."""
        return [unit.assigned_agent for unit in self.get_units()]


class Unit(msgspec.Struct, frozen=True, dict=True):
    """A unit, for task code."""

    unit_id: UnitId
    unit_index: int
    assignment: Assignment
    #: The agent that did the unit, with its submission; only set for callbacks about submissions, and for the units
    #: that an assignment or a worker leads to.
    assigned_agent: AssignedAgent | None = None
    #: True for a unit that evaluates its worker: a screening or gold unit, or an ordinary unit that serves as one.
    is_evaluation: bool = False

    @property
    def db_id(self) -> UnitId:
        """The unit's id, under Mephisto's name."""
        return self.unit_id

    @property
    def assignment_id(self) -> AssignmentId:
        """Id of the assignment that the unit is part of."""
        return self.assignment.assignment_id

    @property
    def worker_id(self) -> WorkerId | None:
        """Id of the worker who has or did the unit; None if nobody has it."""
        return None if self.assigned_agent is None else self.assigned_agent.worker_id

    def get_assignment(self) -> Assignment:
        """Return the assignment that the unit is part of."""
        return self.assignment

    def get_assignment_data(self) -> InitializationData:
        """Return the data of the unit's assignment."""
        return self.assignment.data

    def get_assigned_agent(self) -> AssignedAgent | None:
        """Return the agent that did the unit, with its submission; None except in callbacks about submissions."""
        return self.assigned_agent

    def get_worker(self) -> Worker | None:
        """Return the worker who has or did the unit; None if nobody has it."""
        return None if self.worker_id is None else Worker(self.worker_id, _reader_of(self))

    def get_status(self) -> str:
        """Return the unit's present status."""
        return _reader_of(self).status_of(self.unit_id)

    get_db_status = get_status

    @property
    def db_status(self) -> str:
        """The unit's present status."""
        return self.get_status()

    @property
    def data(self) -> Update:
        """Data that the worker works on: the assignment's shared data and the unit's own."""
        return self.assignment.data.of_unit(self.unit_index)


_READER = "_reader"
H = TypeVar("H", Assignment, Unit, AssignedAgent)


def with_reader(handle: H, reader: WorkReader) -> H:
    """Give a handle what it reads about other work from; returns the handle."""
    handle.__dict__[_READER] = reader
    return handle


def _reader_of(handle: Assignment | Unit | AssignedAgent) -> WorkReader:
    reader: WorkReader | None = handle.__dict__.get(_READER)
    if reader is None:
        raise TypeError(f"{type(handle).__name__} was not made by an operator, and has nothing to read from")
    return reader
