"""A router as a background process of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import trio

from ...core.errors import LaunchError
from .router_client import RouterClient

#: What a router is told beside its secret; see `router/python/settings.py`.
PREFIX = "MEPHISTO_ROUTER_"
READY_SECONDS = 60.0
#: Time to finish what it is doing after SIGTERM; then it is killed.
STOP_SECONDS = 10.0
QUOTE_LENGTH = 500


class RouterProcess:
    """Started in a session of its own, so that neither Ctrl-C nor a crash of the operator takes it along."""

    def __init__(self, process: trio.Process, log_file: Path) -> None:
        self._process = process
        self._log_file = log_file

    @classmethod
    async def start(
        cls, command: list[str], settings: Mapping[str, str], listener: socket.socket, log_file: Path
    ) -> RouterProcess:
        """Start a router on a socket that listens already; whoever connects from now on waits until it accepts.

        Args:
            command: the program.
            settings: by the names of its environment variables without their prefix.
            listener: bound and listening; the process has its own copy.
            log_file: gets what it prints.

        Raises:
            LaunchError: the program cannot be started.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment |= {PREFIX + name: value for name, value in settings.items()}
        environment[PREFIX + "FD"] = str(listener.fileno())
        with log_file.open("ab") as output:
            try:
                process = await trio.lowlevel.open_process(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[listener.fileno()],
                    start_new_session=True,
                    cwd=log_file.parent,
                    env=environment,
                )
            except OSError as error:
                raise LaunchError("deploy", f"{command[0]} could not be started: {error.strerror}") from error
        return cls(process, log_file)

    @property
    def pid(self) -> int:
        """The process's number, which is also that of its group."""
        return self._process.pid

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
        if self._process.returncode is not None:
            raise LaunchError(
                "deploy", f"the router ended with status {self._process.returncode}: {self._last_words()}"
            )
        if not is_alive:
            raise LaunchError(
                "deploy", f"the router did not answer within {READY_SECONDS:g} seconds: {self._last_words()}"
            )

    async def stop(self) -> None:
        """End the process: politely, then by force. Cancelling makes that sooner. Twice is harmless."""
        try:
            if self._process.returncode is None:
                self._process.terminate()
            with trio.move_on_after(STOP_SECONDS):
                await self._process.wait()
        finally:
            if self._process.returncode is None:
                os.killpg(self.pid, signal.SIGKILL)
                with trio.CancelScope(shield=True):  # nothing survives that signal, so this is short
                    await self._process.wait()

    async def _notice_end(self, scope: trio.CancelScope) -> None:
        await self._process.wait()
        scope.cancel()

    def _last_words(self) -> str:
        said = self._log_file.read_text(errors="replace").strip()[-QUOTE_LENGTH:]
        return f"{said or 'it said nothing'} (all of it: {self._log_file})"
