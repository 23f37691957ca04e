"""Samples the course of a run over time, for plots. The number of samples is bounded, however long the run.

The samples are updated with new events only, so the plot of a live run can be redrawn every second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from ....core.lifecycles.unit import UnitStatus
from ....core.state.status_fold import STATUS_AFTER
from ....events import streams
from ....events.agent import (
    AgentApproved,
    AgentBonusGranted,
    AgentLateAccepted,
    AgentSubmitted,
    AgentVerdictWithdrawn,
)
from ....events.base import Event
from ....events.envelope import RecordedEvent
from ....events.ids import TaskRunId
from ....events.task_run import TaskRunCompleted, TaskRunFailed, TaskRunRecovering, TaskRunReopened
from ....events.unit import UnitCreated
from .run_status import COMMITTED_UNIT_STATUSES, HOLDING_STATUSES, OFFERED_UNIT_STATUSES

#: Maximum number of samples per run; beyond that, adjacent samples are merged in pairs.
MAX_SAMPLES = 400
#: Initial interval between samples, in microseconds.
INITIAL_STEP_US = 1000

_ORDER = tuple(status.value for status in UnitStatus)
_ENDS = (TaskRunCompleted, TaskRunFailed)
_CONTINUATIONS = (TaskRunReopened, TaskRunRecovering)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a run from a time until the next sample."""

    #: Microseconds since the epoch.
    at: int
    #: Number of units by status, in lifecycle order; statuses without units are omitted.
    units: dict[str, int]
    #: Number of agents that hold a unit.
    agents_at_work: int
    #: Number of submissions since the run began.
    submitted: int
    #: Value of the units in work, waiting for review, or to be paid; includes bonuses, and late work that is only paid.
    committed_cents: int
    #: Value of the units not assigned to anybody yet.
    offered_cents: int


class RunSeries(msgspec.Struct, frozen=True):
    """The course of a run."""

    task_run_id: TaskRunId
    #: The first is the beginning of the run, the last its current state.
    samples: tuple[Sample, ...]


class LogSeries:
    """The series of all runs in a log.

    Attributes:
        seq: the position up to which events were applied.
    """

    def __init__(self) -> None:
        self.seq = 0
        self._runs: dict[str, _RunFold] = {}

    def apply_events(self, events: Iterable[RecordedEvent]) -> None:
        """Apply the events after `seq`, in log order."""
        for recorded in events:
            envelope = recorded.envelope
            partition = streams.partition_of(envelope.stream)
            if partition != streams.DIRECTORY:
                fold = self._runs.get(partition)
                if fold is None:
                    fold = self._runs[partition] = _RunFold()
                fold.apply(envelope.at, envelope.stream, envelope.event)
            self.seq = recorded.seq

    def run(self, run: TaskRunId) -> RunSeries:
        """Return the series of a run, without samples if the run does not exist yet."""
        fold = self._runs.get(streams.partition_of_run(run))
        return RunSeries(run, tuple(fold.samples()) if fold else ())


class _RunFold:
    """Accumulates the samples of one run."""

    def __init__(self) -> None:
        self._statuses: dict[str, str] = {}
        self._worth: dict[str, int] = {}
        self._units = Counter[str]()
        self._cents = Counter[str]()
        self._at_work: set[str] = set()
        self._submitted = 0
        self._bonus_cents = 0
        self._past: list[Sample] = []
        self._began: int | None = None
        self._step = INITIAL_STEP_US
        self._at = 0
        self._has_ended = False

    def apply(self, at: int, stream: str, event: Event) -> None:
        """Apply an event of the run."""
        # What is decided after the end changes the last sample, and makes the run no longer.
        self._has_ended = isinstance(event, _ENDS) or (self._has_ended and not isinstance(event, _CONTINUATIONS))
        if self._has_ended and not isinstance(event, _ENDS):
            at = self._at
        if self._began is None:
            self._began = self._at = at
        elif self._slot(at) != self._slot(self._at) or (not self._past and at != self._began):
            self._keep()
        self._at = at
        category = streams.category_of(stream)
        if category == "unit":
            self._apply_unit(stream, event)
        elif category == "agent":
            self._apply_agent(stream, event)

    def samples(self) -> list[Sample]:
        """Return the samples kept so far, and the current one."""
        return [*self._past, self._current()]

    def _apply_unit(self, stream: str, event: Event) -> None:
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

    def _apply_agent(self, stream: str, event: Event) -> None:
        after = STATUS_AFTER.get(type(event))
        if after in HOLDING_STATUSES:
            self._at_work.add(stream)
        elif after is not None:
            self._at_work.discard(stream)
        if isinstance(event, AgentSubmitted):
            self._submitted += 1
        elif isinstance(event, AgentApproved | AgentBonusGranted):
            self._bonus_cents += event.bonus_cents
        elif isinstance(event, AgentVerdictWithdrawn):
            self._bonus_cents -= event.bonus_cents
        elif isinstance(event, AgentLateAccepted):
            self._bonus_cents += event.pay_only_cents

    def _current(self) -> Sample:
        return Sample(
            at=self._at,
            units={status: self._units[status] for status in _ORDER if self._units[status]},
            agents_at_work=len(self._at_work),
            submitted=self._submitted,
            committed_cents=self._sum(COMMITTED_UNIT_STATUSES) + self._bonus_cents,
            offered_cents=self._sum(OFFERED_UNIT_STATUSES),
        )

    def _sum(self, statuses: frozenset[str]) -> int:
        return sum(self._cents[status] for status in statuses)

    def _slot(self, at: int) -> int:
        return (at - (self._began or 0)) // self._step

    def _keep(self) -> None:
        """Keep the current sample. Each slot keeps its last sample; the first sample of all is always kept."""
        self._past.append(self._current())
        while len(self._past) > MAX_SAMPLES:
            self._step *= 2
            first, *others = self._past
            self._past = [first, *{self._slot(sample.at): sample for sample in others}.values()]
