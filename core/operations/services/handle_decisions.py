"""Carries out what plain functions of a script decide about the workers and the work that they are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256

from ....events.ids import AgentId, UnitId, WorkerId
from ...commands.review import Verdict
from ...errors import ConfigError
from ...ledger import Ledger
from ...ports import AppendResult, Ids
from ..configuration.money import cents
from ..task_code.calls import is_on_loop, wait_on_loop
from .reviewer import Reviewer

#: Author of these decisions, as the log records it.
SCRIPT = "script"
REVOKED = "revoked by the launch script"


class HandleDecisions:
    """Decisions of a script, made once however often its function is called again after a crash.

    Raises (all methods):
        ConfigError: called on the event loop, where nothing may block.
        CommandRefusedError: it is not legal now.
        LogError: nothing was written, or it is not known whether it was.
    """

    def __init__(self, ledger: Ledger, ids: Ids) -> None:
        self._reviewer = Reviewer(ledger, ids, SCRIPT)

    def grant_qualification(self, worker: WorkerId, name: str, value: int) -> None:
        """Grant a worker a qualification, or change its value."""
        self._decide("grant_qualification", lambda: self._reviewer.grant_qualification(worker, name, value))

    def revoke_qualification(self, worker: WorkerId, name: str) -> None:
        """Revoke a qualification that a worker has."""
        self._decide("revoke_qualification", lambda: self._reviewer.revoke_qualification(worker, name, REVOKED))

    def block_worker(self, worker: WorkerId, reason: str) -> None:
        """Give a worker no more work in any run."""
        self._decide("block_worker", lambda: self._reviewer.block_worker(worker, reason))

    def unblock_worker(self, worker: WorkerId, reason: str) -> None:
        """Allow a blocked worker to work again."""
        self._decide("unblock_worker", lambda: self._reviewer.unblock_worker(worker, reason))

    def bonus_worker(self, worker: WorkerId, amount: str, reason: str, unit: UnitId | None) -> None:
        """Grant a worker a bonus; one of the same amount for the same reason and unit is granted once."""
        owed = cents(amount, key="amount")
        key = sha256(f"{worker}\0{unit}\0{owed}\0{reason}".encode()).hexdigest()
        self._decide(
            "bonus_worker",
            lambda: self._reviewer.bonus_worker(worker, owed, reason, unit, command_id=f"script/bonus/{key}"),
        )

    def give_verdict(self, agent: AgentId, verdict: Verdict, note: str | None, bonus: str | None) -> None:
        """Give a verdict on an agent's work; the same one is given once."""
        extra = 0 if bonus is None else cents(bonus, key="bonus")
        key = f"script/verdict/{agent}/{verdict.value}"
        self._decide(
            f"{verdict.value} for agent-{agent}",
            lambda: self._reviewer.give_verdict(agent, verdict, note, extra, command_id=key),
        )

    def _decide(self, what: str, decide: Callable[[], Awaitable[AppendResult]]) -> None:
        if is_on_loop():
            raise ConfigError(
                f"{what} blocks, and was called on the event loop",
                hint="Call it in a plain function; in an async one use: await operator.reviewer()...",
            )
        wait_on_loop(decide)
