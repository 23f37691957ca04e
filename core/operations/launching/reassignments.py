"""Makes assignments for several workers once more when somebody has left one of them: with fresh units, and the same
data. What the partners handed in stays as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ....events import streams
from ....events.envelope import RecordedEvent
from ....events.ids import AssignmentId, TaskRunId, UnitId
from ....events.unit import UnitExpired
from ...decisions.launch_work import AssignmentPlan, UnitPlan, decide_repeat_assignment, original_of, wants_repeat
from ...ledger import Command, Ledger
from ...ports import Ids


class Repeats:
    """The assignments of one run that are to be made once more."""

    def __init__(self, ledger: Ledger, ids: Ids, run: TaskRunId, most: int) -> None:
        """Find those that an earlier process of the run has left.

        Args:
            ledger: the door.
            ids: where ids come from.
            run: the run.
            most: how often the same data is made an assignment again.
        """
        self._ledger = ledger
        self._ids = ids
        self._run = run
        self._most = most
        self._wanted: deque[AssignmentId] = deque()
        if most:
            for assignment in ledger.state.runs[run].units_of:
                self._look_at(assignment)

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Look at assignments that have lost a unit. For the run's subscription."""
        if self._most:
            for recorded in events:
                if isinstance(recorded.envelope.event, UnitExpired):
                    self._look_at(self._ledger.state.units[recorded.envelope.stream].assignment)

    async def make_next(self) -> None:
        """Make the next one, unless it is not wanted any more; its units are created and not yet on offer."""
        state, assignment, run, most = self._ledger.state, self._wanted[0], self._run, self._most
        created = original_of(state, run, assignment)
        units = [state.units[streams.unit(run, unit)] for unit in state.runs[run].units_of[assignment]]
        fresh = tuple(UnitPlan(UnitId(self._ids.next_id("unit")), unit.index, unit.pay_cents) for unit in units)
        plan = AssignmentPlan(AssignmentId(self._ids.next_id("assignment")), created.number, created.data, fresh)
        await self._ledger.execute(
            Command(
                self._ids.command_id(),
                "operator",
                lambda state: decide_repeat_assignment(state, run, assignment, plan, most),
            )
        )
        # Only now: as long as it is wanted the run does not end.
        self._wanted.popleft()

    def _look_at(self, assignment: AssignmentId) -> None:
        if wants_repeat(self._ledger.state, self._run, assignment, self._most) and assignment not in self._wanted:
            self._wanted.append(assignment)
