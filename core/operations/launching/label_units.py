"""Gives items further units until their label is sure enough, by the answers that were submitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

import msgspec
import trio

from ....events import streams
from ....events.assignment import AssignmentExtended, AssignmentLabelled, AssignmentSettled
from ....events.envelope import RecordedEvent
from ....events.ids import AgentId, AssignmentId, TaskRunId, UnitId
from ....events.unit import (
    UnitAccepted,
    UnitCompleted,
    UnitExpired,
    UnitLateAccepted,
    UnitRejected,
    UnitReleased,
    UnitReopened,
    UnitSoftRejected,
    UnitVerdictWithdrawn,
)
from ...command_issuer import CommandIssuer
from ...commands.labels import AssessLabels, ItemAnswers, LabelPlan
from ...commands.task_run import UnitPlan
from ...ledger import Ledger
from ...lifecycles.unit import OPEN_UNIT_STATUSES, UnitStatus
from ...ports import Ids
from ...state.label_model import LabelModel, estimated_accuracy

#: Maximum number of items in one command.
MAX_CHUNK = 100
#: A submission that is larger is not read: it would hold up everybody else.
MAX_READ_BYTES = 256 * 1024

#: Events after which an item may lack answers, or have enough.
_CHANGES = (
    UnitCompleted,
    UnitAccepted,
    UnitLateAccepted,
    UnitSoftRejected,
    UnitRejected,
    UnitVerdictWithdrawn,
    UnitReleased,
    UnitExpired,
    UnitReopened,
)


class LabelUnits:
    """The further units of one run's items.

    Whenever the work on a unit ends or gets a verdict, or a reviewer decides on an item's label, the item is assessed
    again; the decision is made by the ledger.
    After a restart all items are: those that have what they need stay as they are.

    Attributes:
        opened: number of further units, without those that were withdrawn.
    """

    def __init__(self, ledger: Ledger, ids: Ids, run: TaskRunId, plan: LabelPlan | None, pay_cents: int) -> None:
        """Keep the parts.

        Args:
            ledger: takes the commands.
            ids: source of ids.
            run: the run.
            plan: what answers are looked at; None if items get no further units.
            pay_cents: pay for a unit, in cents.
        """
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids)
        self._run = run
        self._plan = plan
        self._pay_cents = pay_cents
        #: Items to be assessed; the one that has waited longest comes first.
        self._waiting: dict[AssignmentId, None] = {}
        self._is_assessing = False
        #: The numbers of answers to each item by class, without zeros, and the number of items by these.
        self._pattern_of: dict[AssignmentId, tuple[int, ...]] = {}
        self._patterns: Counter[tuple[int, ...]] = Counter()
        self._is_counted = False
        self.opened = 0

    @property
    def is_due(self) -> bool:
        """True while an item waits to be assessed."""
        return bool(self._waiting)

    @property
    def is_busy(self) -> bool:
        """True while an item waits to be assessed, or is being assessed."""
        return bool(self._waiting or self._is_assessing)

    # Both ask the state and not only the durable events: an item whose last answer is not durable yet is not settled.

    @property
    def may_open_more(self) -> bool:
        """True until all items are settled."""
        index = self._ledger.state.runs[self._run]
        return self._plan is not None and (self.is_busy or len(index.settled) < len(index.assignments))

    @property
    def must_assess(self) -> bool:
        """True while an item that has no open unit is not settled. Takes time: every item is looked at."""
        if self._plan is None:
            return False
        index = self._ledger.state.runs[self._run]
        return self.is_busy or any(
            assignment not in index.settled and index.open_units.isdisjoint(index.units_of[assignment])
            for assignment in index.assignments
        )

    def resume(self) -> None:
        """Find the items that an earlier process of the run may not have assessed: all of them."""
        if self._plan is not None:
            state, run = self._ledger.state, self._run
            for assignment in state.runs[run].assignments:
                self._waiting[assignment] = None
                further = state.assignments[streams.assignment(run, assignment)].further
                statuses = (state.units[streams.unit(run, unit)].status for unit in further)
                self.opened += sum(status is not UnitStatus.EXPIRED for status in statuses)

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Note items whose units have changed, among durable events of the run."""
        if self._plan is None:
            return
        for recorded in events:
            event = recorded.envelope.event
            if isinstance(event, AssignmentExtended):
                self.opened += len(event.units)
            elif isinstance(event, AssignmentSettled):
                self.opened -= len(event.withdrawn)
            elif isinstance(event, AssignmentLabelled):
                self._waiting.setdefault(self._ledger.state.assignments[recorded.envelope.stream].created.assignment)
            elif isinstance(event, _CHANGES):
                unit = self._ledger.state.units[recorded.envelope.stream]
                if unit.index >= 0:
                    self._waiting.setdefault(unit.assignment)

    async def assess_next(self) -> None:
        """Assess the items that have waited longest; their further units are created and not yet launched.

        Raises:
            LogError: nothing was written, or it is not known whether it was.
        """
        if self._plan is None:
            return
        self._is_assessing = True
        try:
            await self._count_all(self._plan)
            batch = list(islice(self._waiting, MAX_CHUNK))
            for assignment in batch:
                # Whatever happens from now on lets it wait again.
                del self._waiting[assignment]
            await self._assess(self._plan, batch)
        finally:
            self._is_assessing = False

    async def _assess(self, plan: LabelPlan, batch: Sequence[AssignmentId]) -> None:
        found = [await self._answers_to(plan, assignment) for assignment in batch]
        answers = sum(sum(pattern) * items for pattern, items in self._patterns.items())
        classes, accuracy = len(plan.classes), plan.accuracy
        if accuracy is None:
            accuracy = estimated_accuracy(self._patterns, classes)
        model = LabelModel(classes, accuracy)
        command = AssessLabels(
            task_run=self._run,
            question=plan.answer,
            classes=plan.classes,
            accuracy=accuracy,
            estimated_from=answers if plan.accuracy is None else None,
            rule=plan.rule,
            items=tuple(self._with_units(plan, model, item) for item in found),
        )
        await self._issuer.issue(command)

    def _with_units(self, plan: LabelPlan, model: LabelModel, item: ItemAnswers) -> ItemAnswers:
        """Return the answers to an item with as many units as it lacks now."""
        units = self._ledger.state.units_of_assignment(self._run, item.assignment)
        counts = Counter(item.answers)
        wanted = model.further_answers([counts[number] for number in range(model.classes)], counts[None], plan.rule)
        missing = wanted - sum(unit.status in OPEN_UNIT_STATUSES for unit in units)
        further = tuple(
            UnitPlan(UnitId(self._ids.next_id("unit")), len(units) + number, self._pay_cents)
            for number in range(missing)
        )
        return msgspec.structs.replace(item, further=further)

    async def _count_all(self, plan: LabelPlan) -> None:
        """Count the answers that there were when the process started, before the first decision."""
        if not self._is_counted:
            for assignment in list(self._waiting):
                await self._answers_to(plan, assignment)
            self._is_counted = True

    async def _answers_to(self, plan: LabelPlan, assignment: AssignmentId) -> ItemAnswers:
        """Read the answers to an item, and count them for the accuracy."""
        await trio.lowlevel.checkpoint()
        agents = self._ledger.state.counted_agents(self._run, assignment)
        answers = tuple([await self._answer_of(plan, agent) for agent in agents])
        counts = Counter(answer for answer in answers if answer is not None)
        pattern = tuple(sorted(counts.values()))
        self._patterns[self._pattern_of.get(assignment, ())] -= 1
        self._patterns[pattern] += 1
        self._pattern_of[assignment] = pattern
        return ItemAnswers(assignment, agents, answers)

    async def _answer_of(self, plan: LabelPlan, agent: AgentId) -> int | None:
        """Return the class of an agent's answer; None if it is none of them, or was erased."""
        stream = streams.agent(self._run, agent)
        await self._ledger.wait_durable(stream)
        submission = self._ledger.state.agents[stream].submission
        if (
            submission is None
            or submission.size > MAX_READ_BYTES
            or (body := self._ledger.log.payload(submission)) is None
        ):
            return None
        try:
            answer = answer_text(msgspec.json.decode(body), plan.answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return plan.classes.index(answer) if answer in plan.classes else None


def answer_text(submission: object, field: str) -> str | None:
    """Return the value of a field as text: a text as it is, another value as JSON; None if there is none.

    Args:
        submission: the submission, decoded.
        field: the keys that lead to the value, with dots between them. A key may have dots in it.
    """
    if not isinstance(submission, dict):
        return None
    if field in submission:
        value = submission[field]
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()
    for key, inner in submission.items():
        if field.startswith(f"{key}.") and (found := answer_text(inner, field[len(key) + 1 :])) is not None:
            return found
    return None
