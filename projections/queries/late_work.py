"""Lists late work: submissions that came after the work on a unit had ended without one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from ...core.lifecycles.agent import LATE_STATUSES
from ...events import streams
from ...events.agent import (
    AgentDisconnected,
    AgentExpired,
    AgentReturned,
    AgentSubmittedLate,
    AgentTimedOut,
)
from ...events.base import kind_of
from ...events.ids import AgentId, TaskRunId
from ..mephisto_db.queries import JsonValue
from .as_of import AsOf
from .unit_records import time_of

_LATE = f"""
    SELECT DISTINCT agent_id FROM agent_payloads JOIN agents USING (agent_id)
    WHERE task_run_id = ? AND kind = ? AND status IN ({", ".join("?" * len(LATE_STATUSES))}) ORDER BY agent_id
"""


class LateWork(msgspec.Struct, frozen=True, kw_only=True):
    """Late work that nobody has accepted."""

    agent_id: int
    worker_id: int
    #: The name at the provider; None also if it was erased or omitted.
    worker_name: str | None
    unit_id: int
    #: How the work ended: `timeout`, `returned`, `disconnect` or `expired`.
    ended_as: str
    #: The recorded reason of that.
    reason: str
    ended_at: datetime
    #: Time of the first late submission, which is the one that counts.
    submitted_at: datetime
    #: Present status of the unit, and the agent that has it or did it, if that is another one.
    unit_status: str
    other_agent_id: int | None
    #: The pay for the unit.
    pay_cents: int
    #: The input data; None if it was erased.
    inputs: JsonValue
    #: The first late submission; None if it was erased.
    outputs: JsonValue


def late_work(as_of: AsOf, run: TaskRunId, *, names: bool = True) -> Iterator[LateWork]:
    """Yield the late work of a run that nobody has accepted, by agent.

    Args:
        as_of: the log as of the position.
        run: the run.
        names: whether to include the workers' names at the provider.

    Raises:
        UnknownEntityError: there is no such run.
    """
    as_of.db.get_task_run(run)
    values = (run, kind_of(AgentSubmittedLate), *(status.value for status in LATE_STATUSES))
    for (agent,) in as_of.db.execute(_LATE, values).fetchall():
        yield _late_work(as_of, run, AgentId(agent), names=names)


def _late_work(as_of: AsOf, run: TaskRunId, agent_id: AgentId, *, names: bool) -> LateWork:
    agent = as_of.db.get_agent(agent_id)
    unit = as_of.db.get_unit(agent.unit_id)
    history = [one.envelope for one in as_of.stream(streams.agent(run, agent_id))]
    ended_at, reason = next(
        (one.at, one.event.reason)
        for one in history
        if isinstance(one.event, AgentDisconnected | AgentTimedOut | AgentReturned | AgentExpired)
    )
    return LateWork(
        agent_id=agent_id,
        worker_id=agent.worker_id,
        worker_name=as_of.db.get_worker(agent.worker_id).worker_name if names else None,
        unit_id=agent.unit_id,
        ended_as=agent.status,
        reason=reason,
        ended_at=time_of(ended_at),
        submitted_at=time_of(next(one.at for one in history if isinstance(one.event, AgentSubmittedLate))),
        unit_status=unit.status,
        other_agent_id=None if unit.agent_id == agent_id else unit.agent_id,
        pay_cents=unit.pay_cents,
        inputs=as_of.db.get_inputs(unit),
        outputs=as_of.db.get_late_outputs(agent),
    )
