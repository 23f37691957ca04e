"""The lookup indexes of one run, and of all runs."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ...events import streams
from ...events.ids import AgentId, AssignmentId, OnboardingAgentId, TaskRunId, UnitId, WorkerId
from ..errors import UnknownEntityError
from ..lifecycles.unit import UnitStatus
from .budget import Budget
from .fair_pay import TimePay


class RunIndex(msgspec.Struct):
    """Lookup indexes of one run."""

    #: Ordinary units on offer, the longest offered first.
    offered: dict[UnitId, AssignmentId] = {}
    #: Those of them that somebody had and did not do, the longest ago first; see `in_order_of_offer`.
    released: dict[UnitId, None] = {}
    #: Agents that wait for their partners, the longest waiting first.
    waiting: dict[AgentId, AssignmentId] = {}
    #: Units that are created, launched or assigned.
    open_units: set[UnitId] = set()
    #: Assignments in the order of the run's data, without repeated ones and those created for one worker.
    assignments: list[AssignmentId] = []
    #: Repeated assignments, each with the assignment of the run's data that it repeats.
    repeats: dict[AssignmentId, AssignmentId] = {}
    #: The same the other way round: how often each was repeated, and by what.
    repeated_by: dict[AssignmentId, list[AssignmentId]] = {}
    #: Assignments that get no more answers, because those that count now have settled their label.
    settled: set[AssignmentId] = set()
    units_of: dict[AssignmentId, list[UnitId]] = {}
    agent_of_unit: dict[UnitId, AgentId] = {}
    live_agents: set[AgentId] = set()
    #: Agents of each worker, the oldest first.
    agents_of_worker: dict[WorkerId, list[AgentId]] = {}
    live_onboardings: set[OnboardingAgentId] = set()
    #: Agents with uploaded files that only the server has so far.
    awaiting_files: set[AgentId] = set()
    #: Stream of the latest agent or onboarding agent by the registration of its page.
    by_registration: dict[str, str] = {}
    #: Number of units by status.
    units_by_status: dict[UnitStatus, int] = {}
    #: Numbers of created and of expired units that evaluate workers, by unit index.
    evaluations_made: dict[int, int] = {}
    evaluations_expired: dict[int, int] = {}
    #: Units by which workers are evaluated whose submission could not be judged, with their index.
    unjudged: dict[UnitId, int] = {}
    #: Assignments of the run's data of which each worker ever had a unit; the worker gets no other unit of them. One
    #: whose code failed is left out.
    seen: dict[WorkerId, set[AssignmentId]] = {}
    #: Workers who were let in by a link that does not let in everybody.
    admitted: set[WorkerId] = set()
    #: The browser that may use each invitation.
    invitations: dict[str, str | None] = {}
    #: Authors of verdicts.
    reviewers: set[str] = set()
    #: Assignments for several workers whose code failed.
    failed_assignments: set[AssignmentId] = set()
    #: Live updates from all pages of the run, and their size.
    updates: int = 0
    update_bytes: int = 0
    #: Pay for time, and the agents that got it.
    time_pay: TimePay = TimePay()
    paid_for_time: set[AgentId] = set()
    #: The run's money, with what is committed and reserved.
    budget: Budget = msgspec.field(default_factory=Budget)

    def data_of(self, assignment: AssignmentId) -> AssignmentId:
        """Return the assignment of the run's data with the same data: it itself, or the one that it repeats."""
        return self.repeats.get(assignment, assignment)

    def see_data(self, worker: WorkerId, assignment: AssignmentId) -> None:
        """Note that a worker has seen the data of an assignment."""
        self.seen.setdefault(worker, set()).add(self.data_of(assignment))

    def unsee_data(self, worker: WorkerId, assignment: AssignmentId) -> None:
        """Let a worker have the data of an assignment again."""
        self.seen[worker].discard(self.data_of(assignment))

    def count_update(self, size_bytes: int) -> None:
        """Count a live update from a page."""
        self.updates += 1
        self.update_bytes += size_bytes

    def evaluations(self, unit_index: int) -> int:
        """Return the number of units of a negative index that are in progress, judged, or waiting to be judged.

        One whose judgement failed is not used up; it is judged when the function is asked again.
        """
        made, expired = self.evaluations_made.get(unit_index, 0), self.evaluations_expired.get(unit_index, 0)
        return made - expired - sum(index == unit_index for index in self.unjudged.values())

    def in_order_of_offer(self) -> Iterator[UnitId]:
        """Yield the units on offer in the order in which workers get them.

        First come those in which others wait for a partner, the longest waiting first; then those that were released;
        then the longest offered. The index must not change meanwhile.
        """
        awaited: dict[UnitId, None] = {}
        for assignment in self.waiting.values():
            awaited.update((unit, None) for unit in self.units_of[assignment] if unit in self.offered)
        yield from awaited
        yield from (unit for unit in self.released if unit not in awaited)
        yield from (unit for unit in self.offered if unit not in awaited and unit not in self.released)

    @property
    def has_open_work(self) -> bool:
        """True while a unit is open or an agent is at work."""
        return bool(self.open_units or self.live_agents)

    @property
    def is_idle(self) -> bool:
        """True while no unit is open and neither an agent nor an onboarding agent is at work."""
        return not (self.open_units or self.live_agents or self.live_onboardings)


class RunIndexes(dict[TaskRunId, RunIndex]):
    """The indexes of all runs."""

    def __missing__(self, run: TaskRunId) -> RunIndex:
        """Refuse a run that does not exist.

        Raises:
            UnknownEntityError: always.
        """
        raise UnknownEntityError(streams.task_run(run))

    def of_stream(self, stream: str) -> RunIndex:
        """Return the index of the run that a stream belongs to; a new one for the first event of the run."""
        run = streams.run_of(stream)
        index = self.get(run)
        if index is None:
            index = self[run] = RunIndex()
        return index
