"""Joins an operator to the others of a log in PostgreSQL: keeps its lease, reserves ids, listens for news."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeVar

import psycopg
import trio

from ....core.errors import LogError
from ....core.operations.logger_core import get_logger
from ....core.ports import RunHolder
from ....core.signal import Signal
from ....events.ids import TaskRunId
from ....events.streams import partition_of_run
from . import owning, writing
from .mirrored import MirroredLog
from .owning import Lease
from .server import Server

#: Owned by whoever requests payments.
PAYMENTS = "payments"
#: Signs of life within the time of a lease.
BEATS = 3
#: Seconds between two attempts to listen.
PAUSE_SECONDS = 1.0

logger = get_logger(__name__)
T = TypeVar("T")


class OperatorSharing:
    """One operator among others, who own runs, and the right to request payments.

    It is heard of by the server every few seconds. If that stops for the time of its lease, another operator may take
    its runs over, and this one may write nothing more.
    """

    def __init__(self, log: MirroredLog, address: str, operator: str, lease_seconds: float) -> None:
        """Keep the parts; the server hears of the operator once it takes a run.

        Args:
            log: the operator's log.
            address: the server and database, as a URL or connection string of libpq.
            operator: a name that no other operator has or had.
            lease_seconds: how long the operator may be silent before others may take over.
        """
        self._log = log
        self._address = address
        self._operator = operator
        self._lease = Lease(lease_seconds, lease_seconds / BEATS)
        self._server = Server(address)
        self._is_known = False
        # One call at a time uses the connection.
        self._calling = trio.Lock()
        #: Notified when an operator has given something back, and when a notification may have been missed.
        self.given = Signal()
        self.payment_lock: AbstractAsyncContextManager[None] = _PartitionLock(self, PAYMENTS)

    def reserve(self, category: str, used: int, count: int) -> int:
        """Reserve a block of ids, and return the last one of it. Blocks.

        Args:
            category: the category of streams.
            used: an id that is used at least.
            count: the number of ids.
        """
        return self._log.server_log.reserve(category, used, count)

    async def take(self, run: TaskRunId, /) -> RunHolder | None:
        """See `RunOwnership.take`."""
        return await self.take_partition(partition_of_run(run))

    async def take_partition(self, partition: str) -> RunHolder | None:
        """Own a partition, unless another operator that lives does; return which one does."""
        if not self._is_known:
            await self._call(partial(owning.join, operator=self._operator, lease=self._lease))
            self._is_known = True
        taken = await self._call(partial(owning.take, operator=self._operator, partition=partition, lease=self._lease))
        if isinstance(taken, RunHolder):
            return taken
        self._log.server_log.own(self._operator, partition, taken)
        return None

    async def holder(self, run: TaskRunId, /) -> RunHolder | None:
        """See `RunOwnership.holder`."""
        return await self._call(
            partial(owning.holder, operator=self._operator, partition=partition_of_run(run), lease=self._lease)
        )

    async def give(self, run: TaskRunId, /) -> None:
        """See `RunOwnership.give`."""
        await self.give_partition(partition_of_run(run))

    async def give_partition(self, partition: str) -> None:
        """Own a partition no longer."""
        self._log.server_log.disown(partition)
        await self._call(partial(owning.give, operator=self._operator, partition=partition))

    async def run(self, on_news: Callable[[], None]) -> None:
        """Keep the lease, and listen for what others write, until cancelled.

        Args:
            on_news: called when others have written something, and now and then.

        Raises:
            WriterFencedError: another operator has taken over what this one owned.
            LogError: the server cannot be reached.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, on_news)
            while True:
                await trio.sleep(self._lease.beat_seconds)
                if self._is_known and not await self._call(
                    partial(owning.beat, operator=self._operator, lease=self._lease)
                ):
                    raise writing.fenced(self._log.server_log.owned)
                # A hint that was lost costs no more than this.
                on_news()

    async def leave(self) -> None:
        """Give everything back, and close the connection."""
        try:
            if self._is_known:
                await self._call(partial(owning.leave, operator=self._operator))
        except LogError as error:
            logger.warning("the lease could not be given back, and ends by itself", reason=str(error))
        finally:
            self._server.close()

    async def _listen(self, on_news: Callable[[], None]) -> None:
        while True:
            try:
                await self._hear(on_news)
            except psycopg.Error as error:
                logger.debug("listening to the log again", reason=type(error).__name__)
            await trio.sleep(PAUSE_SECONDS)

    async def _hear(self, on_news: Callable[[], None]) -> None:
        """Listen with one connection until it is lost.

        Raises:
            psycopg.Error: it was lost, or could not be made.
        """
        db = await trio.to_thread.run_sync(self._server.listener, abandon_on_cancel=True)
        try:
            self.given.notify()
            on_news()
            while True:
                notices = list(db.notifies(timeout=0))
                # The name of what was given back; news have none.
                if any(notice.payload for notice in notices):
                    self.given.notify()
                # What this process has placed itself it has read itself.
                own = self._log.server_log.own_pids
                if any(notice.pid not in own for notice in notices if not notice.payload):
                    on_news()
                await trio.lowlevel.wait_readable(db.fileno())
        finally:
            db.close()

    async def _call(self, work: Callable[[psycopg.Connection[psycopg.rows.TupleRow]], T]) -> T:
        async with self._calling:
            # The thread is left behind if this is cancelled, and ends once the connection is closed.
            return await trio.to_thread.run_sync(self._server.call, work, abandon_on_cancel=True)


class _PartitionLock(AbstractAsyncContextManager[None]):
    """A lock that one task of one operator holds at a time: whoever owns a partition without events."""

    def __init__(self, sharing: OperatorSharing, partition: str) -> None:
        self._sharing = sharing
        self._partition = partition
        self._within = trio.Lock()

    async def __aenter__(self) -> None:
        await self._within.acquire()
        try:
            given = self._sharing.given.next_event()
            while (holder := await self._sharing.take_partition(self._partition)) is not None:
                logger.info("another operator is at it; waiting", what=self._partition, operator=holder.operator)
                with trio.move_on_after(holder.wait_seconds):
                    await given.wait()
                given = self._sharing.given.next_event()
        except BaseException:
            self._within.release()
            raise

    async def __aexit__(self, *exception: object) -> None:
        try:
            with trio.CancelScope(shield=True):
                await self._sharing.give_partition(self._partition)
        finally:
            self._within.release()
