"""Where a run stands at a moment: its figures, its pace, its money, and what happened last."""

from __future__ import annotations

import msgspec

from ....core.lifecycles.agent import LIVE_AGENT_STATUSES, AgentStatus
from ....core.lifecycles.unit import UnitStatus
from ....events import streams
from ....events.ids import TaskRunId
from ...mephisto_db.rows import date_of
from ..as_of import AsOf
from ..history.timeline import TimelineEntry, entry_of
from ..money.spending import Spending, spending
from .progress import RunProgress, run_progress

#: Seconds over which the pace is taken.
PACE_SECONDS = 15 * 60
#: Events that are looked at for the last ones of a run; others' events may be between them.
LOOK_BACK = 500

#: Statuses of agents that have a unit.
HOLDING_STATUSES = tuple(status.value for status in (*LIVE_AGENT_STATUSES, AgentStatus.PARTNER_DISCONNECT))
#: Statuses of units that are being worked on, wait for review, or are to be paid.
COMMITTED_UNIT_STATUSES = frozenset(
    status.value
    for status in (UnitStatus.ASSIGNED, UnitStatus.COMPLETED, UnitStatus.ACCEPTED, UnitStatus.SOFT_REJECTED)
)
OFFERED_UNIT_STATUSES = frozenset({UnitStatus.CREATED.value, UnitStatus.LAUNCHED.value})

_AT_WORK = f"""
    SELECT count(DISTINCT worker_id) FROM agents
    WHERE task_run_id = ? AND status IN ({", ".join("?" * len(HOLDING_STATUSES))})
"""
_HANDED_IN = "SELECT count(*) FROM agents WHERE task_run_id = ? AND task_end > ? AND task_end <= ?"
_WORTH = "SELECT status, sum(pay_cents) FROM units WHERE task_run_id = ? GROUP BY status"
_BONUSES = """
    SELECT coalesce(sum(bonus_cents), 0) FROM agent_bonuses JOIN agents USING (agent_id) WHERE task_run_id = ?
"""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast work is handed in."""

    #: Seconds over which it was taken: the last quarter of an hour, or as long as the run has existed.
    over_seconds: float
    units_per_hour: float
    #: At this pace, for the units there are; None: nothing is handed in, or nothing is left.
    seconds_to_finish: float | None


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """What units are worth, in cents."""

    #: At work, waiting for review, or to be paid; with bonuses.
    committed_cents: int
    #: Not yet given to anybody.
    offered_cents: int
    bonus_cents: int


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run stands."""

    #: The moment: the position in the log, and its time in UTC.
    seq: int
    at: str
    progress: RunProgress
    workers_at_work: int
    pace: Pace
    worth: Worth
    #: None: the run has no budget.
    spending: Spending | None
    #: What happened last, the oldest first.
    last_events: tuple[TimelineEntry, ...]


class Runs(msgspec.Struct, frozen=True):
    """The runs in a log."""

    seq: int
    at: str
    runs: tuple[RunProgress, ...]


def all_runs(as_of: AsOf) -> Runs:
    """The figures of all runs, the oldest first."""
    found = as_of.db.find_task_runs()
    return Runs(as_of.seq, date_of(as_of.at), tuple(run_progress(as_of.db, run.task_run_id) for run in found))


def run_status(as_of: AsOf, run: TaskRunId, *, now: int, last: int = 10) -> RunStatus:
    """Where a run stands.

    Args:
        moment: when.
        run: the run.
        now: what the pace is measured up to, in microseconds; for a moment that is past, its own time.
        last: how many of its last events to tell, at most.

    Raises:
        UnknownEntityError: there is no such run.
    """
    progress = run_progress(as_of.db, run)
    at_work: int = as_of.db.execute(_AT_WORK, (run, *HOLDING_STATUSES)).fetchone()[0]
    return RunStatus(
        seq=as_of.seq,
        at=date_of(as_of.at),
        progress=progress,
        workers_at_work=at_work,
        pace=_pace(as_of, run, progress, now),
        worth=_worth(as_of, run),
        spending=spending(as_of, run),
        last_events=_last_events(as_of, run, last),
    )


def _pace(as_of: AsOf, run: TaskRunId, progress: RunProgress, now: int) -> Pace:
    end = now / 1_000_000
    created = as_of.stream(streams.task_run(run))[0].envelope.at / 1_000_000
    over = max(min(PACE_SECONDS, end - created), 0.0)
    count: int = as_of.db.execute(_HANDED_IN, (run, end - over, end)).fetchone()[0]
    per_second = count / over if over else 0.0
    left = progress.units_total - progress.units_finished
    return Pace(
        over_seconds=over,
        units_per_hour=per_second * 3600,
        seconds_to_finish=left / per_second if per_second and left else None,
    )


def _worth(as_of: AsOf, run: TaskRunId) -> Worth:
    by_status: dict[str, int] = dict(as_of.db.execute(_WORTH, (run,)).fetchall())
    bonus: int = as_of.db.execute(_BONUSES, (run,)).fetchone()[0]
    committed = sum(cents for status, cents in by_status.items() if status in COMMITTED_UNIT_STATUSES)
    offered = sum(cents for status, cents in by_status.items() if status in OFFERED_UNIT_STATUSES)
    return Worth(committed_cents=committed + bonus, offered_cents=offered, bonus_cents=bonus)


def _last_events(as_of: AsOf, run: TaskRunId, count: int) -> tuple[TimelineEntry, ...]:
    partition = streams.partition_of_run(run)
    ours = [one for one in as_of.latest(LOOK_BACK) if streams.partition_of(one.envelope.stream) == partition]
    return tuple(map(entry_of, ours[-count:]))
