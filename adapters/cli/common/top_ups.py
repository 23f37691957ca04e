"""Proposes bonuses that lift submitted work to a run's minimum hourly pay, and adds them to verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from ....core.commands.review import Verdict
from ....core.operations.configuration.money import amount
from ....core.operations.control.requests import ReviewRequest, VerdictRequest
from ....events.ids import AgentId, TaskRunId
from ....projections.queries.money.hourly_pay import top_ups
from ...log.sqlite.as_of import open_as_of


def proposed_top_ups(database: Path, run: TaskRunId) -> Mapping[AgentId, int]:
    """Return the bonus that is missing to the minimum hourly pay, in cents, by agent; empty if the run has no minimum.

    Raises:
        UnknownEntityError: there is no such run.
        UnusableLogError: the log cannot be read.
    """
    with open_as_of(database) as moment:
        return top_ups(moment, run)


def with_top_ups(decisions: Sequence[ReviewRequest], proposed: Mapping[AgentId, int]) -> list[ReviewRequest]:
    """Return verdicts in which accepted work has its proposed bonus on top of the one that is given.

    Args:
        decisions: the verdicts; rejections and answers stay as they are.
        proposed: the bonuses by agent.
    """
    return [
        replace(one, bonus_cents=max(one.bonus_cents, proposed.get(one.agent, 0)))
        if isinstance(one, VerdictRequest) and one.verdict is Verdict.APPROVED
        else one
        for one in decisions
    ]


def top_up_text(agent: int | None, proposed: Mapping[AgentId, int]) -> str:
    """Return what a list says of an agent's proposed bonus; empty if there is none."""
    cents = 0 if agent is None else proposed.get(AgentId(agent), 0)
    return f"  top up {amount(cents)}" if cents else ""
