"""Launch scripts of the examples, in processes of their own."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE
from urllib.parse import urlsplit

import trio

from ..processes import kill

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GIVE_UP_SECONDS = 300


@asynccontextmanager
async def launched(example: str, data_dir: Path, *overrides: str) -> AsyncIterator[str]:
    """An example's script; its router's address. On leaving, the script has ended well."""
    command = [sys.executable, str(EXAMPLES / example / "run_task.py"), "mephisto.architect.port=0"]
    command += [f"mephisto.database.data_dir={data_dir}", *overrides]
    with trio.fail_after(GIVE_UP_SECONDS):
        async with trio.open_nursery() as nursery:
            run = partial(trio.run_process, command, stdout=PIPE, check=False, deliver_cancel=kill)
            process: trio.Process = await nursery.start(run)
            assert process.stdout is not None
            line = b""
            while not line.endswith(b"\n"):
                chunk = await process.stdout.receive_some()
                assert chunk, "the script ended before it said where to go"
                line += chunk
            yield "http://" + urlsplit(line.decode().split()[1]).netloc
            assert await process.wait() == 0
