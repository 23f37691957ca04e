"""A router under load, to be recorded: workers submit, some with a file, and what they were told is written down.

Usage: python -m tests.powercut.record_router FOLDER COUNT PROGRAM_FOLDER COMMAND...

Each line of the file `told` is a submission that was answered with 200. Half of them are acknowledged by the operator.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
import trio

from ..adapters.architects.router.harness import NO_TLS, Router, RouterHarness, RouterKind

TOLD = "told"
TOKEN = "worker-1"


async def record(router: Router, folder: Path, count: int) -> None:
    """Submit so many times, two at a time."""
    told = os.open(folder / TOLD, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    async with trio.open_nursery() as nursery:
        client = httpx.AsyncClient(base_url=router.url, timeout=60, verify=NO_TLS)
        harness = RouterHarness(router, client, nursery)
        operator = await harness.operator({TOKEN: "in task"})

        async def submit(number: int) -> None:
            text = f"submission-{number}"
            if number % 3:
                answer = await harness.submit(TOKEN, text)
            else:
                form = {"USED_AGENT_ID": TOKEN, "final_string_data": f'"{text}"'}
                file = {"file": (f"{number}.txt", f"file of {text}".encode() * 100)}
                answer = await client.post("/submit_task", data=form, files=file)
            assert answer.status_code == 200, answer.text
            os.write(told, f"{text}\n".encode())

        for number in range(0, count, 2):
            async with trio.open_nursery() as submissions:
                submissions.start_soon(submit, number)
                submissions.start_soon(submit, number + 1)
            if number == count // 2:
                await operator.settled()
                await operator.ack(max(operator.numbers()))
                await operator.settled()
        await harness.leave()


def main() -> None:
    """Start the router in the folder, and submit."""
    folder, count, program, *command = sys.argv[1:]
    static = Path(folder, "static")
    static.mkdir()
    kind = RouterKind("recorded", command, Path(program))
    router = Router(kind, static, Path(folder, "data"))
    try:
        router.start()
        trio.run(record, router, Path(folder), int(count))
    finally:
        router.close()


if __name__ == "__main__":
    main()
