"""Creates assignments and units from a run's data, and launches units as there is room for them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

import trio
from msgspec.structs import replace

from ...events import streams
from ...events.base import PayloadRef
from ...events.envelope import RecordedEvent
from ...events.ids import GOLD_UNIT_INDEX, SCREENING_UNIT_INDEX, AssignmentId, TaskRunId, UnitId
from ...events.task_run import TaskRunBudgetChanged, TaskRunDataAdded, TaskRunUnitsRaised
from ...events.unit import UnitCreated
from ..abstractions.agent import InitializationData, Update
from ..abstractions.blueprint import AssignmentData
from ..command_issuer import CommandIssuer
from ..commands.admission import AssignUnit
from ..commands.labels import LabelPlan
from ..commands.task_run import (
    AssignmentPlan,
    CreateAssignments,
    ExpireUnits,
    LaunchUnits,
    UnitPlan,
)
from ..decisions.launch_work import cost_of_offer
from ..errors import LaunchError
from ..ledger import Ledger
from ..lifecycles.task_run import TaskRunStatus
from ..lifecycles.unit import UNIT, UnitStatus
from ..payloads import seal
from ..ports import AppendResult, Ids, Payload
from ..signal import Signal
from .launching.assignment_data import encoded, encoded_item, received_already
from .launching.extensions import RunExtensions
from .launching.label_units import LabelUnits
from .launching.reassignments import Reassignments
from .logger_core import get_logger

#: Maximum number of assignments, or units, in one command.
MAX_CHUNK = 200
#: Events that give a run more to do, or to spend.
_EXTENDING = frozenset({TaskRunDataAdded, TaskRunUnitsRaised, TaskRunBudgetChanged})
#: Created units that wait to be launched, beyond which no more data is read.
LOOK_AHEAD = 400

logger = get_logger(__name__)


class TaskLauncher:
    """Launches the units of one run.

    Attributes:
        created: number of assignments created so far.
    """

    def __init__(
        self,
        ledger: Ledger,
        ids: Ids,
        task_run: TaskRunId,
        assignment_data: AssignmentData,
        *,
        pay_cents: int,
        max_num_concurrent_units: int = 0,
        max_repeats: int = 0,
        max_item_bytes: int,
        concurrent: bool,
        label_plan: LabelPlan | None,
        on_change: Callable[[], None],
    ) -> None:
        """Keep the parts; nothing is read from the data yet.

        Args:
            ledger: executes the commands.
            ids: source of ids and salts.
            task_run: the run.
            assignment_data: a list, a generator or an async generator; read once, one item ahead.
            pay_cents: pay for a unit, in cents.
            max_num_concurrent_units: units that may be launched or assigned at a time; 0 for no limit.
            max_repeats: number of times that an assignment for several workers is made again after somebody left.
            max_item_bytes: maximum size of an item as JSON.
            concurrent: whether the units of an assignment are worked on together.
            label_plan: when assignments get further units; None if they get none.
            on_change: called when the launcher may have nothing more to do, without an event.
        """
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids)
        self._run = task_run
        self._data = assignment_data
        self._pay_cents = pay_cents
        self._room = max_num_concurrent_units or math.inf
        self._max_item_bytes = max_item_bytes
        self._concurrent = concurrent
        self._reassignments = Reassignments(ledger, ids, task_run, max_repeats)
        self._label_units = LabelUnits(ledger, ids, task_run, label_plan, pay_cents)
        self._on_change = on_change
        self._created_units: deque[UnitId] = deque()
        self._changed = Signal()
        self._stopped = False
        #: Units per assignment that the run was raised to, and number of planned units then.
        self._planned: tuple[int, int] | None = None
        self._extensions = RunExtensions(ledger, ids, task_run, pay_cents, concurrent=concurrent)
        self.created = 0
        #: Assignments that an earlier process created.
        self._created_before = 0

    def resume(self) -> None:
        """Continue where an earlier process of the run stood."""
        state = self._ledger.state
        index = state.runs[self._run]
        self.created = self._created_before = len(index.assignments)
        units = (unit for units in index.units_of.values() for unit in units)
        waiting = (state.units[streams.unit(self._run, unit)] for unit in units)
        self._created_units.extend(unit.unit for unit in waiting if unit.status is UnitStatus.CREATED)
        self._reassignments.resume()
        self._label_units.resume()
        exhausted_at = state.task_runs[streams.task_run(self._run)].exhausted_at
        if exhausted_at is not None and isinstance(self._data, Sequence) and len(self._data) > exhausted_at:
            logger.warning(
                f"the data has {len(self._data) - exhausted_at} more items than the run, which are not read: it was "
                f"read to its end before; `mephisto-es extend {self._run} --data FILE` adds items",
                run=self._run,
            )

    async def create_assignments(self) -> None:
        """Create assignments and units from the data, up to a limit ahead of the launched ones.

        Runs beside `launch_units`. Returns once the data is exhausted or the run is stopping. Items from which an
        earlier process of the run created assignments are read again, and must be the same.

        Raises:
            LaunchError: the data's own code raised, or the data has changed.
        """
        if self._extensions.is_raising:
            await self._extensions.add_units()
            self._changed.notify()
        while not self.exhausted:
            async with trio.open_nursery() as nursery:
                sender, receiver = trio.open_memory_channel[InitializationData](MAX_CHUNK)
                nursery.start_soon(self._extensions.read, self._data, sender)
                for number in range(self._extensions.first_number, self._created_before):
                    await self._skip(number, receiver)
                self._created_before = 0
                async for first in receiver:
                    if not await self._create([first, *received_already(receiver, MAX_CHUNK - 1)]):
                        nursery.cancel_scope.cancel()
                        return
                    while len(self._created_units) >= LOOK_AHEAD:
                        await self._changed.wait()
            await self._extensions.record_exhausted(self.created)
        self._changed.notify()

    async def follow_extensions(self) -> None:
        """Create assignments and units, as `create_assignments`, whenever the run is given more; until it is stopping.

        Raises:
            LaunchError: as `create_assignments`.
        """
        while not self._stopped:
            await self.create_assignments()
            while not self._stopped and self.exhausted and not self._extensions.is_raising:
                await self._changed.wait()
            if not self._is_live:
                return

    async def launch_units(self, url: str) -> None:
        """Launch created units whenever there is room for them, until the run is stopping.

        A unit that ends makes room immediately. An assignment that somebody left is made again.

        Args:
            url: base URL of the run's server, for the log.
        """
        logger.info("launching units", run=self._run, url=url)
        while not self._stopped:
            if self._reassignments:
                await self._reassignments.make_next()
                self._on_change()
            elif self._label_units.is_due:
                await self._label_units.assess_next()
                self._changed.notify()
                self._on_change()
            elif batch := self._next_batch():
                await self._launch(batch)
            else:
                await self._changed.wait()

    @property
    def exhausted(self) -> bool:
        """True once the data is known to have no more items."""
        return self._ledger.state.task_runs[streams.task_run(self._run)].assignments is not None

    @property
    def _is_live(self) -> bool:
        return self._ledger.state.task_runs[streams.task_run(self._run)].status is TaskRunStatus.LIVE

    @property
    def planned_units(self) -> int | None:
        """Number of units that the data makes; None if it cannot be known before the data is exhausted."""
        run = self._ledger.state.task_runs[streams.task_run(self._run)]
        if not isinstance(self._data, Sequence) or run.added or run.exhausted_at not in (None, len(self._data)):
            return None
        if self._planned is None or self._planned[0] != run.units_per_assignment:
            self._planned = run.units_per_assignment, sum(map(self._extensions.units_of, self._data))
        return self._planned[1] + self._label_units.opened

    @property
    def is_done(self) -> bool:
        """True once all units of the data are launched, or no more will be."""
        return self._stopped or not (self._has_more or self._label_units.may_open_more)

    @property
    def is_about_to_launch(self) -> bool:
        """True if units may be launched without anybody having to end one first."""
        return self._has_more and not self._stopped and self._free_places() > 0 and self._can_pay_next()

    @property
    def _has_more(self) -> bool:
        """True while there are items to read, or units to create or launch."""
        return bool(
            not self.exhausted
            or self._created_units
            or self._reassignments
            or self._label_units.is_busy
            or self._extensions.is_raising
        )

    @property
    def is_out_of_budget(self) -> bool:
        """True if no unit is launched or assigned, and the budget does not cover the next one."""
        is_something_out = self._units_out() > 0 or self._ledger.state.runs[self._run].live_agents
        return not (self.is_done or is_something_out or self._can_pay_next() or self._label_units.must_assess)

    def next_change(self) -> trio.Event:
        """Return the event that the next change in launched or waiting units sets."""
        return self._changed.next_event()

    async def wait_for_offer(self) -> None:
        """Wait until a unit is offered, unless none is about to be."""
        index = self._ledger.state.runs[self._run]
        while not index.offered and self.is_about_to_launch:
            await self._changed.wait()

    async def launch_screening_unit(self, data: Update, assign: AssignUnit) -> AppendResult:
        """Make a screening unit for a worker, as `launch_evaluation_unit`."""
        return await self.launch_evaluation_unit(data, SCREENING_UNIT_INDEX, assign)

    async def launch_gold_unit(self, data: Update, assign: AssignUnit) -> AppendResult:
        """Make a gold unit for a worker, as `launch_evaluation_unit`."""
        return await self.launch_evaluation_unit(data, GOLD_UNIT_INDEX, assign)

    async def launch_evaluation_unit(self, data: Update, unit_type_index: int, assign: AssignUnit) -> AppendResult:
        """Make a unit for one worker. It is launched and assigned in one append, so nobody else can get it.

        The unit is paid like any other, but counts neither against `max_num_concurrent_units` nor against the worker's
        maximum.

        Args:
            data: the unit's data, for its page.
            unit_type_index: a negative unit index.
            assign: the command by which the worker asks for work, with the evaluation that is required.

        Raises:
            ValueError: the command requires no evaluation.
        """
        if assign.evaluation is None:
            raise ValueError("the command requires no evaluation")
        payload = seal(encoded(InitializationData(shared=data), self._max_item_bytes), self._ids.salt())
        unit = UnitPlan(UnitId(self._ids.next_id("unit")), unit_type_index, self._pay_cents)
        assignment = AssignmentId(self._ids.next_id("assignment"))
        plan = AssignmentPlan(assignment, unit_type_index, payload.ref, (unit,))
        command = replace(assign, evaluation=replace(assign.evaluation, assignment=plan))
        return await self._issuer.issue(command, payload, actor=f"worker/{assign.applicant.worker}")

    async def expire_units(
        self, progress: Callable[[int, int], None] | None = None, *, reason: str = "the run is stopping"
    ) -> None:
        """Expire all units that nobody works on, and launch nothing more.

        Args:
            progress: called with the number of units dealt with, and the number of all.
            reason: recorded in the log.
        """
        self._stopped = True
        self._changed.notify()
        index = self._ledger.state.runs[self._run]
        units = sorted(index.open_units)
        for start in range(0, len(units), MAX_CHUNK):
            chunk = units[start : start + MAX_CHUNK]
            await self._issuer.issue(ExpireUnits(task_run=self._run, units=tuple(chunk), reason=reason))
            if progress is not None:
                progress(start + len(chunk), len(units))

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Note created units, changes of units' status, and decided labels, among durable events of the run."""
        self._reassignments.on_committed(events)
        self._label_units.on_committed(events)
        created = (recorded.envelope.event for recorded in events)
        self._created_units.extend(unit.unit for unit in created if isinstance(unit, UnitCreated) and unit.index >= 0)
        kinds = {type(recorded.envelope.event) for recorded in events}
        if kinds & (UNIT.events | _EXTENDING) or self._label_units.is_due:
            self._changed.notify()

    # ----------------------------------------------------------------------------------------------------------------

    def _next_batch(self) -> list[UnitId]:
        count = int(min(self._free_places(), MAX_CHUNK, len(self._created_units)))
        return list(islice(self._created_units, count)) if count > 0 and self._can_pay_next() else []

    async def _launch(self, batch: list[UnitId]) -> None:
        """Launch units; those that the budget does not cover stay waiting."""
        await self._issuer.issue(LaunchUnits(task_run=self._run, units=tuple(batch)))
        units = self._ledger.state.units
        while self._created_units:
            if units[streams.unit(self._run, self._created_units[0])].status is UnitStatus.CREATED:
                break
            self._created_units.popleft()
        self._changed.notify()

    def _can_pay_next(self) -> bool:
        """Return whether the budget covers the next assignment, or a single unit if the next one is not read yet."""
        state, created = self._ledger.state, self._created_units
        budget = state.runs[self._run].budget
        if not created:
            return budget.fits(budget.cost_of_unit(self._pay_cents))
        assignment = state.units[streams.unit(self._run, created[0])].assignment
        return budget.fits(cost_of_offer(state, self._run, assignment))

    def _units_out(self) -> int:
        """Return the number of launched and assigned units."""
        by_status = self._ledger.state.runs[self._run].units_by_status
        return by_status.get(UnitStatus.LAUNCHED, 0) + by_status.get(UnitStatus.ASSIGNED, 0)

    def _free_places(self) -> float:
        """Return the number of units that may be launched now."""
        return self._room - self._units_out()

    async def _skip(self, number: int, receiver: trio.MemoryReceiveChannel[InitializationData]) -> None:
        """Read an item again that an earlier process made an assignment of.

        Raises:
            LaunchError: there is another item in its place, or none.
        """
        assignment = self._ledger.state.runs[self._run].assignments[number]
        created = self._ledger.state.assignments[streams.assignment(self._run, assignment)].created
        body = self._ledger.log.payload(created.data)
        try:
            again = encoded_item(await receiver.receive(), number + 1, self._max_item_bytes)
        except trio.EndOfChannel:
            again = b"no item at all"
        if body is not None and again != body:
            reason = (
                f"item {number + 1} has changed since the run was launched; it can only be resumed with the same data"
            )
            raise LaunchError("assignment data", reason)

    async def _create(self, data: list[InitializationData]) -> bool:
        """Create assignments, unless the run is stopping and nobody would expire their units.

        Returns:
            True if they were created.
        """
        plans: list[AssignmentPlan] = []
        payloads: list[Payload] = []
        for item in data:
            payload = seal(encoded_item(item, self.created + 1, self._max_item_bytes), self._ids.salt())
            payloads.append(payload)
            plans.append(self._plan(item, payload.ref))
        command = CreateAssignments(task_run=self._run, assignments=tuple(plans))
        return bool((await self._issuer.issue(command, *payloads)).events)

    def _plan(self, item: InitializationData, data: PayloadRef) -> AssignmentPlan:
        """Plan the assignment of an item.

        Raises:
            LaunchError: its workers would wait for each other forever, because not all its units may be launched at a
                time.
        """
        if self._concurrent and len(item.unit_data) > self._room:
            reason = (
                f"item {self.created + 1} is for {len(item.unit_data)} workers together, and "
                f"mephisto.task.max_num_concurrent_units is {self._room}; raise that"
            )
            raise LaunchError("assignment data", reason)
        units = tuple(
            UnitPlan(UnitId(self._ids.next_id("unit")), index, self._pay_cents)
            for index in range(self._extensions.units_of(item))
        )
        number, self.created = self.created, self.created + 1
        return AssignmentPlan(AssignmentId(self._ids.next_id("assignment")), number, data, units)
