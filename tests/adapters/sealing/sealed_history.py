"""A history with agents in ended and in live runs, which the tests of seals write to logs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.lifecycles.task_run import ENDED_RUN_STATUSES
from mephisto_es.core.ports import AppendRequest
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import streams
from mephisto_es.events.ids import TaskRunId
from mephisto_es.projections.registry import PROJECTIONS

from ...history_search import find_history


def ended_and_live(state: DecisionState) -> tuple[list[int], list[int]]:
    """Return the units with agents of ended runs, and those of other runs."""
    ended: list[int] = []
    others: list[int] = []
    for agent_stream, agent in state.agents.items():
        run = state.task_runs[streams.task_run(TaskRunId(int(agent_stream.split("/")[1])))]
        (ended if run.status in ENDED_RUN_STATUSES else others).append(agent.unit)
    return sorted(set(ended)), sorted(set(others))


def some_history() -> tuple[AppendRequest, ...]:
    """Return a short history with agents in runs of both kinds."""
    for moves in range(700, 2000, 200):
        with suppress(LookupError):
            return find_history(moves, lambda state: all(ended_and_live(state)))
    raise LookupError("no history has agents in an ended run and in another one")


HISTORY = some_history()
STATE = DecisionState()
for one in HISTORY:
    for stream, event in one.events:
        STATE.evolve(stream, event)
ENDED, LIVE = ended_and_live(STATE)
HALF = len(HISTORY) // 2


def commit(path: Path, begin: int, end: int) -> None:
    with SqliteLog.create_or_open(path, PROJECTIONS, pseudonym_key=bytes(32)) as log:
        log.commit(HISTORY[begin:end])


def run_of(unit: int) -> int:
    return next(int(stream.split("/")[1]) for stream in STATE.units if int(stream.split("/")[2]) == unit)
