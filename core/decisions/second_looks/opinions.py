"""Decides on opinions: work is decided only once two reviewers agree, or after both have said what they think."""

from __future__ import annotations

from collections.abc import Mapping

from ....events import streams
from ....events.agent import AgentOpinionGiven, Opinion
from ...commands.review import PERSON_PREFIX, GiveOpinion, ReviewWork, Verdict
from ...errors import CommandRefusedError
from ...lifecycles.agent import AGENT, AgentRecord
from ...ports import NewEvent
from ...state.decision_state import DecisionState
from ..worker_rights.consent import check_consent

_OPINIONS: Mapping[Verdict, Opinion] = {
    Verdict.APPROVED: Opinion.APPROVE,
    Verdict.SOFT_REJECTED: Opinion.SOFT_REJECT,
    Verdict.REJECTED: Opinion.REJECT,
}


def decide_give_opinion(state: DecisionState, command: GiveOpinion) -> list[NewEvent]:
    """Record a first opinion on an agent's work, which then waits for a second reviewer.

    Raises:
        UnknownEntityError: there is no such agent.
        CommandRefusedError: the work does not wait for a review, its worker has not consented, or there is an opinion
            already.
    """
    stream = streams.agent(command.task_run, command.agent)
    agent = state.agents[stream]
    if not AGENT.allows(agent.status, AgentOpinionGiven):
        raise CommandRefusedError(f"agent-{agent.agent} is {agent.status.value!r}: there is nothing to decide")
    if agent.opinions:
        raise CommandRefusedError(
            f"agent-{agent.agent} has an opinion by {agent.opinions[0].reviewer} already: the second reviewer gives a "
            "verdict"
        )
    check_consent(state, command.task_run, agent.worker)
    given = AgentOpinionGiven(opinion=_OPINIONS[command.verdict], reviewer=command.reviewer, note=command.note)
    return [NewEvent(stream, given)]


def second_opinion(agent: AgentRecord, command: ReviewWork) -> AgentOpinionGiven | None:
    """Return the opinion that a verdict is as long as two reviewers differ; None if it decides.

    It decides if there is no opinion, if it agrees with the only one, or if it adjudicates between two that differ.
    The verdicts of scripts decide in any case: only people wait for each other.

    Raises:
        CommandRefusedError: the only opinion is by the same reviewer, or two differ and nobody is said to adjudicate.
    """
    reviewer = command.reviewer
    if not agent.opinions or reviewer is None or not reviewer.startswith(PERSON_PREFIX):
        return None
    first, *others = agent.opinions
    if others:
        if command.adjudicates:
            return None
        raise CommandRefusedError(
            f"reviewers differ about agent-{agent.agent}: {_texts(agent)}; somebody has to adjudicate"
        )
    if first.reviewer == reviewer:
        raise CommandRefusedError(
            f"agent-{agent.agent} waits for the opinion of somebody other than {reviewer}; to decide alone, take yours "
            "back first"
        )
    opinion = _OPINIONS[command.verdict]
    if opinion is first.opinion:
        return None
    return AgentOpinionGiven(opinion=opinion, reviewer=reviewer, note=command.note)


def _texts(agent: AgentRecord) -> str:
    return ", ".join(f"{given.reviewer} would {given.opinion.value.replace('_', '-')}" for given in agent.opinions)
