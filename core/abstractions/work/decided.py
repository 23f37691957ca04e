"""Mephisto's verbs of the workers and agents that callbacks are given: they decide, where others only read."""

from __future__ import annotations

from typing import Protocol

from ....events.ids import AgentId, UnitId, WorkerId
from ...commands.review import Verdict

#: Mephisto's functions return whether they succeeded, and a message; here a failure is an error.
DONE = (True, "")


class WorkDecider(Protocol):
    """Carries out decisions, and returns when they are durable. They are for plain functions: they block."""

    def grant_qualification(self, worker: WorkerId, name: str, value: int) -> None:
        """Grant a worker a qualification, or change its value."""

    def revoke_qualification(self, worker: WorkerId, name: str) -> None:
        """Revoke a qualification that a worker has."""

    def block_worker(self, worker: WorkerId, reason: str) -> None:
        """Give a worker no more work in any run."""

    def unblock_worker(self, worker: WorkerId, reason: str) -> None:
        """Allow a blocked worker to work again."""

    def bonus_worker(self, worker: WorkerId, amount: str, reason: str, unit: UnitId | None) -> None:
        """Grant a worker a bonus in whole currency."""

    def give_verdict(self, agent: AgentId, verdict: Verdict, note: str | None, bonus: str | None) -> None:
        """Give a verdict on an agent's work, with a bonus in whole currency."""


class _SomeWorker(Protocol):
    worker_id: WorkerId

    @property
    def decider(self) -> WorkDecider: ...


class _SomeAgent(Protocol):
    @property
    def agent_id(self) -> AgentId: ...

    @property
    def decider(self) -> WorkDecider: ...


class _SomeUnit(Protocol):
    @property
    def unit_id(self) -> UnitId: ...


class DecidedWorker:
    """Decisions about a worker, for plain functions.

    Raises (all methods):
        CommandRefusedError: it is not legal now.
        ConfigError: called in an async function; use `operator.reviewer()` there.
    """

    def grant_qualification(
        self: _SomeWorker,
        qualification_name: str,
        value: int = 1,
        skip_crowd: bool = False,  # noqa: ARG002 - Mephisto's
    ) -> bool:
        """Grant the worker a qualification, or change its value; returns True."""
        self.decider.grant_qualification(self.worker_id, qualification_name, value)
        return True

    def revoke_qualification(
        self: _SomeWorker,
        qualification_name: str,
        skip_crowd: bool = False,  # noqa: ARG002 - Mephisto's
    ) -> bool:
        """Revoke a qualification of the worker; returns True."""
        self.decider.revoke_qualification(self.worker_id, qualification_name)
        return True

    def block_worker(
        self: _SomeWorker,
        reason: str,
        unit: object = None,  # noqa: ARG002 - Mephisto's
        requester: object = None,  # noqa: ARG002 - Mephisto's
    ) -> tuple[bool, str]:
        """Give the worker no more work in any run."""
        self.decider.block_worker(self.worker_id, reason)
        return DONE

    def unblock_worker(
        self: _SomeWorker,
        reason: str,
        requester: object = None,  # noqa: ARG002 - Mephisto's
    ) -> tuple[bool, str]:
        """Allow the worker to work again."""
        self.decider.unblock_worker(self.worker_id, reason)
        return DONE

    def bonus_worker(self: _SomeWorker, amount: float, reason: str, unit: _SomeUnit | None = None) -> tuple[bool, str]:
        """Grant the worker a bonus in whole currency, for a unit or for the latest work that was not rejected."""
        self.decider.bonus_worker(self.worker_id, str(amount), reason, None if unit is None else unit.unit_id)
        return DONE


class DecidedAgent:
    """Verdicts on an agent's work, for plain functions.

    Raises (all methods):
        CommandRefusedError: it is not legal now.
        ConfigError: called in an async function; use `operator.reviewer()` there.
    """

    __slots__ = ()

    def approve_work(
        self: _SomeAgent,
        review_note: str | None = None,
        bonus: float | None = None,
        skip_unit_review: bool = False,  # noqa: ARG002 - Mephisto's
    ) -> None:
        """Accept the work: it is to be paid, with a bonus in whole currency if one is given."""
        self.decider.give_verdict(self.agent_id, Verdict.APPROVED, review_note, None if bonus is None else str(bonus))

    def soft_reject_work(self: _SomeAgent, review_note: str | None = None) -> None:
        """Leave the work out of the data, and pay it all the same."""
        self.decider.give_verdict(self.agent_id, Verdict.SOFT_REJECTED, review_note, None)

    def reject_work(self: _SomeAgent, review_note: str | None = None) -> None:
        """Reject the work: it is not paid. It needs a note with the reason, which the worker reads."""
        self.decider.give_verdict(self.agent_id, Verdict.REJECTED, review_note, None)
