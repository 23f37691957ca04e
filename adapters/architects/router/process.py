"""Runs a router as a background process of this machine."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import trio

from ....core.errors import LaunchError
from ...private_files import create_private
from .client import RouterClient

#: Prefix of the variables that a router reads its settings from; see `python/settings.py`.
PREFIX = "MEPHISTO_ROUTER_"
READY_SECONDS = 60.0
#: Time to finish after SIGTERM; then it is killed.
STOP_SECONDS = 10.0
#: An error quotes this much of the end of its output.
QUOTE_LENGTH = 500
LOG_FILE = "router.log"
PID_FILE = "router.pid"
#: Writes its process id to a file, then becomes the program: the operator may be killed before it learns the id.
#: It starts no process of its own, which would keep the socket open after a signal to this one.
_NUMBERED = ("/bin/sh", "-c", 'echo "$$" >"$0" && exec "$@"')


class RouterKilledError(LaunchError):
    """A router was killed while it started. The next one may have better luck."""


class RouterProcess:
    """A router in a session of its own: neither Ctrl-C nor a crash of the operator ends it.

    Attributes:
        pid: its process id, which is also that of its process group.
    """

    def __init__(self, pid: int, wait: Callable[[], Awaitable[int | None]], log_file: Path) -> None:
        self.pid = pid
        self._wait = wait
        self._log_file = log_file
        self._has_ended = False
        self._status: int | None = None

    @classmethod
    async def start(
        cls, command: list[str], settings: Mapping[str, str], listener: socket.socket, folder: Path
    ) -> RouterProcess:
        """Start a router on a socket that listens already; clients that connect from now on wait until it accepts.

        Args:
            command: the program.
            settings: by the names of its environment variables without their prefix.
            listener: bound and listening; the process has its own copy.
            folder: gets the files with its process id and its output.

        Raises:
            LaunchError: no process can be started. A program that cannot be run ends at once.
        """
        log_file = folder / LOG_FILE
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment |= {PREFIX + name: value for name, value in settings.items()}
        environment[PREFIX + "FD"] = str(listener.fileno())
        # The router shortens its own log, for which it has to read it.
        create_private(log_file)
        with log_file.open("a+b") as output:
            try:
                process = await trio.lowlevel.open_process(
                    [*_NUMBERED, str(folder / PID_FILE), *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[listener.fileno()],
                    start_new_session=True,
                    cwd=folder,
                    env=environment,
                )
            except OSError as error:
                raise LaunchError("deploy", f"{command[0]} could not be started: {error.strerror}") from error
        return cls(process.pid, process.wait, log_file)

    @classmethod
    def left_by_another(cls, folder: Path) -> RouterProcess | None:
        """Return the router that another process has started, or None if there was none.

        Only its answers show that it still runs: the system uses process ids again.
        """
        try:
            pid = int((folder / PID_FILE).read_text())
        except (OSError, ValueError):
            return None
        return cls(pid, partial(wait_for_end, pid), folder / LOG_FILE)

    def works_in(self, folder: Path) -> bool:
        """Return whether this process was started in a folder; False where the system does not tell."""
        try:
            return Path(os.readlink(f"/proc/{self.pid}/cwd")) == folder.resolve()
        except OSError:
            return False

    async def wait_until_ready(self, client: RouterClient) -> None:
        """Wait until the router answers.

        Raises:
            RouterKilledError: a signal ended it.
            LaunchError: it ended by itself, or did not answer in time.
        """
        is_alive = False
        with trio.move_on_after(READY_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._notice_end, nursery.cancel_scope)
                is_alive = await client.is_alive()
                if is_alive:
                    nursery.cancel_scope.cancel()
                # Otherwise it is about to end, and its exit status says more.
        if self._has_ended:
            error = RouterKilledError if self._status is not None and self._status < 0 else LaunchError
            raise error("deploy", f"the router ended with status {self._status}: {self._quote_output()}")
        if not is_alive:
            raise LaunchError(
                "deploy", f"the router did not answer in {READY_SECONDS:g} seconds: {self._quote_output()}"
            )

    async def stop(self) -> None:
        """End the process with SIGTERM, then with SIGKILL, at once if cancelled. Calling it twice is harmless."""
        try:
            self._signal(os.kill, signal.SIGTERM)
            with trio.move_on_after(STOP_SECONDS):
                await self.wait_for_end()
        finally:
            if not self._has_ended:
                self._signal(os.killpg, signal.SIGKILL)
                with trio.CancelScope(shield=True):  # nothing survives SIGKILL, so this is short
                    await self.wait_for_end()

    async def _notice_end(self, scope: trio.CancelScope) -> None:
        await self.wait_for_end()
        scope.cancel()

    async def wait_for_end(self) -> None:
        """Wait until the process has ended, for whatever reason."""
        if not self._has_ended:
            self._status = await self._wait()
            self._has_ended = True

    def _signal(self, send: Callable[[int, int], None], number: int) -> None:
        if not self._has_ended:
            with suppress(ProcessLookupError):
                send(self.pid, number)

    def _quote_output(self) -> str:
        output = self._log_file.read_text(errors="replace").strip()[-QUOTE_LENGTH:]
        return f"{output or 'it printed nothing'} (see {self._log_file})"


async def wait_for_end(pid: int) -> None:
    """Return once a process has ended that need not be our child, at once if there is none with that id."""
    try:
        await _wait_for_end(pid)
    except ProcessLookupError:
        await trio.lowlevel.checkpoint()


if sys.platform == "linux":

    async def _wait_for_end(pid: int) -> None:
        # Readable as soon as the process has ended; it stands for this process even if its id is used again.
        descriptor = os.pidfd_open(pid)
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)

elif sys.platform == "darwin":

    async def _wait_for_end(pid: int) -> None:
        wanted = select.kevent(
            pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD | select.KQ_EV_ONESHOT, fflags=select.KQ_NOTE_EXIT
        )
        with trio.lowlevel.monitor_kevent(pid, select.KQ_FILTER_PROC) as ends:
            trio.lowlevel.current_kqueue().control([wanted], 0)
            async for _ in ends:
                return
