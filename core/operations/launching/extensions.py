"""Follows what a run is given in addition while it is live: items of data, and units of its assignments."""

from __future__ import annotations

import msgspec
import trio

from ....events import streams
from ....events.ids import TaskRunId, UnitId
from ...abstractions.blueprint import AssignmentData
from ...abstractions.work_data import InitializationData
from ...command_issuer import CommandIssuer
from ...commands.task_run import AddedUnit, AddUnits, ExhaustData, UnitPlan
from ...errors import LaunchError
from ...ledger import Ledger
from ...lifecycles.task_run import TaskRunState
from ...ports import Ids
from .assignment_data import DATA_STEP, data_error, send_all

#: Maximum number of units in one command.
MAX_CHUNK = 200

_items = msgspec.json.Decoder(list[InitializationData])


class RunExtensions:
    """The additions to one run.

    A run's items are those of its data, and then those that were added, in this order. Once all of them have been made
    into assignments the data is exhausted; only what is added later is read then.
    """

    def __init__(self, ledger: Ledger, ids: Ids, run: TaskRunId, pay_cents: int, *, concurrent: bool) -> None:
        """Keep the parts.

        Args:
            ledger: takes the commands.
            ids: source of ids.
            run: the run.
            pay_cents: pay for a unit, in cents.
            concurrent: whether the units of an assignment are worked on together; their number stays as it is then.
        """
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids)
        self._run = run
        self._pay_cents = pay_cents
        self._concurrent = concurrent
        self._is_data_read = False
        #: Additions that were read since the data was last exhausted.
        self._additions_read = 0
        #: Units per assignment up to which units were added.
        self._raised_to = 0

    @property
    def first_number(self) -> int:
        """Number of the first item that is read: all items before it are exhausted."""
        return self._state.exhausted_at or 0

    async def read(self, data: AssignmentData, sender: trio.MemorySendChannel[InitializationData]) -> None:
        """Send the items that were not sent before: those of the data, unless it was exhausted, and of all additions.

        Raises:
            LaunchError: the data's own code raised, or an addition is no longer in the log.
        """
        async with sender:
            if not self._is_data_read and self._state.exhausted_at is None:
                try:
                    await send_all(data, sender)
                except trio.Cancelled:
                    raise
                except Exception as error:
                    raise data_error(error, len(self._ledger.state.runs[self._run].assignments)) from error
            self._is_data_read = True
            while self._additions_read < len(self._state.added):
                await self._ledger.wait_durable(streams.task_run(self._run))
                for item in self._items(self._additions_read):
                    await sender.send(item)
                self._additions_read += 1

    def _items(self, addition: int) -> list[InitializationData]:
        body = self._ledger.log.payload(self._state.added[addition].data)
        if body is None:
            raise LaunchError(DATA_STEP, "items that were added to the run are no longer in the log")
        return _items.decode(body)

    async def record_exhausted(self, assignments: int) -> None:
        """Record that all items were made into assignments, unless more were added meanwhile.

        Args:
            assignments: their number.
        """
        command = ExhaustData(task_run=self._run, assignments=assignments, additions=self._additions_read)
        if (await self._issuer.issue(command)).events:
            self._additions_read = 0

    @property
    def is_raising(self) -> bool:
        """True while assignments lack units that they are to have in addition."""
        return not self._concurrent and self._raised_to < self._state.units_per_assignment

    async def add_units(self) -> None:
        """Create the units that assignments lack; they are created and not yet launched."""
        target = self._state.units_per_assignment
        index = self._ledger.state.runs[self._run]
        lacking = [
            (assignment, number)
            for assignment in index.assignments
            for number in range(len(index.units_of[assignment]), target)
        ]
        for start in range(0, len(lacking), MAX_CHUNK):
            units = tuple(
                AddedUnit(assignment, UnitPlan(UnitId(self._ids.next_id("unit")), number, self._pay_cents))
                for assignment, number in lacking[start : start + MAX_CHUNK]
            )
            await self._issuer.issue(AddUnits(task_run=self._run, further=units))
        self._raised_to = target

    def units_of(self, item: InitializationData) -> int:
        """Return the number of units that an item gets."""
        return len(item.unit_data) if self._concurrent else max(len(item.unit_data), self._state.units_per_assignment)

    @property
    def _state(self) -> TaskRunState:
        return self._ledger.state.task_runs[streams.task_run(self._run)]
