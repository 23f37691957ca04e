"""Searches random histories for one in which something happens that a test needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from mephisto_es.core.lifecycles.agent import AgentRecord, AgentStatus
from mephisto_es.core.lifecycles.task_run import TaskRunStatus
from mephisto_es.core.lifecycles.unit import UnitState
from mephisto_es.core.ports import AppendRequest
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.streams import run_of

from .histories import written

#: Seeds that are tried at each length.
SEEDS = 40
#: Multiples of the wanted length that are tried, one after the other.
LENGTHS = (1, 2, 4)


def find_history(moves: int, wanted: Callable[[DecisionState], bool]) -> tuple[AppendRequest, ...]:
    """Return the first history that leaves the decision state as wanted.

    Args:
        moves: its length. Longer ones are tried if none of this length will do, so that tests need no change when the
            generator learns to do more.
        wanted: tells whether the state is as wanted.
    """
    for length in LENGTHS:
        for seed in range(SEEDS):
            generator = written(Random(seed), moves * length)
            if wanted(generator.state):
                return tuple(generator.requests)
    raise LookupError(f"no history of up to {moves * LENGTHS[-1]} moves is as wanted")


def holders(state: DecisionState, status: AgentStatus) -> list[tuple[str, AgentRecord, UnitState]]:
    """Agents in a status that still have their unit: stream, agent, unit."""
    found = []
    for stream, agent in state.agents.items():
        unit = state.units[f"unit/{run_of(stream)}/{agent.unit}"]
        if agent.status is status and unit.agent == agent.agent:
            found.append((stream, agent, unit))
    return found


def most_to_review(state: DecisionState) -> int:
    """Return the number of units that wait for a first reviewer in the run that has most of them."""
    waiting = [stream for stream, *_ in holders(state, AgentStatus.COMPLETED)]
    first = [stream for stream in waiting if not state.agents[stream].opinions]
    return max(Counter(map(run_of, first)).values(), default=0)


def has_work_of_every_kind(state: DecisionState) -> bool:
    """Return whether some work waits for a review, some was approved, and some is being done."""
    return all(holders(state, status) for status in (AgentStatus.COMPLETED, AgentStatus.APPROVED, AgentStatus.IN_TASK))


def has_an_offer(state: DecisionState) -> bool:
    """Return whether a live run has units on offer and a few workers have come."""
    live = [run.task_run for run in state.task_runs.values() if run.status is TaskRunStatus.LIVE]
    return len(state.agents) > 5 and any(state.runs[run].offered for run in live)
