"""Shows progress bars on the terminal while units are launched and while they are expired.

The bars follow the log's events, so the code that launches or expires units does not know about them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ...core.lifecycles.unit import UnitStatus
from ...core.operations.operator import Operator
from ...events.envelope import RecordedEvent
from ...events.ids import TaskRunId
from ...events.streams import run_of
from ...events.task_run import TaskRunStopping
from ...events.unit import UnitExpired, UnitLaunched
from ..terminal import make_console

#: With fewer units, a bar would be gone before anybody could read it.
UNITS_WORTH_A_BAR = 500
LAUNCHING, EXPIRING = "launching", "expiring"


@contextmanager
def progress_bars(operator: Operator, console: Console | None = None) -> Iterator[None]:
    """Show bars for the runs of an operator during the block; nothing if there is no terminal.

    Args:
        operator: the operator.
        console: the console; by default standard error.
    """
    console = console or make_console(stderr=True)
    if not console.is_terminal:
        yield
        return
    # Drawn whenever something changes: automatic refreshing would take a thread.
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
        transient=True,
    )
    unsubscribe = operator.ledger.subscribe(_RunBars(operator, bars).on_committed)
    try:
        yield
    finally:
        unsubscribe()
        bars.stop()


class _RunBars:
    """The bars of an operator's runs."""

    def __init__(self, operator: Operator, bars: Progress) -> None:
        self._operator = operator
        self._state = operator.ledger.state
        self._bars = bars
        self._shown: dict[tuple[str, TaskRunId], TaskID] = {}
        #: Runs whose units were all launched once: later units come one by one.
        self._launched: set[TaskRunId] = set()
        #: The number of units that a stopping run had to expire.
        self._to_expire: dict[TaskRunId, int] = {}

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Follow durable events. Meant as a subscriber of the ledger."""
        kinds: dict[tuple[type, TaskRunId], None] = {}
        for recorded in events:
            kind = type(recorded.envelope.event)
            if kind in (UnitLaunched, UnitExpired, TaskRunStopping):
                kinds[kind, run_of(recorded.envelope.stream)] = None
        # A closed terminal must not stop a run.
        with suppress(OSError):
            for kind, run in kinds:
                self._follow(kind, run)

    def _follow(self, kind: type, run: TaskRunId) -> None:
        if kind is UnitLaunched:
            self._show_launched(run)
        elif kind is TaskRunStopping:
            self._end(LAUNCHING, run)
            self._to_expire[run] = self._unassigned_units(run)
        else:
            self._show_expired(run)

    def _show_launched(self, run: TaskRunId) -> None:
        live_run = self._operator.get_running_task_runs().get(str(run))
        if live_run is None or run in self._launched:
            return
        launcher, by_status = live_run.task_launcher, self._state.runs[run].units_by_status
        created = sum(by_status.values())
        total = launcher.planned_units
        if launcher.is_about_to_launch:
            self._show(LAUNCHING, run, created - by_status.get(UnitStatus.CREATED, 0), created, total)
        else:
            self._launched.add(run)
            self._end(LAUNCHING, run)

    def _show_expired(self, run: TaskRunId) -> None:
        total, left = self._to_expire.get(run, 0), self._unassigned_units(run)
        if left:
            self._show(EXPIRING, run, total - left, total, total)
        else:
            self._end(EXPIRING, run)

    def _unassigned_units(self, run: TaskRunId) -> int:
        by_status = self._state.runs[run].units_by_status
        return by_status.get(UnitStatus.CREATED, 0) + by_status.get(UnitStatus.LAUNCHED, 0)

    def _show(self, what: str, run: TaskRunId, done: int, known: int, total: int | None) -> None:
        """Update a bar; if the total is unknown, the bar has no end."""
        if max(known, total or 0) < UNITS_WORTH_A_BAR:
            return
        if not self._shown:
            self._bars.start()
        key = (what, run)
        if key not in self._shown:
            self._shown[key] = self._bars.add_task(f"{what} units of run {run}", total=total)
        self._bars.update(self._shown[key], completed=done, refresh=True)

    def _end(self, what: str, run: TaskRunId) -> None:
        bar = self._shown.pop((what, run), None)
        if bar is not None:
            self._bars.remove_task(bar)
            if not self._shown:
                self._bars.stop()
