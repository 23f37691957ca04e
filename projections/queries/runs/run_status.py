"""Reports the status of a run as of a position: figures, pace, money and last events."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ....core.lifecycles.agent import AT_WORK_STATUSES
from ....core.lifecycles.task_run import TaskRunStatus
from ....core.lifecycles.unit import UnitStatus
from ....events import streams
from ....events.ids import TaskRunId
from ...mephisto_db.rows import date_of, end_of
from ..appeals import count_open_appeals
from ..as_of import AsOf
from ..history.timeline import TimelineEntry, entry_of
from ..money.hourly_pay import HourlyPayReport, hourly_pay
from ..money.spending import Spending, spending
from .blockers import paused_offer
from .progress import RunProgress, run_progress

#: Seconds over which the pace is measured.
PACE_SECONDS = 15 * 60
#: Events searched for the last ones of a run; events of other runs may be among them.
MAX_SEARCHED_EVENTS = 500

#: Statuses of agents that hold a unit.
HOLDING_STATUSES = tuple(status.value for status in AT_WORK_STATUSES)
#: Statuses of units that are in work, wait for review, or are to be paid.
COMMITTED_UNIT_STATUSES = frozenset(
    status.value
    for status in (UnitStatus.ASSIGNED, UnitStatus.COMPLETED, UnitStatus.ACCEPTED, UnitStatus.SOFT_REJECTED)
)
OFFERED_UNIT_STATUSES = frozenset({UnitStatus.CREATED.value, UnitStatus.LAUNCHED.value})

_AT_WORK = f"""
    SELECT count(DISTINCT worker_id) FROM agents
    WHERE task_run_id = ? AND status IN ({", ".join("?" * len(HOLDING_STATUSES))})
"""
_SUBMITTED = "SELECT count(*) FROM agents WHERE task_run_id = ? AND task_end > ? AND task_end <= ?"
_WORTH = "SELECT status, sum(pay_cents) FROM units WHERE task_run_id = ? GROUP BY status"
#: Late work that is paid although its unit is, or was, somebody else's.
_PAY_ONLY = """
    SELECT coalesce(sum(pay_cents), 0) FROM agents JOIN units USING (unit_id)
    WHERE agents.task_run_id = ? AND agents.status = 'approved' AND units.agent_id IS NOT agents.agent_id
"""
_BONUSES = """
    SELECT coalesce(sum(bonus_cents), 0) FROM agent_bonuses JOIN agents USING (agent_id) WHERE task_run_id = ?
"""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """The speed at which work is submitted."""

    #: Seconds over which it was measured: the last 15 minutes, or less if the run is younger.
    over_seconds: float
    units_per_hour: float
    #: At this pace, for the existing units; None if nothing is being submitted, nothing is left, or nobody gets work.
    seconds_to_finish: float | None


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """The value of units in cents."""

    #: In work, waiting for review, or to be paid; includes bonuses.
    committed_cents: int
    #: Not assigned to anybody yet.
    offered_cents: int
    bonus_cents: int


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The status of a run as of a position."""

    #: The position in the log, and its time in UTC.
    seq: int
    at: str
    progress: RunProgress
    workers_at_work: int
    #: Objections to rejections that wait for an answer.
    open_appeals: int
    #: None if nothing was submitted.
    hourly_pay: HourlyPayReport | None
    pace: Pace
    worth: Worth
    #: None if the run has no budget.
    spending: Spending | None
    #: Why the provider's site admits nobody, and the remedy; None if its offer was not paused there.
    offer_problem: str | None
    #: The last events, oldest first.
    last_events: tuple[TimelineEntry, ...]
    #: Requests and packets that a live run has refused or discarded, by reason. The log does not have them: None if the
    #: run has no operator, or this is a past position.
    refused: dict[str, int] | None = None


class Runs(msgspec.Struct, frozen=True):
    """All runs in a log."""

    seq: int
    at: str
    runs: tuple[RunProgress, ...]


