"""Finds what people lost when a run was ended at once: whose work was taken, who sent it late, and what is owed."""

from __future__ import annotations

import msgspec

from ....core.lifecycles.agent import AgentStatus
from ....events import streams
from ....events.agent import AgentBonusGranted, AgentExpired, AgentStarted, AgentSubmittedLate
from ....events.envelope import RecordedEvent
from ....events.ids import AgentId, TaskRunId
from ....events.task_run import TaskRunStopping
from ..as_of import AsOf

_EXPIRED = "SELECT agent_id FROM agents WHERE task_run_id = ? AND status = ? ORDER BY agent_id"


class TakenWork(msgspec.Struct, frozen=True, kw_only=True):
    """The work that was taken from people because their run was ended at once."""

    #: Number of agents that were at work.
    agents: int = 0
    #: Number of those that submitted late; nobody has accepted that yet.
    submitted_late: int = 0
    #: What is owed to them for their time.
    time_pay_cents: int = 0


def taken_work(as_of: AsOf, run: TaskRunId) -> TakenWork:
    """Return what was taken from people by the latest end at once of a run.

    Raises:
        UnknownEntityError: there is no such run.
    """
    as_of.db.get_task_run(run)
    ends = [one.seq for one in as_of.stream(streams.task_run(run)) if _ends_at_once(one)]
    if not ends:
        return TakenWork()
    numbers = as_of.db.execute(_EXPIRED, (run, AgentStatus.EXPIRED.value)).fetchall()
    histories = as_of.streams([streams.agent(run, AgentId(number)) for (number,) in numbers]).values()
    taken = [history for history in histories if _was_taken(history, ends[-1])]
    return TakenWork(
        agents=len(taken),
        submitted_late=sum(any(isinstance(one.envelope.event, AgentSubmittedLate) for one in own) for own in taken),
        time_pay_cents=sum(
            one.envelope.event.bonus_cents
            for own in taken
            for one in own
            if isinstance(one.envelope.event, AgentBonusGranted) and one.envelope.event.worked_seconds is not None
        ),
    )


def _ends_at_once(recorded: RecordedEvent) -> bool:
    return isinstance(recorded.envelope.event, TaskRunStopping) and recorded.envelope.event.at_once


def _was_taken(history: list[RecordedEvent], end: int) -> bool:
    """Return whether an agent lost its work after a position; whoever waited for a partner had not begun."""
    events = [(one.seq, one.envelope.event) for one in history]
    has_begun = any(isinstance(event, AgentStarted) for _, event in events)
    return has_begun and any(isinstance(event, AgentExpired) and seq > end for seq, event in events)
