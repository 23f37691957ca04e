"""Commands about a task run itself, its data and its units on offer."""

from __future__ import annotations

import msgspec

from ...events.base import PayloadRef
from ...events.ids import AssignmentId, ProjectId, UnitId
from ...events.resource import ResourceEvent
from ...events.streams import DIRECTORY, partition_of_run
from ...events.task_run import CallbackFailed, TaskRunCreated, TaskRunEvent
from .base import Command, RunCommand

#: Seconds for which late work is still taken when a run ends at once. A page learns of the end within ten seconds.
LATE_WORK_SECONDS = 30.0


class UnitPlan(msgspec.Struct, frozen=True, gc=False):
    """A unit that is to be created."""

    unit: UnitId
    #: Place in the assignment; negative for a unit that evaluates a worker.
    unit_index: int
    pay_cents: int


class AssignmentPlan(msgspec.Struct, frozen=True, gc=False):
    """An assignment that is to be created with its units."""

    assignment: AssignmentId
    #: Place in the run's data; the (negative) index of its unit if it is created for one worker.
    number: int
    data: PayloadRef
    units: tuple[UnitPlan, ...]


class ProjectPlan(msgspec.Struct, frozen=True, gc=False):
    """The project that a run's task is to be in."""

    name: str
    #: Id of the project if its name is new.
    new: ProjectId


class CreateRun(Command, frozen=True, kw_only=True, tag="create_run"):
    """Create a task run, with its task and requester if their names are new."""

    #: The run. Its task and requester ids are used only if the names are new.
    created: TaskRunCreated
    task_name: str
    requester_name: str
    #: None to leave the task where it is.
    project: ProjectPlan | None = None
    #: Number of runs that the task has as far as the launcher knows, which is refused if there are more; None: any.
    known_runs: int | None = None

    @property
    def partitions(self) -> tuple[str, ...]:
        """The directory and the partition of the new run."""
        return (DIRECTORY, partition_of_run(self.created.task_run))


class RecordRunEvent(RunCommand, frozen=True, kw_only=True, tag="record_run_event"):
    """Record that something happened to a run."""

    event: TaskRunEvent


class SeenRun(msgspec.Struct, frozen=True, gc=False):
    """All about a run that others can change so that there is more to do, for instance by extending it."""

    #: Version of the run's stream.
    version: int
    #: Number of assignments whose label is settled: a verdict may make that one less.
    settled: int


class StopRun(RunCommand, frozen=True, kw_only=True, tag="stop_run"):
    """Give out no more work; does nothing if the run is not live.

    A run that is stopping already can still be stopped at once.
    """

    reason: str
    #: True to take their work from the people at work.
    at_once: bool = False
    #: The run as its operator saw it, if that stops it because there is no more work or money: nothing is done if it
    #: is different now.
    seen: SeenRun | None = None


class PauseRun(RunCommand, frozen=True, kw_only=True, tag="pause_run"):
    """Leave a run, with its open units and its agents; does nothing if it is not under way."""

    reason: str
    #: True to do nothing unless it is live: whoever asks is not its operator, which may be starting or ending it.
    only_live: bool = False


class DrainRun(RunCommand, frozen=True, kw_only=True, tag="drain_run"):
    """Give no work to newcomers, and pause once nobody is at work; does nothing if the run is not live."""

    reason: str


class ReopenRun(RunCommand, frozen=True, kw_only=True, tag="reopen_run"):
    """Put the expired units of an ended run back, so that it can be resumed."""

    reason: str
    #: Also those of assignments of which a part is done. Only if the units of an assignment are done separately.
    partial: bool = False


class AddedItems(msgspec.Struct, frozen=True, gc=False):
    """Items that are to follow the data of a run."""

    count: int
    data: PayloadRef


class ExtendRun(RunCommand, frozen=True, kw_only=True, tag="extend_run"):
    """Give a run more to do, or more to spend; an ended run is reopened if it is given more to do."""

    reason: str
    items: AddedItems | None = None
    #: Units that each assignment is to have; None: no change.
    units_per_assignment: int | None = None
    changes_budget: bool = False
    #: The new limit of all costs in cents; None: no limit.
    budget_cents: int | None = None


class ExhaustData(RunCommand, frozen=True, kw_only=True, tag="exhaust_data"):
    """Record that the data has no more items; does nothing if more were added meanwhile."""

    #: Number of assignments in the data.
    assignments: int
    #: Number of additions that were read since the data was last exhausted.
    additions: int


class AddedUnit(msgspec.Struct, frozen=True, gc=False):
    """A unit that an assignment gets in addition."""

    assignment: AssignmentId
    unit: UnitPlan


class AddUnits(RunCommand, frozen=True, kw_only=True, tag="add_units"):
    """Create further units of assignments.

    Leaves out those that exist or whose assignment does not, and does nothing if the run is not live.
    """

    further: tuple[AddedUnit, ...]


class CompleteRun(RunCommand, frozen=True, kw_only=True, tag="complete_run"):
    """Complete a stopping run; refused while anything is open."""


class RecordResource(RunCommand, frozen=True, kw_only=True, tag="record_resource"):
    """Record what became of something that the run holds outside, for instance a server."""

    #: Number of the resource.
    number: int
    event: ResourceEvent


class CreateAssignments(RunCommand, frozen=True, kw_only=True, tag="create_assignments"):
    """Create assignments and their units; does nothing if the run is not live."""

    assignments: tuple[AssignmentPlan, ...]


class RepeatAssignment(RunCommand, frozen=True, kw_only=True, tag="repeat_assignment"):
    """Create an assignment again because a worker left it; does nothing if that is not needed any more."""

    assignment: AssignmentId
    plan: AssignmentPlan
    #: Number of times that one piece of data may be repeated.
    max_repeats: int


class LaunchUnits(RunCommand, frozen=True, kw_only=True, tag="launch_units"):
    """Offer created units, in order, as far as the budget of the run covers them."""

    units: tuple[UnitId, ...]


class ExpireUnits(RunCommand, frozen=True, kw_only=True, tag="expire_units"):
    """Expire units that nobody works on; leaves all others as they are."""

    units: tuple[UnitId, ...]
    reason: str


class RecordCallbackFailure(RunCommand, frozen=True, kw_only=True, tag="record_callback_failure"):
    """Record that a function of the task's code failed; after some failures in a row, pause the admission.

    Does nothing if the run has ended.
    """

    failure: CallbackFailed


class RecordCallbackRecovery(RunCommand, frozen=True, kw_only=True, tag="record_callback_recovery"):
    """Record that a function of the task's code returned a usable answer; does nothing if it had not failed."""

    function: str


class ResumeAdmission(RunCommand, frozen=True, kw_only=True, tag="resume_admission"):
    """Give work to newcomers again, and count failures anew; does nothing if no function has failed."""

    reason: str


AnyRunCommand = (
    CreateRun
    | RecordRunEvent
    | StopRun
    | PauseRun
    | DrainRun
    | ReopenRun
    | ExtendRun
    | ExhaustData
    | AddUnits
    | CompleteRun
    | RecordResource
    | CreateAssignments
    | RepeatAssignment
    | LaunchUnits
    | ExpireUnits
    | RecordCallbackFailure
    | RecordCallbackRecovery
    | ResumeAdmission
)
