"""Puts followers together: one for each receiver that a configuration names."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import trio

from ...core.errors import ConfigError
from ...core.ledger import Ledger
from ...core.operations.hydra_config import NotifyArgs
from ...core.ports import WallClock
from ...core.signal import Signal
from ...core.suggestions import did_you_mean
from ...events.codec import KIND_OF
from ...events.envelope import RecordedEvent
from ..advice import written_database
from ..composition.data_dir import DATABASE_FILE
from ..log.feed import EventSource
from .follower import NotifyFollower
from .notice import NOTICE_KINDS, NoticeRules
from .position import NotifyPosition
from .receivers import Receiver, receivers_of

#: Folder of the recorded positions, beside the log.
FOLDER = "notices"


class CommitNews:
    """Tells one task of the commits of a ledger, also of those that happened while it was busy."""

    def __init__(self, ledger: Ledger) -> None:
        self._has_news = False
        self._signal = Signal()
        self.unsubscribe = ledger.subscribe(self._note)

    async def wait(self) -> None:
        """Wait until something was committed since the last call returned."""
        if not self._has_news:
            await self._signal.wait()
        self._has_news = False

    def _note(self, _: Sequence[RecordedEvent]) -> None:
        self._has_news = True
        self._signal.notify()


class Notifier:
    """Sends the notices of an operator's log while the operator runs."""

    def __init__(self, followers: Sequence[NotifyFollower]) -> None:
        self._followers = followers

    async def run(self) -> None:
        """Send notices until cancelled."""
        async with trio.open_nursery() as nursery:
            for follower in self._followers:
                nursery.start_soon(follower.run)

    async def wait_caught_up(self, seconds: float) -> None:
        """Wait until the receivers have taken what is in the log now, but not for one that is down.

        Args:
            seconds: how long to wait at most.
        """
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for follower in self._followers:
                    nursery.start_soon(follower.wait_caught_up)


def notifier_of(args: NotifyArgs, source: EventSource, ledger: Ledger, data_dir: Path, clock: WallClock) -> Notifier:
    """Return what sends the notices that a configuration asks for.

    Args:
        args: the section `mephisto.notify`.
        source: the log.
        ledger: writes it.
        data_dir: folder in which the positions are recorded, beside the log that the notices name.
        clock: the wall clock.

    Raises:
        ConfigError: a kind of notice is unknown, an address is not usable, or an environment variable is not set.
        UnusableLogError: a recorded position cannot be read.
    """
    receivers = checked_receivers(args, os.environ, clock)
    kinds, log = frozenset(args.events), written_database(data_dir / DATABASE_FILE)

    def follower(receiver: Receiver, jitter: Callable[[], float] = random.random) -> NotifyFollower:
        position = NotifyPosition(data_dir / FOLDER / f"{receiver.name}.json")
        wait = CommitNews(ledger).wait
        return NotifyFollower(source, wait, NoticeRules(kinds, log), receiver, position, kinds, clock, jitter)

    return Notifier([follower(receiver) for receiver in receivers])


def checked_receivers(args: NotifyArgs, environment: Mapping[str, str], clock: WallClock) -> list[Receiver]:
    """Return the receivers of a configuration, whose kinds of notices exist.

    Raises:
        ConfigError: one does not exist, or as `receivers_of`.
    """
    known = [*NOTICE_KINDS, *KIND_OF.values()]
    for kind in args.events:
        if kind not in known:
            raise ConfigError(
                f"mephisto.notify.events has {kind!r}, which is no kind of notice and no event",
                key="mephisto.notify.events",
                hint=did_you_mean(kind, known),
            )
    return receivers_of(args, environment, clock)
