"""Makes an assignment for several workers again after somebody left it, with new units and the same data.

What the partners submitted stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....events import streams
from ....events.envelope import RecordedEvent
from ....events.ids import AssignmentId, TaskRunId, UnitId
from ....events.unit import UnitExpired
from ...command_issuer import CommandIssuer
from ...commands.task_run import AssignmentPlan, RepeatAssignment, UnitPlan
from ...decisions.launch_work import original_of, wants_repeat
from ...ledger import Ledger
from ...ports import Ids


class Reassignments:
    """The assignments of one run that have to be made again."""

    def __init__(self, ledger: Ledger, ids: Ids, run: TaskRunId, maximum: int) -> None:
        """Keep the parts.

        Args:
            ledger: takes the commands.
            ids: source of ids.
            run: the run.
            maximum: number of times that the same data may be made into an assignment again.
        """
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids)
        self._run = run
        self._maximum = maximum
        #: The one that has waited longest comes first.
        self._waiting: dict[AssignmentId, None] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def resume(self) -> None:
        """Find the assignments that an earlier process of the run did not make again."""
        if self._maximum:
            for assignment in self._ledger.state.runs[self._run].units_of:
                self._check(assignment)

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Check assignments that lost a unit, among durable events of the run."""
        if self._maximum:
            for recorded in events:
                if isinstance(recorded.envelope.event, UnitExpired):
                    self._check(self._ledger.state.units[recorded.envelope.stream].assignment)

    async def make_next(self) -> None:
        """Make the next one, unless it is no longer wanted; its units are created and not yet launched."""
        state, assignment, run = self._ledger.state, next(iter(self._waiting)), self._run
        created = original_of(state, run, assignment)
        units = [state.units[streams.unit(run, unit)] for unit in state.runs[run].units_of[assignment]]
        fresh = tuple(UnitPlan(UnitId(self._ids.next_id("unit")), unit.index, unit.pay_cents) for unit in units)
        plan = AssignmentPlan(AssignmentId(self._ids.next_id("assignment")), created.number, created.data, fresh)
        await self._issuer.issue(
            RepeatAssignment(task_run=run, assignment=assignment, plan=plan, max_repeats=self._maximum)
        )
        # Not earlier: the run does not end while this is not empty.
        del self._waiting[assignment]

    def _check(self, assignment: AssignmentId) -> None:
        if wants_repeat(self._ledger.state, self._run, assignment, self._maximum):
            self._waiting.setdefault(assignment)
