"""How a run went over time, for plots: a fold of the log into so many samples, however long the run.

A fold goes on with the events that came since, so that a living run can be drawn again each second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from ....core.lifecycles.unit import UnitStatus
from ....core.state.status_fold import STATUS_AFTER
from ....events import streams
from ....events.agent import AgentApproved, AgentBonusGranted, AgentSubmitted
from ....events.base import Event
from ....events.envelope import RecordedEvent
from ....events.ids import TaskRunId
from ....events.unit import UnitCreated
from .run_status import COMMITTED_UNIT_STATUSES, HOLDING_STATUSES, OFFERED_UNIT_STATUSES

#: Samples of one run at most; when there are more, each two that are next to each other become one.
MOST_SAMPLES = 400
#: How far apart the samples of a run are at first, in microseconds.
FIRST_STEP_US = 1000

_ORDER = tuple(status.value for status in UnitStatus)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was like from a time on, until the next sample."""

    #: Microseconds since the epoch.
    at: int
    #: Number of units by status, in the statuses' natural order; a status that nothing has is left out.
    units: dict[str, int]
    #: Agents that have a unit.
    agents_at_work: int
    #: Submissions since the run began.
    handed_in: int
    #: What units at work, waiting for review, or to be paid are worth; with bonuses.
    committed_cents: int
    #: What units are worth that nobody has yet.
    offered_cents: int


class RunSeries(msgspec.Struct, frozen=True):
    """How a run went."""

    task_run_id: TaskRunId
    #: The first is the run's beginning, the last is where it stands.
    samples: tuple[Sample, ...]


class LogSeries:
    """The series of all runs in a log, as far as it was carried in.

    Attributes:
        seq: the position up to which events were carried in.
    """

    def __init__(self) -> None:
        self.seq = 0
        self._runs: dict[str, _RunFold] = {}

    def carry(self, events: Iterable[RecordedEvent]) -> None:
        """Go on with the events after `seq`, in the order of the log."""
        for recorded in events:
            envelope = recorded.envelope
            partition = streams.partition_of(envelope.stream)
            if partition != streams.DIRECTORY:
                fold = self._runs.get(partition)
                if fold is None:
                    fold = self._runs[partition] = _RunFold()
                fold.carry(envelope.at, envelope.stream, envelope.event)
            self.seq = recorded.seq

    def run(self, run: TaskRunId) -> RunSeries:
        """The series of a run; without samples if the log does not have that run yet."""
        fold = self._runs.get(streams.partition_of_run(run))
        return RunSeries(run, tuple(fold.samples()) if fold else ())


class _RunFold:
    """One run."""

    def __init__(self) -> None:
        self._statuses: dict[str, str] = {}
        self._worth: dict[str, int] = {}
        self._units = Counter[str]()
        self._cents = Counter[str]()
        self._at_work: set[str] = set()
        self._handed_in = 0
        self._bonus_cents = 0
        self._past: list[Sample] = []
        self._began: int | None = None
        self._step = FIRST_STEP_US
        self._at = 0

    def carry(self, at: int, stream: str, event: Event) -> None:
        """Go on with an event of the run."""
        if self._began is None:
            self._began = self._at = at
        elif self._slot(at) != self._slot(self._at) or (not self._past and at != self._began):
            self._keep()
        self._at = at
        category = streams.category_of(stream)
        if category == "unit":
            self._carry_unit(stream, event)
        elif category == "agent":
            self._carry_agent(stream, event)

    def samples(self) -> list[Sample]:
        """All that were kept, and the present one."""
        return [*self._past, self._present()]

    def _carry_unit(self, stream: str, event: Event) -> None:
        after = STATUS_AFTER.get(type(event))
        if after is None:
            return
        if isinstance(event, UnitCreated):
            self._worth[stream] = event.pay_cents
        before, worth = self._statuses.get(stream), self._worth[stream]
        if before is not None:
            self._units[before] -= 1
            self._cents[before] -= worth
        self._statuses[stream] = after
        self._units[after] += 1
        self._cents[after] += worth

    def _carry_agent(self, stream: str, event: Event) -> None:
        after = STATUS_AFTER.get(type(event))
        if after in HOLDING_STATUSES:
            self._at_work.add(stream)
        elif after is not None:
            self._at_work.discard(stream)
        if isinstance(event, AgentSubmitted):
            self._handed_in += 1
        elif isinstance(event, AgentApproved | AgentBonusGranted):
            self._bonus_cents += event.bonus_cents

    def _present(self) -> Sample:
        return Sample(
            at=self._at,
            units={status: self._units[status] for status in _ORDER if self._units[status]},
            agents_at_work=len(self._at_work),
            handed_in=self._handed_in,
            committed_cents=self._sum(COMMITTED_UNIT_STATUSES) + self._bonus_cents,
            offered_cents=self._sum(OFFERED_UNIT_STATUSES),
        )

    def _sum(self, statuses: frozenset[str]) -> int:
        return sum(self._cents[status] for status in statuses)

    def _slot(self, at: int) -> int:
        return (at - (self._began or 0)) // self._step

    def _keep(self) -> None:
        """Keep the present sample; of the samples in one slot the last stays, and the very first."""
        self._past.append(self._present())
        while len(self._past) > MOST_SAMPLES:
            self._step *= 2
            first, *others = self._past
            self._past = [first, *{self._slot(sample.at): sample for sample in others}.values()]
