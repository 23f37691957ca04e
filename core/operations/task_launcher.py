"""Moves through a run's data: creates assignments and units, and puts units on offer as there is room for them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import islice
from typing import Protocol

import trio

from ...events import streams
from ...events.assignment import AssignmentCreated
from ...events.base import PayloadRef
from ...events.envelope import RecordedEvent
from ...events.ids import AssignmentId, TaskRunId, UnitId
from ...events.task_run import TaskRunDataExhausted
from ...events.unit import UnitCreated
from ..abstractions.agent import InitializationData, Update
from ..abstractions.blueprint import AssignmentData
from ..decisions.launch_work import (
    AssignmentPlan,
    UnitPlan,
    cost_of_offer,
    decide_create_assignments,
    decide_expire_units,
    decide_launch_units,
)
from ..errors import ConfigError, LaunchError, UserCodeError
from ..ledger import Command, Ledger
from ..lifecycles.task_run import TaskRunStatus
from ..lifecycles.unit import UNIT, UnitStatus
from ..payloads import seal
from ..ports import AppendResult, Ids, NewEvent, Payload
from ..signal import Signal
from ..state.decision_state import GOLD_UNIT_INDEX, SCREENING_UNIT_INDEX, DecisionState
from .launching.assignment_data import encoded, received_already, send_all
from .launching.reassignments import Reassignments
from .logger_core import get_logger

#: Assignments, or units, that go into one command at most.
CHUNK = 200
#: Created units that wait to be launched before more data is taken from its source.
LOOK_AHEAD = 400

logger = get_logger(__name__)


class Take(Protocol):
    """Decides whether a worker gets the unit that is planned for it."""

    def __call__(self, state: DecisionState, plan: AssignmentPlan) -> Sequence[NewEvent]:
        """The events that make it and give it to the worker, or say why not."""


class TaskLauncher:
    """Launches the units of one run.

    Attributes:
        created: how many assignments were created so far.
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
        concurrent: bool = False,
    ) -> None:
        """Nothing is taken from the data yet.

        Args:
            ledger: the door.
            ids: where ids come from.
            task_run: the run.
            assignment_data: a list, a generator or an async generator; read once, one item ahead.
            pay_cents: what a unit is worth.
            max_num_concurrent_units: units on offer or in work at a time; 0: no limit.
            max_repeats: how often an assignment for several is made once more because somebody left.
            max_item_bytes: what an item may have as JSON.
            concurrent: whether the units of an assignment are worked on together.
        """
        self._ledger = ledger
        self._ids = ids
        self._run = task_run
        self._data = assignment_data
        self._pay_cents = pay_cents
        self._room = max_num_concurrent_units or math.inf
        self._max_item_bytes = max_item_bytes
        self._concurrent = concurrent
        self._reassignments = Reassignments(ledger, ids, task_run, max_repeats)
        self._created_units: deque[UnitId] = deque()
        self._changed = Signal()
        self._stopped = False
        self.created = 0

    def resume(self) -> None:
        """Continue where an earlier process of the run stood."""
        state = self._ledger.state
        index = state.runs[self._run]
        self.created = len(index.assignments)
        units = (unit for units in index.units_of.values() for unit in units)
        waiting = (state.units[streams.unit(self._run, unit)] for unit in units)
        self._created_units.extend(unit.unit for unit in waiting if unit.status is UnitStatus.CREATED)
        self._reassignments.resume()

    async def create_assignments(self) -> None:
        """Create assignments and units from the data, as far ahead of the launched ones as is useful.

        Returns when the data has no more, or the run is stopping. Meant to run beside `launch_units`. What an earlier
        process of the run had created is read again, and must be the same.

        Raises:
            LaunchError: the data's own code raised, or the data is not what it was.
        """
        if self.exhausted:
            return
        async with trio.open_nursery() as nursery:
            sender, receiver = trio.open_memory_channel[InitializationData](CHUNK)
            nursery.start_soon(self._read_data, sender)
            for number in range(self.created):
                await self._skip(number, receiver)
            async for first in receiver:
                if not await self._create([first, *received_already(receiver, CHUNK - 1)]):
                    nursery.cancel_scope.cancel()
                    return
                while len(self._created_units) >= LOOK_AHEAD:
                    await self._changed.wait()
        await self._record(lambda _: [NewEvent(streams.task_run(self._run), self._exhausted_event())])
        self._changed.notify()

    async def launch_units(self, url: str) -> None:
        """Put created units on offer at a URL whenever there is room for them, until no more may be.

        A unit that ends makes room at once. An assignment that somebody left is made once more.
        """
        logger.info("launching units", run=self._run, url=url)
        while not self._stopped:
            if self._reassignments:
                await self._reassignments.make_next()
            elif batch := self._next_batch():
                await self._launch(batch)
            else:
                await self._changed.wait()

    @property
    def exhausted(self) -> bool:
        """Whether the data has no more."""
        return self._ledger.state.task_runs[streams.task_run(self._run)].assignments is not None

    @cached_property
    def planned_units(self) -> int | None:
        """How many units the data makes; None: nobody knows before it was read to its end."""
        if isinstance(self._data, Sequence):
            return sum(len(item.unit_data) for item in self._data)
        return None

    @property
    def is_done(self) -> bool:
        """Whether everything the data held was put on offer, or no more will be."""
        return self._stopped or (self.exhausted and not self._created_units and not self._reassignments)

    @property
    def is_about_to_launch(self) -> bool:
        """Whether units will be put on offer before anybody has to end one."""
        return not self.is_done and self._free_places() > 0 and self._can_pay_next()

    @property
    def is_out_of_budget(self) -> bool:
        """Whether nothing is on offer or in work, and the budget does not pay for the next unit that there is."""
        is_something_out = self._units_out() > 0 or self._ledger.state.runs[self._run].live_agents
        return not (self.is_done or is_something_out or self._can_pay_next())

    def next_change(self) -> trio.Event:
        """Set the next time that anything changes in what is on offer, or about to be."""
        return self._changed.next_event()

    async def wait_for_offer(self) -> None:
        """Wait until something is on offer, unless nothing is about to be."""
        index = self._ledger.state.runs[self._run]
        while not index.offered and self.is_about_to_launch:
            await self._changed.wait()

    async def launch_screening_unit(self, data: Update, take: Take, actor: str) -> AppendResult:
        """Make a screening unit for a worker; see `launch_evaluation_unit`."""
        return await self.launch_evaluation_unit(data, SCREENING_UNIT_INDEX, take, actor)

    async def launch_gold_unit(self, data: Update, take: Take, actor: str) -> AppendResult:
        """Make a gold unit for a worker; see `launch_evaluation_unit`."""
        return await self.launch_evaluation_unit(data, GOLD_UNIT_INDEX, take, actor)

    async def launch_evaluation_unit(self, data: Update, unit_type_index: int, take: Take, actor: str) -> AppendResult:
        """Make a unit for one worker. Nobody else can get it: it is launched and assigned in one append.

        It is paid like any unit. It counts neither against `max_num_concurrent_units` nor against the worker's maximum.

        Args:
            data: what its page gets.
            unit_type_index: a negative index.
            take: decides whether the worker gets it; the events make, launch and assign it, or are others.
            actor: who asks for it.
        """
        payload = seal(encoded(InitializationData(shared=data), self._max_item_bytes), self._ids.salt())
        unit = UnitPlan(UnitId(self._ids.next_id("unit")), unit_type_index, self._pay_cents)
        assignment = AssignmentId(self._ids.next_id("assignment"))
        plan = AssignmentPlan(assignment, unit_type_index, payload.ref, (unit,))
        decide = partial(take, plan=plan)
        return await self._ledger.execute(Command(self._ids.command_id(), actor, decide, payloads=(payload,)))

    async def expire_units(
        self, progress: Callable[[int, int], None] | None = None, *, reason: str = "the run is stopping"
    ) -> None:
        """Take everything off the market that nobody works on, and launch nothing more.

        Args:
            progress: called with how many units are seen to, of how many.
            reason: why, for the log.
        """
        self._stopped = True
        self._changed.notify()
        index = self._ledger.state.runs[self._run]
        units = sorted(index.open_units)
        for start in range(0, len(units), CHUNK):
            chunk = units[start : start + CHUNK]
            await self._record(partial(decide_expire_units, run=self._run, units=chunk, reason=reason))
            if progress is not None:
                progress(start + len(chunk), len(units))

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Look for room whenever a unit's status has changed. For the run's subscription."""
        self._reassignments.on_committed(events)
        created = (recorded.envelope.event for recorded in events)
        self._created_units.extend(unit.unit for unit in created if isinstance(unit, UnitCreated) and unit.index >= 0)
        if any(type(recorded.envelope.event) in UNIT.events for recorded in events):
            self._changed.notify()

    # ----------------------------------------------------------------------------------------------------------------

    def _next_batch(self) -> list[UnitId]:
        count = int(min(self._free_places(), CHUNK, len(self._created_units)))
        return list(islice(self._created_units, count)) if count > 0 and self._can_pay_next() else []

    async def _launch(self, batch: list[UnitId]) -> None:
        """Put units on offer; those that the budget does not pay for go on waiting."""
        await self._record(partial(decide_launch_units, run=self._run, units=batch))
        units = self._ledger.state.units
        while self._created_units:
            if units[streams.unit(self._run, self._created_units[0])].status is UnitStatus.CREATED:
                break
            self._created_units.popleft()
        self._changed.notify()

    def _can_pay_next(self) -> bool:
        """Whether the budget pays for the next assignment that is put on offer; of one not yet read, for a unit."""
        state, created = self._ledger.state, self._created_units
        budget = state.runs[self._run].budget
        if not created:
            return budget.fits(budget.cost_of_unit(self._pay_cents))
        assignment = state.units[streams.unit(self._run, created[0])].assignment
        return budget.fits(cost_of_offer(state, self._run, assignment))

    def _units_out(self) -> int:
        """How many units are on offer or in work."""
        by_status = self._ledger.state.runs[self._run].units_by_status
        return by_status.get(UnitStatus.LAUNCHED, 0) + by_status.get(UnitStatus.ASSIGNED, 0)

    def _free_places(self) -> float:
        """How many more units may be out."""
        return self._room - self._units_out()

    async def _skip(self, number: int, receiver: trio.MemoryReceiveChannel[InitializationData]) -> None:
        """Read an item that was made an assignment of before.

        Raises:
            LaunchError: there is another one in its place, or none.
        """
        assignment = self._ledger.state.runs[self._run].assignments[number]
        fact = self._ledger.state.records[streams.assignment(self._run, assignment)].fact
        body = self._ledger.log.payload(fact.data) if isinstance(fact, AssignmentCreated) else None
        try:
            again = self._encoded(await receiver.receive(), number)
        except trio.EndOfChannel:
            again = b"no item at all"
        if body is not None and again != body:
            reason = (
                f"item {number + 1} is not what it was when the run began; the run can only go on with the same data"
            )
            raise LaunchError("assignment data", reason)

    async def _create(self, data: list[InitializationData]) -> bool:
        """Create assignments, unless the run is stopping: nobody would expire them. Whether they were created."""
        plans: list[AssignmentPlan] = []
        payloads: list[Payload] = []
        for item in data:
            payload = seal(self._encoded(item, self.created), self._ids.salt())
            payloads.append(payload)
            plans.append(self._plan(item, payload.ref))

        def decide(state: DecisionState) -> list[NewEvent]:
            live = state.task_runs[streams.task_run(self._run)].status is TaskRunStatus.LIVE
            return decide_create_assignments(self._run, plans) if live else []

        return bool((await self._record(decide, *payloads)).events)

    def _encoded(self, item: InitializationData, number: int) -> bytes:
        try:
            return encoded(item, self._max_item_bytes)
        except ConfigError as error:
            raise LaunchError("assignment data", f"item {number + 1} {error}") from error

    def _plan(self, item: InitializationData, data: PayloadRef) -> AssignmentPlan:
        """What is to be made of an item.

        Raises:
            LaunchError: its workers would wait for each other for ever, as not all of its units may be out at a time.
        """
        if self._concurrent and len(item.unit_data) > self._room:
            reason = (
                f"item {self.created + 1} is for {len(item.unit_data)} workers together, and "
                f"mephisto.task.max_num_concurrent_units is {self._room}; raise that"
            )
            raise LaunchError("assignment data", reason)
        units = tuple(
            UnitPlan(UnitId(self._ids.next_id("unit")), index, self._pay_cents) for index in range(len(item.unit_data))
        )
        number, self.created = self.created, self.created + 1
        return AssignmentPlan(AssignmentId(self._ids.next_id("assignment")), number, data, units)

    def _exhausted_event(self) -> TaskRunDataExhausted:
        return TaskRunDataExhausted(assignments=self.created)

    async def _read_data(self, sender: trio.MemorySendChannel[InitializationData]) -> None:
        async with sender:
            try:
                await send_all(self._data, sender)
            except trio.Cancelled:
                raise
            except Exception as error:
                raised = error.__cause__ if isinstance(error, UserCodeError) else error
                if isinstance(raised, ConfigError):
                    reason = str(raised)
                else:
                    reason = f"the data's own code raised {type(raised).__name__}"
                created = f"{self.created} assignments were created"
                raise LaunchError("assignment data", f"{reason} ({created})") from error

    async def _record(self, decide: Callable[[DecisionState], Sequence[NewEvent]], *payloads: Payload) -> AppendResult:
        return await self._ledger.execute(Command(self._ids.command_id(), "operator", decide, payloads=payloads))
