"""Records a reviewer's decisions in a log that no operator has open, for the command line and the web pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...core.commands.review import Verdict
from ...core.errors import CommandRefusedError
from ...core.operations.services.reviewer import Reviewer
from ...events.ids import AgentId
from .ledger import open_ledger

#: A command that a reviewer gives, for instance to block a worker.
ReviewCommand = Callable[[Reviewer], Awaitable[object]]


class ReviewDecision(NamedTuple):
    """A verdict on an agent's work that is yet to be recorded."""

    agent: AgentId
    verdict: Verdict
    note: str | None
    bonus_cents: int = 0


class BatchResult(NamedTuple):
    """The outcome of recording several decisions in order."""

    #: The number of decisions that were recorded.
    recorded: int
    #: The refusal of the next decision. Those after it were not tried. None if all were recorded.
    refusal: CommandRefusedError | None


async def record_decisions(
    database: Path,
    decisions: Sequence[ReviewDecision],
    on_recorded: Callable[[ReviewDecision], None] = lambda _: None,
) -> BatchResult:
    """Record decisions one by one, until one is refused.

    Args:
        database: the log.
        decisions: the verdicts, in order.
        on_recorded: called after each decision is durable.

    Raises:
        UnusableLogError: there is no such log, or another process writes it: an operator.
        LogError: it is unknown whether the last decision was recorded.
    """
    async with open_ledger(database) as (ledger, ids):
        reviewer = Reviewer(ledger, ids)
        for number, decision in enumerate(decisions):
            try:
                await reviewer.give_verdict(decision.agent, decision.verdict, decision.note, decision.bonus_cents)
            except CommandRefusedError as error:
                return BatchResult(number, error)
            on_recorded(decision)
    return BatchResult(len(decisions), None)


async def record_command(database: Path, command: ReviewCommand) -> CommandRefusedError | None:
    """Carry out one command of a reviewer; return its refusal, or None if it was recorded.

    Raises:
        UnusableLogError, LogError: as `record_decisions`.
    """
    async with open_ledger(database) as (ledger, ids):
        try:
            await command(Reviewer(ledger, ids))
        except CommandRefusedError as error:
            return error
    return None
