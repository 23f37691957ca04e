"""A whole run, to be recorded: an operator, its router, and workers who submit.

Usage: python -m tests.powercut.record_run FOLDER COUNT SERVER_TYPE

Each line of the file `told` is a submission that was answered with 200.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import httpx
import trio

from mephisto_es.adapters.crowd.page_client import PageClient, Visit

from ..processes import end_routers, launched, some_sentences
from .record_log import TOLD


async def run(folder: Path, count: int, server_type: str) -> None:
    """Launch the example, and do all its units but one, two at a time."""
    told = os.open(folder / TOLD, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    data = folder / "data"
    sentences = some_sentences(folder, count + 1)
    async with launched(data, sentences, f"mephisto.architect.server_type={server_type}") as script:
        async with httpx.AsyncClient(base_url=script.url, timeout=60) as client:

            async def visit(number: int) -> None:
                page = PageClient(client, Visit(f"worker {number}", f"assignment {number}"), time.time)
                agent = await page.request_agent()
                assert agent.agent_id is not None, agent.failure_reason
                text = f"submission-{number}"
                await page.submit_task(agent.agent_id, {"rating": 3, "comment": text})
                os.write(told, f"{text}\n".encode())

            for number in range(0, count, 2):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(visit, number)
                    nursery.start_soon(visit, number + 1)
        await script.kill()
    end_routers(data)


if __name__ == "__main__":
    trio.run(run, Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
