"""Adds Mephisto's verbs to the rows of agents and workers: verdicts, bonuses, qualifications, blocks.

A row asks the database that it was read from. One that only reads refuses.
"""

from __future__ import annotations

from typing import Protocol

from ...core.commands.review import Verdict
from ...core.operations.configuration.money import cents
from ...core.operations.control.requests import (
    AnyRequest,
    BlockRequest,
    BonusRequest,
    GrantRequest,
    Reply,
    RevokeRequest,
    UnblockRequest,
    VerdictRequest,
)
from ...events.ids import AgentId, UnitId, WorkerId

#: Mephisto's functions return whether they succeeded, and a message; here a failure is an error.
DONE = (True, "")


class Decider(Protocol):
    """Executes requests. Implemented by `MephistoDB`."""

    def decide(self, request: AnyRequest) -> Reply:
        """Execute a request, and return when it is durable.

        Raises:
            CommandRefusedError: it is not legal now, or the database only reads.
        """


class _AgentLike(Protocol):
    @property
    def db(self) -> Decider: ...

    @property
    def agent_id(self) -> AgentId: ...


class _WorkerLike(Protocol):
    @property
    def db(self) -> Decider: ...

    @property
    def worker_id(self) -> WorkerId: ...


class _UnitLike(Protocol):
    @property
    def unit_id(self) -> UnitId: ...


class AgentDecisions:
    """Verdicts on the work of an agent.

    Raises (all methods):
        CommandRefusedError: it is not legal now, or the database only reads: use `mephisto_es.connect`.
        LogError: nothing was written, or it is not known whether it was.
    """

    __slots__ = ()

    def approve_work(
        self: _AgentLike,
        review_note: str | None = None,
        bonus: float | str | None = None,
        skip_unit_review: bool = False,  # noqa: ARG002 - every verdict is recorded
    ) -> None:
        """Accept the work: it is to be paid.

        Args:
            review_note: kept with the verdict.
            bonus: an amount on top of the pay, in whole currency.
            skip_unit_review: ignored; Mephisto's scripts pass it.
        """
        _review(self, Verdict.APPROVED, review_note, 0 if bonus is None else cents(bonus, key="bonus"))

    def soft_reject_work(self: _AgentLike, review_note: str | None = None) -> None:
        """Leave the work out of the data, and pay it all the same."""
        _review(self, Verdict.SOFT_REJECTED, review_note)

    def reject_work(self: _AgentLike, review_note: str | None = None) -> None:
        """Reject the work: it is not paid."""
        _review(self, Verdict.REJECTED, review_note)


def _review(agent: _AgentLike, verdict: Verdict, note: str | None, bonus_cents: int = 0) -> None:
    request = VerdictRequest(agent=agent.agent_id, verdict=verdict, note=note, bonus_cents=bonus_cents)
    agent.db.decide(request)


class WorkerDecisions:
    """Decisions about a worker.

    Raises (all methods):
        CommandRefusedError: it is not legal now, or the database only reads: use `mephisto_es.connect`.
        LogError: nothing was written, or it is not known whether it was.
    """

    __slots__ = ()

    def grant_qualification(
        self: _WorkerLike,
        qualification_name: str,
        value: int = 1,
        skip_crowd: bool = False,  # noqa: ARG002 - nothing is mirrored to a provider
    ) -> bool:
        """Grant a qualification, or change its value; creates it if there is none. Returns True, as in Mephisto."""
        self.db.decide(GrantRequest(worker=self.worker_id, qualification=qualification_name, value=value))
        return True

    def revoke_qualification(
        self: _WorkerLike,
        qualification_name: str,
        skip_crowd: bool = False,  # noqa: ARG002 - nothing is mirrored to a provider
    ) -> bool:
        """Revoke a qualification. Returns True, as in Mephisto."""
        reason = "revoked by a script"
        self.db.decide(RevokeRequest(worker=self.worker_id, qualification=qualification_name, reason=reason))
        return True

    def block_worker(
        self: _WorkerLike,
        reason: str,
        unit: object = None,  # noqa: ARG002 - as the requester
        requester: object = None,  # noqa: ARG002 - a block holds in all runs
    ) -> tuple[bool, str]:
        """Give the worker no more work in any run. Returns True and an empty message, as in Mephisto."""
        self.db.decide(BlockRequest(worker=self.worker_id, reason=reason))
        return DONE

    def unblock_worker(
        self: _WorkerLike,
        reason: str,
        requester: object = None,  # noqa: ARG002 - a block holds in all runs
    ) -> tuple[bool, str]:
        """Let a blocked worker work again. Returns True and an empty message, as in Mephisto."""
        self.db.decide(UnblockRequest(worker=self.worker_id, reason=reason))
        return DONE

    def bonus_worker(
        self: _WorkerLike, amount: float | str, reason: str, unit: _UnitLike | None = None
    ) -> tuple[bool, str]:
        """Grant a bonus, which is paid with everything else. Returns True and an empty message, as in Mephisto.

        Args:
            amount: in whole currency; it must be a whole number of cents.
            reason: why.
            unit: a unit that the worker has had; the latest one if not given.

        Raises:
            ConfigError: the amount cannot be paid exactly.
        """
        request = BonusRequest(
            worker=self.worker_id,
            amount_cents=cents(amount, key="amount"),
            reason=reason,
            unit=None if unit is None else unit.unit_id,
        )
        self.db.decide(request)
        return DONE
