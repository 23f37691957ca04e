"""Collects what the methods section of a paper says about a run: dates, workers, exclusions, time, pay, cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import median, quantiles

import msgspec

from ....core.lifecycles.agent import AgentStatus
from ....core.lifecycles.unit import UnitStatus
from ....events.engagement import WorkerExcluded, WorkerRefused
from ....events.ids import TaskRunId
from ...mephisto_db.rows import date_of
from ..as_of import AsOf
from ..money.hourly_pay import HourlyPayReport, hourly_pay
from ..money.spending import budget_of
from .progress import RunProgress, run_progress

_MICROSECONDS = 1_000_000
_TIMES = "SELECT min(task_end), max(task_end) FROM agents WHERE task_run_id = ? AND task_end IS NOT NULL"
_SECONDS = "SELECT task_end - task_start FROM agents WHERE task_run_id = ? AND task_end > task_start"
_OF_WORKERS = """
    SELECT worker_id, count(*) FROM agents WHERE task_run_id = ? AND task_end IS NOT NULL GROUP BY worker_id
"""
_KINDS = """
    SELECT CASE unit_index WHEN -1 THEN 'screening' WHEN -2 THEN 'gold' WHEN -3 THEN 'compensation' ELSE 'work' END,
        count(*), count(DISTINCT assignment_id)
    FROM units WHERE task_run_id = ? GROUP BY 1 ORDER BY max(unit_index) DESC
"""
_REWARDS = "SELECT DISTINCT pay_cents FROM units WHERE task_run_id = ? AND unit_index >= 0 ORDER BY 1"
_PAY = """
    SELECT pay_cents, count(*) FROM agents JOIN units USING (unit_id)
    WHERE agents.task_run_id = ? AND agents.status IN (?, ?) GROUP BY pay_cents
"""
_BONUSES = """
    SELECT bonus_cents, count(*) FROM agent_bonuses JOIN agents USING (agent_id)
    WHERE task_run_id = ? GROUP BY bonus_cents
"""
_MODELS = """
    SELECT coalesce(sum(cost_cents), 0) FROM model_replies JOIN agents USING (agent_id) WHERE task_run_id = ?
"""
_BLOCKED = """
    SELECT count(*) FROM workers
    WHERE status = 'blocked' AND worker_id IN (SELECT worker_id FROM agents WHERE task_run_id = ?)
"""
#: Statuses of agents whose work ended without a submission.
_LEFT = (
    *(AgentStatus.RETURNED, AgentStatus.TIMEOUT, AgentStatus.DISCONNECT, AgentStatus.PARTNER_DISCONNECT),
    AgentStatus.EXPIRED,
)
_DONE = (UnitStatus.COMPLETED, UnitStatus.ACCEPTED, UnitStatus.SOFT_REJECTED, UnitStatus.REJECTED)


class WorkTimes(msgspec.Struct, frozen=True, kw_only=True):
    """The time that pieces of work took, from start to submission, in seconds."""

    count: int
    median: float
    lower_quartile: float
    upper_quartile: float


class RunCosts(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a run by the verdicts so far, in cents."""

    pay_cents: int
    bonus_cents: int
    fee_percent: int
    fee_cents: int
    model_cents: int
    #: Work whose verdict is still to come is not part of it.
    total_cents: int
    unreviewed: int


