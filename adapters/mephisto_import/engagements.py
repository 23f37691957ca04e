"""What each worker did in a run, as facts: told by its agents and onboardings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...core.lifecycles.agent import AgentStatus
from ...core.lifecycles.onboarding import OnboardingStatus
from ...events import streams
from ...events.engagement import (
    EngagementBarred,
    EngagementEvent,
    EngagementOnboarded,
    LastWorkEnded,
    WorkEnded,
    WorkerArrived,
    WorkTaken,
)
from ...events.ids import AgentId, AssignmentId, OnboardingAgentId, TaskRunId, UnitId, WorkerId
from .facts import Fact, fact
from .source import OnboardingRow, SourceAgent, microseconds
from .work import HANDED_IN, LEFT


class Span(NamedTuple):
    """An agent, and when it ended; None: it is at work."""

    agent: SourceAgent
    ended_at: int | None

    @property
    def worker(self) -> int:
        """Whose it is."""
        return self.agent.worker_id


def engagement_facts(
    run: TaskRunId, worker: WorkerId, spans: Sequence[Span], onboardings: Sequence[OnboardingRow]
) -> Iterator[Fact]:
    """A worker's part in a run, from its arrival on."""
    stream = streams.engagement(run, worker)
    dates = [*(row.creation_date for row in onboardings), *(span.agent.creation_date for span in spans)]
    yield fact(min(map(microseconds, dates)), stream, WorkerArrived(worker=worker))
    for onboarding in onboardings:
        if (verdict := _verdict(onboarding)) is not None:
            yield fact(microseconds(onboarding.creation_date), stream, verdict)
    moves = [(microseconds(span.agent.creation_date), False, span.agent) for span in spans]
    moves += [(span.ended_at, True, span.agent) for span in spans if span.ended_at is not None]
    at_work: set[int] = set()
    for at, is_end, agent in sorted(moves, key=lambda move: move[:2]):
        number = AgentId(agent.agent_id)
        if is_end:
            at_work.remove(agent.agent_id)
            ended = WorkEnded if at_work else LastWorkEnded
            yield fact(at, stream, ended(agent=number, outcome=_outcome(agent)))
        else:
            at_work.add(agent.agent_id)
            unit, assignment = UnitId(agent.unit_id), AssignmentId(agent.assignment_id)
            yield fact(at, stream, WorkTaken(agent=number, unit=unit, assignment=assignment))


def has_ended(agent: SourceAgent) -> bool:
    """Whether an agent has no unit to work on any more."""
    return agent.status in HANDED_IN or agent.status in LEFT


def _outcome(agent: SourceAgent) -> str:
    return AgentStatus.COMPLETED.value if agent.status in HANDED_IN else agent.status


def _verdict(onboarding: OnboardingRow) -> EngagementEvent | None:
    match onboarding.status:
        case OnboardingStatus.APPROVED.value:
            return EngagementOnboarded(agent=OnboardingAgentId(onboarding.onboarding_agent_id))
        case OnboardingStatus.REJECTED.value:
            return EngagementBarred(reason="onboarding")
        case _:
            return None
