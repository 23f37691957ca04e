"""Follows a log for one receiver, from a recorded position on, and sends it each notice at least once.

Each receiver has a follower of its own, so one that is down delays no other. The position is recorded after a notice
was taken: a notice may be sent again after a crash, with the same id.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Awaitable, Callable

import trio

from ...core.operations.logger_core import get_logger
from ...core.ports import WallClock
from ...core.signal import Signal
from ..channels.backoff import Backoff
from ..log.anchor import last_anchor
from ..log.feed import EventSource, LogFeed
from .notice import Notice, NoticeRules, notice
from .position import NotifyPosition
from .receivers import NotDeliveredError, Receiver

#: Seconds between two looks at what no event reports: the disk, the anchor, the time of reminders.
CHECK_SECONDS = 60.0
#: Seconds for which a notice is sent again before it is dropped.
PATIENCE_SECONDS = 24 * 3600.0
#: Free bytes below which a disk is nearly full.
LOW_DISK_BYTES = 2**30
#: Checks in a row after which a head that is not anchored is worth a notice.
UNANCHORED_CHECKS = 2

logger = get_logger(__name__)


class NotifyFollower:
    """Sends the notices of a log to one receiver."""

    def __init__(
        self,
        source: EventSource,
        wait_for_commit: Callable[[], Awaitable[None]],
        rules: NoticeRules,
        receiver: Receiver,
        position: NotifyPosition,
        kinds: frozenset[str],
        clock: WallClock,
        jitter: Callable[[], float],
    ) -> None:
        """Keep the parts; nothing is read yet.

        Args:
            source: the log.
            wait_for_commit: returns soon after something was committed since its last call.
            rules: decide what is sent; they have seen no event.
            receiver: takes the notices.
            position: what the receiver has taken.
            kinds: the chosen kinds, for what no event reports.
            clock: the wall clock.
            jitter: returns numbers from 0 to 1.
        """
        self._source = source
        self._wait_for_commit = wait_for_commit
        self._rules = rules
        self._receiver = receiver
        self._position = position
        self._kinds = kinds
        self._clock = clock
        self._jitter = jitter
        self._feed = LogFeed(source)
        self._seq = 0
        self._progress = Signal()
        self._unanchored = 0
        self._is_disk_low = False

    async def run(self) -> None:
        """Follow the log until cancelled."""
        self._position.begin(self._source.head().seq, self._clock.now_us())
        next_check = -math.inf
        while True:
            await self._catch_up()
            now = trio.current_time()
            if now >= next_check:
                next_check = now + CHECK_SECONDS
                await self._check()
            with trio.move_on_at(next_check):
                await self._wait_for_commit()

    async def wait_caught_up(self) -> None:
        """Wait until everything in the log now was taken."""
        head = self._source.head().seq
        while self._seq < head:
            await self._progress.wait()

    async def _catch_up(self) -> None:
        while piece := self._feed.read_piece():
            for recorded in piece:
                notices = list(self._rules.apply(recorded))
                if recorded.seq > self._position.seq:
                    for one in notices:
                        await self._deliver(one)
                    if notices:
                        self._position.advance(recorded.seq)
                self._seq = recorded.seq
            await trio.lowlevel.checkpoint()
        self._progress.notify()

    async def _check(self) -> None:
        """Send what no event reports, and record that what was read made no notice."""
        self._position.advance(self._seq)
        now = self._clock.now_us()
        for one in self._rules.due(self._position.reminded_until_us, now):
            await self._deliver(one)
        self._position.remind(now)
        head = self._source.head()
        free = shutil.disk_usage(self._source.path.parent).free
        was_low, self._is_disk_low = self._is_disk_low, free < LOW_DISK_BYTES
        if "disk" in self._kinds and self._is_disk_low and not was_low:
            text = f"the disk with the log has {free // 2**20} MiB left; free some space"
            await self._deliver(notice(head.seq, "disk", now, text))
        anchored = last_anchor(self._source.path)
        is_behind = head.seq > 0 and (anchored is None or anchored.seq < head.seq)
        self._unanchored = self._unanchored + 1 if is_behind else 0
        if "anchor" in self._kinds and self._unanchored == UNANCHORED_CHECKS:
            kept = 0 if anchored is None else anchored.seq
            text = f"the log is not anchored: its anchor file ends at seq {kept}, the log at seq {head.seq}"
            await self._deliver(notice(head.seq, "anchor", now, text))

    async def _deliver(self, one: Notice) -> None:
        """Send a notice again until it is taken, or too old."""
        backoff = Backoff(PATIENCE_SECONDS, self._jitter)
        while True:
            try:
                await self._receiver.deliver(one)
            except NotDeliveredError as error:
                delay = backoff.next_delay(trio.current_time())
                log = logger.bind(receiver=self._receiver.name, notice=one.id, reason=str(error))
                if delay is None:
                    log.error("a notice could not be sent for a day; it is dropped")
                    return
                log.warning("a notice could not be sent; trying again", retry_in_seconds=round(delay, 2))
                await trio.sleep(delay)
            else:
                return