class MethodReport(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about a run that a methods section needs, as of a position."""

    run: str
    progress: RunProgress
    provider: str
    blueprint: str
    created_at: str
    #: UTC; None if nothing was submitted.
    first_submission: str | None
    last_submission: str | None
    ended_at: str | None
    #: Number of units by kind: work, screening, gold, compensation.
    units_by_kind: dict[str, int]
    #: Number of items by kind; those of `work` are the run's data.
    items_by_kind: dict[str, int]
    #: Workers who asked for work, and those who submitted some.
    workers_came: int
    workers_submitted: int
    pieces: int
    median_pieces_per_worker: float
    most_pieces_of_a_worker: int
    #: Workers by the rule that turned them away at least once; they may have got work at another time.
    turned_away: dict[str, int]
    #: Workers by the reason for which they got no more work.
    excluded: dict[str, int]
    #: Workers of this run who are blocked now.
    blocked: int
    #: Pieces of work that ended without a submission, by how.
    left: dict[str, int]
    #: Verdicts on submitted work, and work without one.
    verdicts: dict[str, int]
    times: WorkTimes | None
    #: The different rewards for a unit of ordinary work, in cents.
    rewards_cents: tuple[int, ...]
    hourly_pay: HourlyPayReport | None
    costs: RunCosts


def method_report(as_of: AsOf, run: TaskRunId, *, floor_cents: int | None = None) -> MethodReport:
    """Collect the facts about a run.

    Args:
        as_of: the log as of the position.
        run: the run.
        floor_cents: what an hour should be paid at least; by default what the run wants to pay.

    Raises:
        UnknownEntityError: there is no such run.
    """
    found, progress = as_of.db.get_task_run(run), run_progress(as_of.db, run)
    first, last = as_of.db.execute(_TIMES, (run,)).fetchone()
    pieces = [count for _, count in as_of.db.execute(_OF_WORKERS, (run,)).fetchall()]
    kinds: list[tuple[str, int, int]] = as_of.db.execute(_KINDS, (run,)).fetchall()
    came, turned_away, excluded = _engagements(as_of, run)
    return MethodReport(
        run=f"run-{run}",
        progress=progress,
        provider=found.provider_type,
        blueprint=found.task_type,
        created_at=found.creation_date,
        first_submission=None if first is None else date_of(round(first * _MICROSECONDS)),
        last_submission=None if last is None else date_of(round(last * _MICROSECONDS)),
        ended_at=found.end_date,
        units_by_kind={kind: units for kind, units, _ in kinds},
        items_by_kind={kind: items for kind, _, items in kinds},
        workers_came=came,
        workers_submitted=len(pieces),
        pieces=sum(pieces),
        median_pieces_per_worker=float(median(pieces)) if pieces else 0.0,
        most_pieces_of_a_worker=max(pieces, default=0),
        turned_away=turned_away,
        excluded=excluded,
        blocked=as_of.db.execute(_BLOCKED, (run,)).fetchone()[0],
        left={one.value: count for one in _LEFT if (count := progress.agents.get(one.value, 0))},
        verdicts={one.value: count for one in _DONE if (count := progress.units.get(one.value, 0))},
        times=_times(as_of, run),
        rewards_cents=tuple(cents for (cents,) in as_of.db.execute(_REWARDS, (run,)).fetchall()),
        hourly_pay=hourly_pay(as_of, run, floor_cents),
        costs=_costs(as_of, run, progress),
    )


def _engagements(as_of: AsOf, run: TaskRunId) -> tuple[int, dict[str, int], dict[str, int]]:
    """Return how many workers came, and how many were turned away by each rule, and excluded for each reason."""
    workers: set[str] = set()
    refused: defaultdict[str, set[str]] = defaultdict(set)
    excluded: defaultdict[str, set[str]] = defaultdict(set)
    for recorded in as_of.under(f"engagement/{run}/"):
        stream = recorded.envelope.stream
        workers.add(stream)
        match recorded.envelope.event:
            case WorkerRefused(rule=rule):
                refused[rule].add(stream)
            case WorkerExcluded(reason=reason):
                excluded[reason].add(stream)
    return len(workers), _sizes(refused), _sizes(excluded)


def _sizes(sets: dict[str, set[str]]) -> dict[str, int]:
    return dict(Counter({name: len(found) for name, found in sorted(sets.items())}).most_common())


def _times(as_of: AsOf, run: TaskRunId) -> WorkTimes | None:
    seconds = [taken for (taken,) in as_of.db.execute(_SECONDS, (run,)).fetchall()]
    if not seconds:
        return None
    lower, middle, upper = quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
    return WorkTimes(count=len(seconds), median=middle, lower_quartile=lower, upper_quartile=upper)


def _costs(as_of: AsOf, run: TaskRunId, progress: RunProgress) -> RunCosts:
    budget = budget_of(as_of, run)
    paid = (AgentStatus.APPROVED.value, AgentStatus.SOFT_REJECTED.value)
    pay = as_of.db.execute(_PAY, (run, *paid)).fetchall()
    bonuses = as_of.db.execute(_BONUSES, (run,)).fetchall()
    ((models,),) = as_of.db.execute(_MODELS, (run,))
    without_fees = sum(cents * count for cents, count in [*pay, *bonuses])
    with_fees = sum(budget.with_fee(cents) * count for cents, count in [*pay, *bonuses])
    return RunCosts(
        pay_cents=sum(cents * count for cents, count in pay),
        bonus_cents=sum(cents * count for cents, count in bonuses),
        fee_percent=budget.fee_percent,
        fee_cents=with_fees - without_fees,
        model_cents=models,
        total_cents=with_fees + models,
        unreviewed=progress.units.get(UnitStatus.COMPLETED.value, 0),
    )
