"""A real router in its own process, which a test can stop and start again at the same address."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import IO

import msgspec
import trio

from ..processes import kill

#: What a router may take to listen, on a busy machine.
START_TIMEOUT_SECONDS = 120
STOP_TIMEOUT_SECONDS = 60


class RouterError(AssertionError):
    """The router did not start or did not stop as it should."""


class _Listening(msgspec.Struct):
    listening: str


@dataclass
class RouterProcess:
    """One router; after `stop` it may be started again with its journal and its port."""

    command: list[str]
    folder: Path
    secret: str
    static: Path
    data: Path
    settings: Mapping[str, str]
    #: Where its complaints go.
    log: IO[bytes]
    url: str = ""
    _process: trio.Process | None = None

    async def start(self, nursery: trio.Nursery) -> None:
        """Starts the process in the nursery and waits until it says where it listens."""
        environment = {
            **os.environ,
            "MEPHISTO_ROUTER_SECRET": self.secret,
            "MEPHISTO_ROUTER_STATIC": str(self.static),
            "MEPHISTO_ROUTER_DATA": str(self.data),
            **self.settings,
        }
        if self.url:
            port = self.url.rpartition(":")[2]
            # The node router takes a platform's own variable for it.
            environment |= {"MEPHISTO_ROUTER_PORT": port, "PORT": port}
        run = partial(
            trio.run_process,
            self.command,
            cwd=self.folder,
            env=environment,
            stdout=PIPE,
            stderr=self.log,
            check=False,
            deliver_cancel=kill,
        )
        self._process = await nursery.start(run)
        with trio.fail_after(START_TIMEOUT_SECONDS):
            self.url = await self._first_line()

    async def stop(self) -> None:
        """Ends the process as a service manager would."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        with trio.fail_after(STOP_TIMEOUT_SECONDS):
            await self._process.wait()
        self._process = None

    async def _first_line(self) -> str:
        if self._process is None or self._process.stdout is None:
            raise RouterError("the router was started without a pipe")
        line = b""
        while not line.endswith(b"\n"):
            chunk = await self._process.stdout.receive_some()
            if not chunk:
                raise RouterError("the router ended before it listened")
            line += chunk
        return msgspec.json.decode(line, type=_Listening).listening
