"""The invariants of several operators on one log: what each may write, and the limits that hold for all of them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import trio

from mephisto_es.core.command_issuer import OPERATOR
from mephisto_es.core.lifecycles.engagement import ON_SUBMITTED
from mephisto_es.core.signal import Signal
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentAccepted
from mephisto_es.events.engagement import AllWorkEnded, CallbackAnswered, WorkEnded, WorkStarted
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import AgentId, TaskRunId, UnitId, WorkerId
from mephisto_es.events.records import TaskRegistered
from mephisto_es.events.task_run import (
    CallbackFailed,
    TaskRunAdmissionPaused,
    TaskRunAdmissionResumed,
    TaskRunCompleted,
    TaskRunCreated,
    TaskRunFailed,
    TaskRunPaused,
    TaskRunRecovering,
    TaskRunStopping,
    TaskRunWentLive,
)
from mephisto_es.events.worker import WorkerBlocked, WorkerUnblocked

from .faults import EPOCH_US
from .invariants import StoredLog
from .rules import UNCOUNTED

#: Seconds within which an operator that nothing disturbs has asked its code again.
RETRY_SECONDS = 30.0
#: Seconds for which an operator may be away, or slow, after something has disturbed it.
DISTURBED_SECONDS = 60.0

#: Printed by a long simulation: what was checked.
COMMON_INVARIANTS = (
    "an operator is told of each event of the common log once and in order, and its state is the fold of them",
    "a run is taken over from an operator that was silent for its lease, or has left, and that one writes nothing more",
    "of several standbys one launches the run",
    "the maximum of a task holds over all of its runs, and a block from the next turn on, wherever it was given",
    "code that has failed is asked again when somebody on another machine wants that",
)


@dataclass
class CommonRecord:
    """Everything that machines did to each other, noted without their help.

    Attributes:
        turns: the position at which the turn of each command began.
        written: notified when something was written.
        disturbed: the times of faults, in seconds.
        done: how often what happened, by kind.
    """

    lease_seconds: float
    drivers: dict[TaskRunId, str] = field(default_factory=dict)
    heard_at: dict[str, float] = field(default_factory=dict)
    #: Processes that something was taken from.
    deposed: set[str] = field(default_factory=set)
    turns: dict[str, int] = field(default_factory=dict)
    written: Signal = field(default_factory=Signal)
    disturbed: list[float] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    _epochs: int = 0

    def next_epoch(self) -> int:
        """Return a number that no other process has or had."""
        self._epochs += 1
        return self._epochs

    def note_driver(self, run: TaskRunId, process: str) -> None:
        """Note that a process has taken a run."""
        before = self.drivers.get(run)
        self.heard_at.setdefault(process, trio.current_time())
        if before is not None and before != process and before not in self.deposed:
            silent = trio.current_time() - self.heard_at[before]
            is_over = silent >= self.lease_seconds or math.isclose(silent, self.lease_seconds, abs_tol=1e-6)
            assert is_over, f"{process} took run {run} from {before}, silent for {silent:g} s"
            self.deposed.add(before)
            self.done["run taken over"] += 1
        self.drivers[run] = process

    def note_given(self, run: TaskRunId, process: str) -> None:
        """Note that a process has given a run back."""
        if self.drivers.get(run) == process:
            del self.drivers[run]

    def note_left(self, process: str) -> None:
        """Note that a process has given everything back."""
        self.drivers = {run: one for run, one in self.drivers.items() if one != process}

    def note_beat(self, process: str) -> None:
        """Note a sign of life."""
        self.heard_at[process] = trio.current_time()

    def note_written(self, process: str, events: Sequence[RecordedEvent], begun_at: int) -> None:
        """Note what a process has written, and the position at which its turn began."""
        assert process not in self.deposed, f"{process} wrote seq {events[0].seq} after it had lost its runs"
        for recorded in events:
            self.turns[recorded.envelope.command] = begun_at
        self.written.notify()

    def is_calm(self, since: float, until: float) -> bool:
        """Return whether nothing was disturbed at a time, nor shortly before."""
        return not any(since - DISTURBED_SECONDS <= at <= until for at in self.disturbed)


def check_common(log: StoredLog, record: CommonRecord, standby_tasks: Collection[str], maximum: int) -> None:
    """Check what holds for all operators together.

    Args:
        log: the common log.
        record: what was noted of the machines.
        standby_tasks: tasks that have one run at a time.
        maximum: the maximum of units per worker, over all runs of each task that has one; 0: no task has one.
    """
    _check_launches(log, standby_tasks)
    _check_blocks(log, record)
    _check_maximum(log, maximum)
    _check_retries(log, record)


def _check_launches(log: StoredLog, standby_tasks: Collection[str]) -> None:
    names: dict[int, str] = {}
    under_way: dict[str, TaskRunId] = {}
    for seq, envelope in log.read():
        match envelope.event:
            case TaskRegistered(task=task, name=name):
                names[task] = name
            case TaskRunCreated(task_run=run, task=task) if names[task] in standby_tasks:
                other = under_way.get(names[task])
                assert other is None, f"seq {seq}: run {run} of {names[task]} was launched beside run {other}"
                under_way[names[task]] = run
            case TaskRunCompleted() | TaskRunFailed():
                ended = streams.run_of(envelope.stream)
                under_way = {name: run for name, run in under_way.items() if run != ended}
            case _:
                pass


def _check_blocks(log: StoredLog, record: CommonRecord) -> None:
    """Nobody got work in a turn that began after a block."""
    blocked_at: dict[str, int] = {}
    for seq, envelope in log.read():
        if isinstance(envelope.event, WorkerBlocked):
            blocked_at[envelope.stream] = seq
        elif isinstance(envelope.event, WorkerUnblocked):
            del blocked_at[envelope.stream]
        elif isinstance(envelope.event, AgentAccepted):
            worker = streams.worker(envelope.event.worker)
            begun_at = record.turns[envelope.command]
            assert blocked_at.get(worker, begun_at + 1) > begun_at, f"seq {seq}: {worker} is blocked, and got work"


def _check_maximum(log: StoredLog, maximum: int) -> None:
    """No worker got more units than the maximum in all runs of a task together."""
    task_of: dict[TaskRunId, int] = {}
    limited: set[int] = set()
    counted: Counter[tuple[int, WorkerId]] = Counter()
    worker_of: dict[AgentId, WorkerId] = {}
    uncounted: set[AgentId] = set()
    for seq, envelope in log.read():
        event = envelope.event
        if isinstance(event, TaskRunCreated):
            task_of[event.task_run] = event.task
            if event.maximum_units_per_worker:
                assert (event.maximum_units_per_worker, event.maximum_is_per_task) == (maximum, True)
                limited.add(event.task)
        elif isinstance(event, AgentAccepted):
            worker_of[event.agent] = event.worker
        elif isinstance(event, WorkStarted | WorkEnded | AllWorkEnded):
            task, worker = task_of[streams.run_of(envelope.stream)], worker_of[event.agent]
            if isinstance(event, WorkStarted):
                has = counted[task, worker]
                assert task not in limited or has < maximum, f"seq {seq}: worker-{worker} had {has} units of the task"
                if event.counts:
                    counted[task, worker] += 1
                else:
                    uncounted.add(event.agent)
            elif event.outcome in UNCOUNTED and event.agent not in uncounted:
                counted[task, worker] -= 1


def _check_retries(log: StoredLog, record: CommonRecord) -> None:
    """Of the submissions that code has failed on, some is asked about again soon after somebody wanted that."""
    failed: defaultdict[TaskRunId, set[UnitId]] = defaultdict(set)
    #: Submissions that are to be asked about, since when, and at which position that was wanted.
    wanted: dict[TaskRunId, tuple[set[UnitId], float, int]] = {}
    live: set[TaskRunId] = set()
    for seq, envelope in log.read():
        event, now = envelope.event, (envelope.at - EPOCH_US) / 1_000_000
        for run, (units, since, at) in list(wanted.items()):
            if now > since + RETRY_SECONDS:
                is_calm = record.is_calm(since, now)
                assert not is_calm, f"seq {at}: the code of run {run} was not asked again about units {sorted(units)}"
                del wanted[run]
        match event:
            case CallbackFailed(function=function, unit=unit) if function == ON_SUBMITTED and unit is not None:
                failed[streams.run_of(envelope.stream)].add(unit)
                _drop(wanted, streams.run_of(envelope.stream), unit)
            case CallbackAnswered(callback=callback, unit=unit) if callback == ON_SUBMITTED:
                failed[streams.run_of(envelope.stream)].discard(unit)
                _drop(wanted, streams.run_of(envelope.stream), unit)
            case TaskRunAdmissionResumed() if envelope.actor != OPERATOR:
                run = streams.run_of(envelope.stream)
                if failed[run] and run in live:
                    wanted[run] = set(failed[run]), now, seq
                    record.done["asked again from another machine"] += 1
            case TaskRunWentLive():
                live.add(streams.run_of(envelope.stream))
            case TaskRunAdmissionPaused():
                wanted.pop(streams.run_of(envelope.stream), None)
            case TaskRunPaused() | TaskRunStopping() | TaskRunRecovering():
                live.discard(streams.run_of(envelope.stream))
                wanted.pop(streams.run_of(envelope.stream), None)
            case _:
                pass


def _drop(wanted: dict[TaskRunId, tuple[set[UnitId], float, int]], run: TaskRunId, unit: UnitId) -> None:
    """Note that a submission was asked about again."""
    if run in wanted and unit in wanted[run][0]:
        del wanted[run]
