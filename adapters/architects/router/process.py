"""A router as a background process of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import trio

from ....core.errors import LaunchError
from .client import RouterClient
from .process_end import wait_for_end

#: What a router is told beside its secret; see `router/python/settings.py`.
PREFIX = "MEPHISTO_ROUTER_"
READY_SECONDS = 60.0
#: Time to finish what it is doing after SIGTERM; then it is killed.
STOP_SECONDS = 10.0
#: An error quotes this much of what it printed last.
QUOTE_LENGTH = 500
LOG_FILE = "router.log"
PID_FILE = "router.pid"
#: Writes its process id to a file, then becomes the program: the operator may be killed before it learns the id.
#: It starts no process of its own, which would keep the socket open after a signal to this one.
_NUMBERED = ("/bin/sh", "-c", 'echo "$$" >"$0" && exec "$@"')


class RouterProcess:
    """Runs in a session of its own, so that neither Ctrl-C nor a crash of the operator takes it along.

    Attributes:
        pid: its number, which is also that of its process group.
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
        """Start a router on a socket that listens already; whoever connects from now on waits until it accepts.

        Args:
            command: the program.
            settings: by the names of its environment variables without their prefix.
            listener: bound and listening; the process has its own copy.
            folder: gets its number, and what it prints.

        Raises:
            LaunchError: no process can be started; a program that cannot be run ends at once, and says why.
        """
        log_file = folder / LOG_FILE
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment |= {PREFIX + name: value for name, value in settings.items()}
        environment[PREFIX + "FD"] = str(listener.fileno())
        with log_file.open("ab") as output:
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
        """The router that another process has started; None if none was.

        Whether it still runs its answers must show: numbers of processes are given out again.
        """
        try:
            pid = int((folder / PID_FILE).read_text())
        except (OSError, ValueError):
            return None
        return cls(pid, partial(wait_for_end, pid), folder / LOG_FILE)

    def works_in(self, folder: Path) -> bool:
        """Whether there is a process of this number that was started in a folder; False where nobody can tell."""
        try:
            return Path(os.readlink(f"/proc/{self.pid}/cwd")) == folder.resolve()
        except OSError:
            return False

    async def wait_until_ready(self, client: RouterClient) -> None:
        """Wait until the router answers.

        Raises:
            LaunchError: it ended, or did not answer in time.
        """
        is_alive = False
        with trio.move_on_after(READY_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._notice_end, nursery.cancel_scope)
                is_alive = await client.is_alive()
                if is_alive:
                    nursery.cancel_scope.cancel()
                # Otherwise it is about to end, and how it ended says more.
        if self._has_ended:
            raise LaunchError("deploy", f"the router ended with status {self._status}: {self._last_words()}")
        if not is_alive:
            raise LaunchError("deploy", f"the router did not answer in {READY_SECONDS:g} seconds: {self._last_words()}")

    async def stop(self) -> None:
        """End the process: politely, then by force. Cancelling makes that sooner. Twice is harmless."""
        try:
            self._signal(os.kill, signal.SIGTERM)
            with trio.move_on_after(STOP_SECONDS):
                await self.wait_for_end()
        finally:
            if not self._has_ended:
                self._signal(os.killpg, signal.SIGKILL)
                with trio.CancelScope(shield=True):  # nothing survives that signal, so this is short
                    await self.wait_for_end()

    async def _notice_end(self, scope: trio.CancelScope) -> None:
        await self.wait_for_end()
        scope.cancel()

    async def wait_for_end(self) -> None:
        """Wait until the process has ended, whoever ended it."""
        if not self._has_ended:
            self._status = await self._wait()
            self._has_ended = True

    def _signal(self, send: Callable[[int, int], None], number: int) -> None:
        if not self._has_ended:
            with suppress(ProcessLookupError):
                send(self.pid, number)

    def _last_words(self) -> str:
        said = self._log_file.read_text(errors="replace").strip()[-QUOTE_LENGTH:]
        return f"{said or 'it said nothing'} (all of it: {self._log_file})"
