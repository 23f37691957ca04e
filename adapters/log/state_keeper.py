"""Keeps the state of an open log beside it: now and then, when little happens, and when the log is closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import trio

from ...core.ledger import Ledger
from ...core.operations.logger_core import get_logger
from ...core.ports import Head
from ...core.signal import Signal
from ...core.state.state_snapshot import StateSnapshot
from ...events.envelope import RecordedEvent
from .state_file import write_state

#: The disk fails, or a script's answer is something that MessagePack does not have, for instance a number of 65 bits.
_NOT_KEPT = (OSError, OverflowError, TypeError, ValueError)

logger = get_logger(__name__)


class KeepLimits(NamedTuple):
    """Numbers of events since the state was last kept, after which it is kept again."""

    #: In any case; this is the most that a restart has to fold.
    always: int = 100_000
    #: Once the log has been idle for so many seconds.
    idle: int = 10_000
    idle_seconds: float = 5.0
    #: When the log is closed. Folding fewer takes less time than writing the file.
    at_close: int = 2_000


LIMITS = KeepLimits()
#: Makes a blocking call, so that the event loop keeps running meanwhile.
Beside = Callable[[Callable[[], None]], Awaitable[None]]


class Headed(Protocol):
    """A log that knows its end."""

    def head(self) -> Head:
        """Return position, chain and time of the last event."""


class StateKeeper:
    """Writes the state of a ledger to the file beside its log. A failure is logged, and costs nothing but time."""

    def __init__(
        self,
        path: Path,
        ledger: Ledger,
        log: Headed,
        kept_seq: int,
        offload: Beside,
        limits: KeepLimits = LIMITS,
        keep_views: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Watch a ledger.

        Args:
            path: the log.
            ledger: its ledger; nothing has been written yet.
            log: the same log, open.
            kept_seq: the position of the state that is in the file; 0: there is none.
            offload: makes a blocking call beside the event loop; a cancellation is delivered after it.
            limits: when the state is kept.
            keep_views: called each time that `run` has kept the state, to do the same with views.
        """
        self._path = path
        self._ledger = ledger
        self._log = log
        self._kept_seq = kept_seq
        self._offload = offload
        self._limits = limits
        self._keep_views = keep_views
        #: Position at which `run` has something to do.
        self._wake_at = kept_seq
        self._news = Signal()
        ledger.subscribe(self._on_committed)

    async def run(self) -> None:
        """Keep the state now and then until cancelled. A write that has begun is finished."""
        while True:
            await self._wait_reached(self._kept_seq + self._limits.idle)
            seen, limit = 0, self._kept_seq + self._limits.always
            while seen < self._log.head().seq < limit:
                seen = self._log.head().seq
                with trio.move_on_after(self._limits.idle_seconds):
                    await self._wait_reached(limit)
            await self._keep()
            if self._keep_views is not None:
                await self._keep_views()

    def keep_at_close(self) -> None:
        """Keep the state if that is worth its while. Blocks. Called after the last commit, also if that failed."""
        if self._log.head().seq - self._kept_seq >= self._limits.at_close:
            # After a commit that failed the state is not that of the log, and this calls nothing.
            self._ledger.call_when_durable(lambda: self._copy(self._write))

    async def _keep(self) -> None:
        copies: list[tuple[Head, StateSnapshot]] = []
        durable = trio.Event()

        def copy() -> None:
            self._copy(lambda *copied: copies.append(copied))
            durable.set()

        self._ledger.call_when_durable(copy)
        await durable.wait()
        for copied in copies:
            await self._offload(partial(self._write, *copied))

    def _copy(self, take: Callable[[Head, StateSnapshot], None]) -> None:
        """Give a copy of the state to a function, unless it is not that of the log, or cannot be copied."""
        head = self._log.head()
        self._kept_seq = head.seq
        if sum(self._ledger.state.versions.values()) != head.seq:
            # A log that is shared has just got events of others, which the ledger is about to apply.
            return
        try:
            copied = StateSnapshot(self._ledger.state)
        except _NOT_KEPT as error:
            self._warn(error)
        else:
            take(head, copied)

    def _write(self, head: Head, copy: StateSnapshot) -> None:
        try:
            write_state(self._path, head, copy)
        except _NOT_KEPT as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        logger.warning(
            "the state of the log could not be kept, so the next start takes longer",
            log=str(self._path),
            reason=str(error),
        )

    async def _wait_reached(self, seq: int) -> None:
        """Wait until the log has reached a position."""
        self._wake_at = seq
        while self._log.head().seq < seq:
            await self._news.wait()

    def _on_committed(self, _: Sequence[RecordedEvent]) -> None:
        if self._log.head().seq >= self._wake_at:
            self._news.notify()
