"""Records in a log what a crowd site would show, for tests of those who read the log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentAccepted
from mephisto_es.events.engagement import ProviderObserved, SiteWorkStatus
from mephisto_es.events.ids import AgentId, TaskRunId
from mephisto_es.projections.registry import PROJECTIONS


def observe_work(database: Path, agent: int, status: SiteWorkStatus) -> None:
    """Record the status of an agent's work at the site; nobody has the log open.

    Args:
        database: the log.
        agent: the agent.
        status: what the site shows.
    """
    with closing(sqlite3.connect(database)) as db:
        (run,) = db.execute("SELECT task_run_id FROM agents WHERE agent_id = ?", (agent,)).fetchone()
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        accepted = log.history(streams.agent(TaskRunId(run), AgentId(agent)))[0].envelope.event
        assert isinstance(accepted, AgentAccepted)
        observed = ProviderObserved(registration=accepted.registration, status=status, bonus_cents=0)
        event = NewEvent(streams.engagement(TaskRunId(run), accepted.worker), observed)
        head = log.head()
        log.commit([AppendRequest(command=f"seen {agent}", actor="reconciler", at=head.at, events=(event,))])
