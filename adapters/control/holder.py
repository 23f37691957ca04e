"""Keeps a log open for writing between the requests of a web view, so that each need not read the whole log again."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from ...core.errors import MephistoError
from ..composition.ledger import check_exists, open_within_gate
from ..composition.requests import executor_without_operator
from ..log.opening import WAIT_SECONDS, OpeningGate, pass_gate, wait_for_writer
from .client import is_reachable
from .server import serve_control

#: Seconds without a request after which the log is closed.
IDLE_SECONDS = 600.0
#: Seconds in which a log that is being opened listens; one with a million events takes a while to read.
OPEN_SECONDS = 60.0
#: Seconds that closing it may take.
CLOSE_SECONDS = 5.0


class LogHolder:
    """Opens a log in a thread of its own when nobody else has it open, and closes it when it is idle.

    It serves the control socket meanwhile, and gives way to an operator that starts.

    Attributes:
        is_holding: True while the log is open here.
    """

    def __init__(self, database: Path, idle_seconds: float = IDLE_SECONDS, wait_seconds: float = WAIT_SECONDS) -> None:
        """Initialize; nothing is opened.

        Args:
            database: the log.
            idle_seconds: how long it stays open without a request.
            wait_seconds: how long to wait for a process that has the log open.
        """
        self._database = database
        self._idle_seconds = idle_seconds
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._stop: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None
        self.is_holding = False

    def ensure_writer(self) -> None:
        """Return once somebody listens for requests: an operator, or this holder. Blocks; for a worker thread.

        If the log cannot be opened this returns too, and whoever sends a request learns why.
        """
        with self._lock:
            if trio.run(is_reachable, self._database):
                return
            listening = threading.Event()
            holding = partial(trio.run, self._hold, listening)
            self._thread = threading.Thread(target=holding, name="log holder", daemon=True)
            self._thread.start()
            listening.wait(OPEN_SECONDS)

    def close(self) -> None:
        """Close the log if it is open, and return once it is free. Blocks; for a worker thread."""
        self._stop()
        thread = self._thread
        if thread is not None:
            thread.join(CLOSE_SECONDS)

    async def _hold(self, listening: threading.Event) -> None:
        token = trio.lowlevel.current_trio_token()
        try:
            with trio.CancelScope() as open_scope:
                self._stop = lambda: token.run_sync_soon(open_scope.cancel)
                await check_exists(self._database)
                gate = await pass_gate(self._database, self._wait_seconds)
                try:
                    if not await is_reachable(self._database):
                        await self._serve(open_scope, gate, listening)
                finally:
                    gate.release()
        except* MephistoError:
            pass  # whoever sends the request opens the log itself, and is told the same
        finally:
            self._stop = lambda: None
            self.is_holding = False
            listening.set()

    async def _serve(self, open_scope: trio.CancelScope, gate: OpeningGate, listening: threading.Event) -> None:
        """Open the log and serve requests until it has been idle for long enough, or an operator wants it."""

        def note_requests(under_way: int) -> None:
            open_scope.deadline = math.inf if under_way else trio.current_time() + self._idle_seconds

        await wait_for_writer(self._database, self._wait_seconds)
        async with (
            open_within_gate(self._database) as (ledger, ids, ownership),
            executor_without_operator(self._database, ledger, ids, ownership) as executor,
            trio.open_nursery() as nursery,
        ):
            serve = partial(serve_control, on_yield=open_scope.cancel, on_requests=note_requests)
            await nursery.start(serve, self._database, executor)
            gate.release()
            note_requests(0)
            self.is_holding = True
            listening.set()
