"""Runs the reconciler of a live run: after each change in the log, and at the provider's interval."""

from __future__ import annotations

from collections.abc import Callable

import trio

from ...abstractions.crowd.differences import SiteDifference
from ...abstractions.crowd_provider import CrowdProvider
from ...errors import LogError
from ...ledger import Ledger
from ...ports import Ids, WallClock
from ...redaction import redacted_text
from ...signal import Signal
from ..control.round_report import RoundReport
from ..logger_core import get_logger
from ..run_context import RunContext
from ..services.reconciler import Reconciler

#: Least seconds between two rounds, so that a site gets at most one list a second for a run of any size.
GAP_SECONDS = 1.0
#: Pauses after rounds that failed: the first, and the longest.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 300.0
#: The time before an approval by the site in which it is announced, once a day.
AUTO_APPROVAL_WARNING_SECONDS, DAY_SECONDS = 5 * 24 * 3600.0, 24 * 3600.0
#: Part of an interval by which it is made longer at random.
JITTER = 0.2
#: Seconds that the site has to withdraw the offer when the run pauses, and for the last round of a run that ends.
WITHDRAW_SECONDS, LAST_ROUND_SECONDS = 5.0, 60.0

logger = get_logger(__name__)


class SiteLoop:
    """The reconciler at work. For a provider without a site all methods do nothing."""

    def __init__(
        self, provider: CrowdProvider, reconciler: Reconciler, clock: WallClock, jitter: Callable[[], float]
    ) -> None:
        """Keep the parts.

        Args:
            provider: the run's provider.
            reconciler: goes through the rounds.
            clock: the wall clock.
            jitter: returns numbers from 0 to 1.
        """
        self._clock = clock
        self._provider = provider
        self._reconciler = reconciler
        self._jitter = jitter
        self._changed = Signal()
        self._is_offering = True
        self._observe_at = 0.0
        #: The time before which the site is not observed again, so that a long list gets a call a second at most, and
        #: the seconds that its list takes at that pace.
        self._not_before = 0.0
        self._list_seconds = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._warn_at = 0.0
        #: Streams of work that the site is about to pay for a second time, as was said.
        self._warned_of: set[str | None] = set()

    def notify(self) -> None:
        """Go through a round soon: something happened in the run."""
        self._changed.notify()

    def observe_soon(self) -> None:
        """Go through a round with an observation soon: something happened at the site."""
        self._observe_at = self._not_before
        self._changed.notify()

    def close(self) -> None:
        """Admit nobody else; the next round withdraws the offer."""
        self._is_offering = False
        self._changed.notify()

    async def start(self) -> None:
        """Say how workers come, and go through the first round, with which they can.

        Raises:
            LogError: nothing could be recorded.
            Exception: the provider's site refused, or could not be asked.
        """
        if self._provider.ARRIVAL_NOTE:
            logger.info(self._provider.ARRIVAL_NOTE)
        if self._provider.POLL_SECONDS is not None:
            await self._reconciler.reconcile()
            self._observe_at = trio.current_time() + self._provider.POLL_SECONDS

    async def run(self) -> None:
        """Go through rounds until cancelled. A round that fails is repeated after a pause, which grows."""
        interval = self._provider.POLL_SECONDS
        if interval is None:
            return
        while True:
            changed = self._changed.next_event()
            observes = trio.current_time() >= self._observe_at
            if observes:
                pause = max(interval, 2 * self._list_seconds)
                self._observe_at = trio.current_time() + pause * (1 + JITTER * self._jitter())
            if await self._go_through(observes=observes):
                self._pause_seconds = FIRST_PAUSE_SECONDS
                with trio.move_on_at(max(self._observe_at, trio.current_time())):
                    await changed.wait()
                await trio.sleep(GAP_SECONDS)
            else:
                self._observe_at = self._not_before
                await trio.sleep(self._pause_seconds * (1 + JITTER * self._jitter()))
                self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    async def withdraw(self) -> None:
        """Withdraw the offer of a run that pauses, if the site answers in time."""
        if self._provider.POLL_SECONDS is None:
            return
        with trio.move_on_after(WITHDRAW_SECONDS) as timeout:
            timeout.shield = True
            try:
                await self._reconciler.withdraw()
            except Exception as error:  # noqa: BLE001 - a provider's code may raise anything
                _warn("the offer at the provider could not be withdrawn", error)
        if timeout.cancelled_caught:
            _warn("the offer at the provider could not be withdrawn in time", None)

    async def finish(self) -> None:
        """Go through the last round of a run that ends, so that nothing that was submitted stays open at the site."""
        self._is_offering = False
        if self._provider.POLL_SECONDS is None:
            return
        with trio.move_on_after(LAST_ROUND_SECONDS) as timeout:
            await self._go_through(observes=False)
        if timeout.cancelled_caught:
            _warn("the last round at the provider was cut short", None)

    def _warn_of_auto_approval(self, report: RoundReport) -> None:
        """Say once a day that the site is about to approve work that nobody has reviewed."""
        if report.approved_by_site_at is None or trio.current_time() < self._warn_at:
            return
        left = report.approved_by_site_at - self._clock.now_us() / 1_000_000
        if left < AUTO_APPROVAL_WARNING_SECONDS:
            self._warn_at = trio.current_time() + DAY_SECONDS
            logger.warning(
                "the provider is about to approve work that nobody has reviewed: mephisto-es review",
                unreviewed=report.unreviewed,
                in_hours=round(left / 3600),
            )

    def _warn_of_double_pay(self, report: RoundReport) -> None:
        """Say once of each piece of work that the site is about to pay for what was paid by other means."""
        waiting = {one.stream for one in report.differences if one.difference is SiteDifference.PAID_ELSEWHERE}
        if waiting - self._warned_of:
            logger.warning(
                "work that was paid by other means was completed at the provider, which will pay it too: "
                "`mephisto-es reconcile` says what to do",
                pieces=len(waiting),
            )
        self._warned_of |= waiting

    async def _go_through(self, *, observes: bool) -> bool:
        """Go through a round; return False if it failed."""
        try:
            report = await self._reconciler.reconcile(observes=observes, offers=self._is_offering)
            if observes:
                self._list_seconds = (report.observed or 0) / self._provider.PIECES_PER_CALL
                self._not_before = trio.current_time() + self._list_seconds
                if report.look_again_seconds is not None:
                    again = trio.current_time() + max(report.look_again_seconds, self._list_seconds)
                    self._observe_at = min(self._observe_at, again)
            self._warn_of_auto_approval(report)
            self._warn_of_double_pay(report)
        except LogError:
            raise
        except Exception as error:  # noqa: BLE001 - a provider's code may raise anything
            _warn("the provider's site and the log could not be compared", error)
            return False
        return True


def site_loop_of(context: RunContext, ledger: Ledger, ids: Ids, clock: WallClock) -> SiteLoop:
    """Return the loop of a run.

    Args:
        context: the run.
        ledger: executes the commands.
        ids: source of command ids and randomness.
        clock: the wall clock.
    """
    concurrent = context.task_runner.is_concurrent
    reconciler = Reconciler(ledger, ids, context.task_run, context.provider, concurrent=concurrent)
    return SiteLoop(context.provider, reconciler, clock, lambda: ids.salt()[0] / 255)


def _warn(text: str, error: Exception | None) -> None:
    reason = "no answer" if error is None else redacted_text(f"{type(error).__name__}: {error}")
    logger.warning(f"{text}; `mephisto-es reconcile` tries it again", reason=reason)
