"""Runs the command that serves a log as a process."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE

import trio

COMMAND = str(Path(sys.executable).parent / "mephisto-es")
GIVE_UP_SECONDS = 300


@asynccontextmanager
async def served(database: Path, *options: str) -> AsyncIterator[tuple[trio.Process, str]]:
    """Run the command; yield once it listens."""
    command = [COMMAND, "serve", str(database), "--port", "0", *options]
    with trio.fail_after(GIVE_UP_SECONDS):
        async with trio.open_nursery() as nursery:
            start = partial(trio.run_process, command, stdout=PIPE, check=False)
            process: trio.Process = await nursery.start(start)
            assert process.stdout is not None
            said = b""
            while not said.endswith(b"\n"):
                chunk = await process.stdout.receive_some()
                assert chunk, "the process ended before it said where to go"
                said += chunk
            word, address = said.decode().split()
            assert word == "Open"
            yield process, address
            process.terminate()
