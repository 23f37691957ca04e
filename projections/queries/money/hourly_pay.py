"""Computes the effective hourly pay of a run's work, and what is missing to the minimum that the run wants to pay."""

from __future__ import annotations

import msgspec

from ....core.operations.configuration.money import cents
from ....core.state.fair_pay import hourly_cents, top_up_cents
from ....events.ids import AgentId, TaskRunId
from ..as_of import AsOf

_SECOND_US = 1_000_000
_SUBMITTED = """
    SELECT CASE agents.status WHEN 'rejected' THEN 0 ELSE pay_cents END
           + coalesce((SELECT sum(bonus_cents) FROM agent_bonuses WHERE agent_bonuses.agent_id = agents.agent_id), 0),
           task_end - task_start,
           agents.status = 'rejected'
    FROM agents JOIN units ON units.unit_id = agents.unit_id
    WHERE agents.task_run_id = ? AND task_end > task_start
"""
_PROMISED = """
    SELECT agents.agent_id,
           pay_cents
           + coalesce((SELECT sum(bonus_cents) FROM agent_bonuses WHERE agent_bonuses.agent_id = agents.agent_id), 0),
           task_end - task_start
    FROM agents JOIN units ON units.unit_id = agents.unit_id
    WHERE agents.task_run_id = ? AND task_end > task_start
"""


class HourlyPayReport(msgspec.Struct, frozen=True, kw_only=True):
    """The hourly pay of submitted work: pay and bonuses for the time from start to submission."""

    #: Pieces of work.
    count: int
    median_cents: int
    #: A tenth of the work has less.
    lowest_tenth_cents: int
    #: What the run wants to pay at least; 0: it does not say.
    minimum_cents: int
    #: Pieces of work that have less, without rejected ones.
    below_minimum: int


def hourly_pay(as_of: AsOf, run: TaskRunId, minimum_cents: int | None = None) -> HourlyPayReport | None:
    """Return the hourly pay of a run; None if nothing was submitted.

    Args:
        as_of: the log as of the position.
        run: the run.
        minimum_cents: what work should be paid at least; by default what the run wants to pay.

    Raises:
        UnknownEntityError: there is no such run.
    """
    minimum = minimum_hourly_cents(as_of, run) if minimum_cents is None else minimum_cents
    found = [
        (rate, is_rejected)
        for paid, seconds, is_rejected in as_of.db.execute(_SUBMITTED, (run,)).fetchall()
        if (rate := hourly_cents(paid, round(seconds * _SECOND_US))) is not None
    ]
    if not found:
        return None
    rates = sorted(rate for rate, _ in found)
    return HourlyPayReport(
        count=len(rates),
        median_cents=rates[len(rates) // 2],
        lowest_tenth_cents=rates[len(rates) // 10],
        minimum_cents=minimum,
        below_minimum=sum(rate < minimum and not is_rejected for rate, is_rejected in found),
    )


def minimum_hourly_cents(as_of: AsOf, run: TaskRunId) -> int:
    """Return the hourly pay that a run wants to pay at least; 0 if it does not say.

    Raises:
        UnknownEntityError: there is no such run.
    """
    try:
        stored = msgspec.json.decode(as_of.db.get_task_run(run).init_params, type=_PaidConfig)
    except msgspec.DecodeError:
        # An imported run has Mephisto's configuration, or none.
        return 0
    return cents(stored.task.minimum_hourly_pay)


def top_ups(as_of: AsOf, run: TaskRunId) -> dict[AgentId, int]:
    """Return the bonus that lifts submitted work to the run's minimum hourly pay, in cents, where one is missing.

    What is promised or granted already counts, whatever the verdict.

    Raises:
        UnknownEntityError: there is no such run.
    """
    minimum = minimum_hourly_cents(as_of, run)
    if not minimum:
        return {}
    found = as_of.db.execute(_PROMISED, (run,)).fetchall()
    missing = {
        AgentId(agent): top_up_cents(minimum, round(seconds * _SECOND_US), promised)
        for agent, promised, seconds in found
    }
    return {agent: due for agent, due in missing.items() if due}


class _PaidTask(msgspec.Struct):
    minimum_hourly_pay: str = "0"


class _PaidConfig(msgspec.Struct):
    task: _PaidTask = msgspec.field(default_factory=_PaidTask)
