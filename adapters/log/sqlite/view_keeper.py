"""Takes snapshots of a view beside the work of its writer, so that reads of earlier moments fold little."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable

from ....core.operations.logger_core import get_logger
from ....projections.engine.projection import Projection
from . import snapshots
from .log import SqliteLog
from .snapshots import SNAPSHOT_EVENTS, StoredSnapshot

logger = get_logger(__name__)


class ViewKeeper:
    """Takes snapshots of one view of a log that is open for writing."""

    def __init__(
        self,
        log: SqliteLog,
        projection: Projection,
        offload: Callable[[Callable[[], None]], Awaitable[None]],
        every_events: int = SNAPSHOT_EVENTS,
    ) -> None:
        """Initialize.

        Args:
            log: the log.
            projection: the view, which the log keeps current.
            offload: makes a blocking call beside the event loop; a cancellation is delivered after it.
            every_events: events between two snapshots.
        """
        self._log = log
        self._projection = projection
        self._offload = offload
        self._every_events = every_events
        self._last_seq = log.last_snapshot(projection)

    async def keep(self) -> None:
        """Take a snapshot, unless there is a recent one; the next commit stores it."""
        if self._log.head().seq - self._last_seq < self._every_events:
            return
        erasures = self._log.erasures
        found: list[StoredSnapshot] = []
        await self._offload(lambda: self._take(found))
        for snapshot in found:
            self._log.keep_snapshot(snapshot, erasures)
        # Also if there is none, so that what failed is not tried again at once.
        self._last_seq = self._log.head().seq

    def _take(self, found: list[StoredSnapshot]) -> None:
        try:
            snapshot = snapshots.taken(self._log.path, self._projection)
        except sqlite3.Error as error:
            logger.warning("no snapshot of the view was taken", log=str(self._log.path), reason=str(error))
            return
        if snapshot is not None:
            found.append(snapshot)
