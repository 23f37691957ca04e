"""Keeps the drivers of all runs of an operator, and stops, drains or pauses them: all at once, one, or by signals."""

from __future__ import annotations

import signal
from collections.abc import Callable

import trio

from ....events.ids import TaskRunId
from ...command_issuer import OPERATOR
from ...commands.task_run import LATE_WORK_SECONDS
from ...errors import CommandRefusedError, LaunchError
from ...ports import Outage
from ...signal import Signal
from ..launching.owners import RunOwners
from ..logger_core import get_logger
from .driver import LiveRunDriver
from .live_task_run import LiveTaskRun

#: Recorded when a person pauses runs from the terminal.
CTRL_C = "paused with Ctrl-C"

logger = get_logger(__name__)


class DrivenRuns:
    """The runs of an operator that are live or being launched.

    Attributes:
        live: the live runs, by id.
        failures: errors that ended live runs.
        is_leaving: True once the operator pauses its runs and launches nothing more.
        watches_signals: True while signals are acted on.
    """

    def __init__(self, owners: RunOwners) -> None:
        """Begin without runs.

        Args:
            owners: gets the runs back that this operator no longer drives.
        """
        self._owners = owners
        self.live: dict[TaskRunId, LiveTaskRun] = {}
        self.failures: list[LaunchError] = []
        self.is_leaving = False
        self.watches_signals = False
        self._drivers: list[LiveRunDriver] = []
        self._ended = Signal()

    def add(self, driver: LiveRunDriver) -> None:
        """Take a run that is about to be driven."""
        self._drivers.append(driver)

    async def drive(self, driver: LiveRunDriver, *, task_status: trio.TaskStatus[LiveTaskRun]) -> None:
        """Drive a run that was added to its end; started once it is live.

        Raises:
            LaunchError: it could not be launched. A failure of a live run is kept in `failures` instead.
        """

        def live(live_run: LiveTaskRun) -> None:
            self.live[live_run.task_run] = live_run
            task_status.started(live_run)

        try:
            await driver.drive(on_live=live)
        except LaunchError as error:
            if not driver.is_live:
                raise
            self.failures.append(error)
        finally:
            if driver.task_run is not None:
                await self._owners.give(driver.task_run)
            self._drivers.remove(driver)
            if driver.is_live and driver.task_run is not None:
                del self.live[driver.task_run]
            self._ended.notify()

    def is_running(self, run: TaskRunId) -> bool:
        """Return whether a run is live, or about to be."""
        return any(run == driver.task_run for driver in self._drivers)

    async def refusals(self, run: TaskRunId) -> dict[str, int]:
        """Return what a live run and its servers have refused or discarded, by reason.

        Nothing if it is about to be live.

        Raises:
            CommandRefusedError: it does not run here.
        """
        live = self.live.get(run)
        if live is None:
            self._driver_of(run)
            return {}
        counts = dict(live.client_io.dropped)
        if live.worker_pool.impersonations:
            counts["registration of another worker"] = live.worker_pool.impersonations
        for reason, count in (await live.architect.refusals()).items():
            counts[f"router: {reason}"] = count
        return counts

    def outages(self, run: TaskRunId) -> tuple[Outage, ...]:
        """Return which routers of a run are out of reach; none if it is not live here."""
        live = self.live.get(run)
        return () if live is None else live.client_io.outages()

    async def wait_until_all_ended(self) -> None:
        """Wait until every run has ended or is paused."""
        while self._drivers:
            await self._ended.wait()

    def stop_all(self, reason: str, *, at_once: bool = False, late_work_seconds: float = LATE_WORK_SECONDS) -> None:
        """Have all runs end; see `LiveRunDriver.stop`."""
        for driver in tuple(self._drivers):
            driver.stop(reason, at_once=at_once, late_work_seconds=late_work_seconds)

    def drain_all(self, reason: str, *, take_work_away: bool = False) -> None:
        """Have all runs pause once nobody is at work; see `LiveRunDriver.drain`. Runs of others are not waited for."""
        self._owners.stop_waiting()
        for driver in tuple(self._drivers):
            driver.drain(reason, take_work_away=take_work_away)

    def pause_all(self, reason: str) -> None:
        """Have all runs pause now. Runs of others are not waited for."""
        self._owners.stop_waiting()
        for driver in tuple(self._drivers):
            driver.pause(reason)

    async def pause_run(self, run: TaskRunId, reason: str, author: str, *, drain: bool = False) -> None:
        """Pause one run, and return when that is recorded.

        Args:
            run: the run.
            reason: recorded in the log, as is the author.
            author: who asked for it.
            drain: wait until nobody is at work, and give no work to newcomers meanwhile.

        Raises:
            CommandRefusedError: the run is not live here.
        """
        driver = self._driver_of(run)
        logger.info("the run is to be paused", run=run, author=author, reason=reason, waits=drain)
        if drain:
            driver.drain(reason, author=author)
        else:
            driver.pause(reason, author=author)
        await self._wait_for(driver)

    async def end_run(self, run: TaskRunId, reason: str, author: str, *, at_once: bool = False) -> None:
        """End one run: wait for the people at work, expire what is open, and return when it is completed.

        Args:
            run: the run.
            reason: recorded in the log, as is the author.
            author: who asked for it.
            at_once: take their work from the people at work, instead of waiting for them.

        Raises:
            CommandRefusedError: the run is not live here, or was paused in the meantime.
        """
        driver = self._driver_of(run)
        logger.info("the run is to be ended", run=run, author=author, reason=reason, at_once=at_once)
        driver.stop(reason, at_once=at_once, author=author)
        await self._wait_for(driver)

    async def retry(self, run: TaskRunId, reason: str, author: str = OPERATOR) -> bool:
        """Give work to newcomers of a live run again, and ask its code about everybody whom it failed on.

        Args:
            run: the run.
            reason: recorded in the log.
            author: who asked for it.

        Returns:
            False if no code had failed.

        Raises:
            CommandRefusedError: the run is not live here.
        """
        if run not in self.live:
            raise CommandRefusedError(f"run {run} is not live: resume it, and its code is asked again")
        logger.info("the code of the run is asked again", run=run, author=author)
        return await self.live[run].worker_pool.retry(reason)

    def _driver_of(self, run: TaskRunId) -> LiveRunDriver:
        for driver in self._drivers:
            if driver.task_run == run:
                return driver
        raise CommandRefusedError(
            f"run {run} is not running: `mephisto-es resume` continues it, `mephisto-es end` ends it"
        )

    async def wait_until_ended(self, run: TaskRunId) -> None:
        """Wait until one run has ended or is paused."""
        while self.is_running(run):
            await self._ended.wait()

    async def _wait_for(self, driver: LiveRunDriver) -> None:
        while driver in self._drivers:
            await self._ended.wait()

    async def watch_signals(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Act on signals until cancelled: SIGTERM pauses now, Ctrl-C drains, then takes work away, then exits.

        Raises:
            KeyboardInterrupt: the third Ctrl-C.
        """
        steps: list[tuple[str, Callable[[], None]]] = [
            (
                "no more work is given out; pausing when nobody is at work (Ctrl-C again: take work away)",
                lambda: self.drain_all(CTRL_C),
            ),
            (
                "taking work away and pausing (Ctrl-C again: exit immediately)",
                lambda: self.drain_all(CTRL_C, take_work_away=True),
            ),
        ]
        self.watches_signals = True
        try:
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                task_status.started()
                async for received in signals:
                    self.is_leaving = True
                    if received == signal.SIGTERM:
                        logger.warning("pausing all runs: the process was asked to end")
                        self.pause_all("the process was asked to end (SIGTERM)")
                    elif steps:
                        sentence, step = steps.pop(0)
                        logger.warning(sentence)
                        step()
                    else:
                        raise KeyboardInterrupt
        finally:
            self.watches_signals = False
