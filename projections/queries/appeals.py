"""Lists the objections of workers whose work was rejected, and counts those that wait for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from ...core.lifecycles.agent import AgentStatus
from ...events import streams
from ...events.agent import AgentAppealDismissed, AgentAppealed, AgentRejected
from ...events.base import kind_of
from ...events.ids import AgentId, TaskRunId
from ..mephisto_db.queries import JsonValue
from .as_of import AsOf
from .unit_records import time_of

_OPEN = """
    FROM agents CROSS JOIN agent_payloads USING (agent_id)
    WHERE task_run_id = ? AND status = ? AND kind = ? AND NOT EXISTS (
        SELECT 1 FROM agent_payloads AS answered WHERE answered.agent_id = agents.agent_id AND answered.kind = ?
    )
"""


class OpenAppeal(msgspec.Struct, frozen=True, kw_only=True):
    """An objection that nobody has answered."""

    agent_id: int
    worker_id: int
    unit_id: int
    #: The author of the rejection; None if it is unknown.
    rejected_by: str | None
    rejected_at: datetime
    #: The note that the worker read; None if there was none, or it was erased.
    note: str | None
    appealed_at: datetime
    #: What the worker says; None if it was erased.
    objection: str | None
    #: The pay for the unit.
    pay_cents: int
    #: The input data and the submission; None if they were erased.
    inputs: JsonValue
    outputs: JsonValue


def count_open_appeals(as_of: AsOf, run: TaskRunId) -> int:
    """Return the number of objections that wait for an answer."""
    count: int = as_of.db.execute(f"SELECT count(*) {_OPEN}", _values(run)).fetchone()[0]
    return count


def open_appeals(as_of: AsOf, run: TaskRunId) -> Iterator[OpenAppeal]:
    """Yield the objections that wait for an answer, the oldest first.

    Raises:
        UnknownEntityError: there is no such run.
    """
    as_of.db.get_task_run(run)
    for (agent,) in as_of.db.execute(f"SELECT agent_id {_OPEN} ORDER BY agent_payload_id", _values(run)).fetchall():
        yield _appeal(as_of, run, AgentId(agent))


def _values(run: TaskRunId) -> tuple[int | str, ...]:
    return run, AgentStatus.REJECTED.value, kind_of(AgentAppealed), kind_of(AgentAppealDismissed)


def _appeal(as_of: AsOf, run: TaskRunId, agent_id: AgentId) -> OpenAppeal:
    agent = as_of.db.get_agent(agent_id)
    unit = as_of.db.get_unit(agent.unit_id)
    # The latest first: an earlier rejection may have been taken back.
    history = [one.envelope for one in reversed(as_of.stream(streams.agent(run, agent_id)))]
    rejected_at, rejected = next((one.at, one.event) for one in history if isinstance(one.event, AgentRejected))
    appealed_at, appealed = next((one.at, one.event) for one in history if isinstance(one.event, AgentAppealed))
    return OpenAppeal(
        agent_id=agent_id,
        worker_id=agent.worker_id,
        unit_id=agent.unit_id,
        rejected_by=rejected.reviewer,
        rejected_at=time_of(rejected_at),
        note=None if rejected.note is None else as_of.db.read_text(rejected.note),
        appealed_at=time_of(appealed_at),
        objection=as_of.db.read_text(appealed.objection),
        pay_cents=unit.pay_cents,
        inputs=as_of.db.get_inputs(unit),
        outputs=as_of.db.get_outputs(agent),
    )
