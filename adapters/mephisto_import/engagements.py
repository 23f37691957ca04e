"""Derives the facts about each worker in a run from their agents and onboardings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...core.lifecycles.agent import AgentStatus
from ...core.lifecycles.onboarding import OnboardingStatus
from ...events import streams
from ...events.engagement import (
    AllWorkEnded,
    EngagementEvent,
    WorkEnded,
    WorkerArrived,
    WorkerExcluded,
    WorkerOnboarded,
    WorkStarted,
)
from ...events.ids import AgentId, AssignmentId, OnboardingAgentId, TaskRunId, UnitId, WorkerId
from .facts import Fact, fact
from .source import OnboardingRow, SourceAgent, microseconds
from .work import LEFT, SUBMITTED


class Span(NamedTuple):
    """An agent and the time it ended; None if it is still working."""

    agent: SourceAgent
    ended_at: int | None

    @property
    def worker(self) -> int:
        """The id of its worker."""
        return self.agent.worker_id


def engagement_facts(
    run: TaskRunId, worker: WorkerId, spans: Sequence[Span], onboardings: Sequence[OnboardingRow]
) -> Iterator[Fact]:
    """Yield the facts about a worker in a run, from their arrival on."""
    stream = streams.engagement(run, worker)
    dates = [*(row.creation_date for row in onboardings), *(span.agent.creation_date for span in spans)]
    yield fact(min(map(microseconds, dates)), stream, WorkerArrived(worker=worker))
    for onboarding in onboardings:
        if (verdict := _verdict(onboarding)) is not None:
            yield fact(microseconds(onboarding.creation_date), stream, verdict)
    moves = [(microseconds(span.agent.creation_date), False, span.agent) for span in spans]
    moves += [(span.ended_at, True, span.agent) for span in spans if span.ended_at is not None]
    working: set[int] = set()
    for at, is_end, agent in sorted(moves, key=lambda move: move[:2]):
        number = AgentId(agent.agent_id)
        if is_end:
            working.remove(agent.agent_id)
            ended = WorkEnded if working else AllWorkEnded
            yield fact(at, stream, ended(agent=number, outcome=_outcome(agent)))
        else:
            working.add(agent.agent_id)
            unit, assignment = UnitId(agent.unit_id), AssignmentId(agent.assignment_id)
            yield fact(at, stream, WorkStarted(agent=number, unit=unit, assignment=assignment))


def has_ended(agent: SourceAgent) -> bool:
    """Return whether an agent no longer works on its unit."""
    return agent.status in SUBMITTED or agent.status in LEFT


def _outcome(agent: SourceAgent) -> str:
    return AgentStatus.COMPLETED.value if agent.status in SUBMITTED else agent.status


def _verdict(onboarding: OnboardingRow) -> EngagementEvent | None:
    match onboarding.status:
        case OnboardingStatus.APPROVED.value:
            return WorkerOnboarded(agent=OnboardingAgentId(onboarding.onboarding_agent_id))
        case OnboardingStatus.REJECTED.value:
            return WorkerExcluded(reason="onboarding")
        case _:
            return None