def all_runs(as_of: AsOf) -> Runs:
    """Return the figures of all runs, oldest first."""
    found = as_of.db.find_task_runs()
    return Runs(as_of.seq, date_of(as_of.at), tuple(run_progress(as_of.db, run.task_run_id) for run in found))


def run_status(as_of: AsOf, run: TaskRunId, *, now: int, last: int = 10) -> RunStatus:
    """Report the status of a run.

    Args:
        as_of: the log as of the position.
        run: the run.
        now: the end of the time over which the pace is measured, in microseconds; for a past position, its own time.
        last: the maximum number of last events to include.

    Raises:
        UnknownEntityError: there is no such run.
    """
    progress, offer = run_progress(as_of.db, run), paused_offer(as_of, run)
    at_work: int = as_of.db.execute(_AT_WORK, (run, *HOLDING_STATUSES)).fetchone()[0]
    return RunStatus(
        seq=as_of.seq,
        at=date_of(as_of.at),
        progress=progress,
        workers_at_work=at_work,
        open_appeals=count_open_appeals(as_of, run),
        hourly_pay=hourly_pay(as_of, run),
        pace=_pace(as_of, run, progress, now, is_offering=_is_offering(progress) and offer is None),
        worth=_worth(as_of, run),
        spending=spending(as_of, run),
        offer_problem=None if offer is None else offer.reason,
        last_events=_last_events(as_of, run, last),
    )


def _is_offering(progress: RunProgress) -> bool:
    """Return whether newcomers get work, so that the run can be expected to finish."""
    return (
        progress.status == TaskRunStatus.LIVE.value and progress.admission_problem is None and progress.pausing is None
    )


def without_operator(status: RunStatus, problem: str) -> RunStatus:
    """Return the status of a run that no process runs: it will not finish.

    Args:
        status: the run's status according to the log.
        problem: a sentence with the remedy.
    """
    return replace(
        status,
        progress=replace(status.progress, operator_problem=problem),
        pace=replace(status.pace, seconds_to_finish=None),
    )


def _pace(as_of: AsOf, run: TaskRunId, progress: RunProgress, now: int, *, is_offering: bool) -> Pace:
    ended = as_of.db.get_task_run(run).end_date
    end = now / 1_000_000 if ended is None else end_of(ended) / 1_000_000
    created = as_of.stream(streams.task_run(run))[0].envelope.at / 1_000_000
    over = max(min(PACE_SECONDS, end - created), 0.0)
    count: int = as_of.db.execute(_SUBMITTED, (run, end - over, end)).fetchone()[0]
    per_second = count / over if over else 0.0
    left = progress.units_total - progress.units_finished
    return Pace(
        over_seconds=over,
        units_per_hour=per_second * 3600,
        seconds_to_finish=left / per_second if per_second and left and is_offering else None,
    )


def _worth(as_of: AsOf, run: TaskRunId) -> Worth:
    by_status: dict[str, int] = dict(as_of.db.execute(_WORTH, (run,)).fetchall())
    bonus: int = as_of.db.execute(_BONUSES, (run,)).fetchone()[0]
    pay_only: int = as_of.db.execute(_PAY_ONLY, (run,)).fetchone()[0]
    committed = pay_only + sum(cents for status, cents in by_status.items() if status in COMMITTED_UNIT_STATUSES)
    offered = sum(cents for status, cents in by_status.items() if status in OFFERED_UNIT_STATUSES)
    return Worth(committed_cents=committed + bonus, offered_cents=offered, bonus_cents=bonus)


def _last_events(as_of: AsOf, run: TaskRunId, count: int) -> tuple[TimelineEntry, ...]:
    partition = streams.partition_of_run(run)
    ours = [one for one in as_of.latest(MAX_SEARCHED_EVENTS) if streams.partition_of(one.envelope.stream) == partition]
    return tuple(map(entry_of, ours[-count:]))
