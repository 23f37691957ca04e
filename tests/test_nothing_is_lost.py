"""Submissions made while there is no operator arrive when there is one again: all of them, once."""

import os
import shutil
import signal
import time
from pathlib import Path

import httpx
import pytest
import trio

from mephisto_es.adapters.architects.router.process import wait_for_end
from mephisto_es.adapters.crowd.outcome_check import check_outcome
from mephisto_es.adapters.crowd.page_client import PageClient, Visit
from mephisto_es.adapters.crowd.summary import SentSubmission

from .processes import launched, no_router_is_left, resumed, routers_of, some_sentences

__all__ = ["no_router_is_left"]

pytestmark = pytest.mark.usefixtures("no_router_is_left")

WORKERS = 50
#: Of whom so many click twice.
IMPATIENT = 10
TASK = "sentence-rating"


class LedgerHandle:
    """One worker with a sentence."""

    def __init__(self, client: httpx.AsyncClient, number: int) -> None:
        self._page = PageClient(client, Visit(f"worker-{number}", "1"), time.time)
        self.agent = ""
        self.submission = SentSubmission({"rating": 1 + number % 5, "comment": f"by {number}"})

    async def begin(self) -> None:
        details = await self._page.request_agent()
        assert details.agent_id is not None, details.failure_reason
        self.agent = details.agent_id

    async def submit(self) -> None:
        self.submission.times_sent += 1
        await self._page.submit_task(self.agent, self.submission.work)
        self.submission.is_acknowledged = True


@pytest.mark.parametrize("router_dies", [False, True], ids=["the router lives", "the router is killed too"])
@pytest.mark.parametrize("server_type", ["python", "node"])
async def test_fifty_submissions_to_nobody_arrive_once(tmp_path: Path, server_type: str, *, router_dies: bool) -> None:
    if server_type == "node" and shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    data_dir = tmp_path / "data"
    router = f"mephisto.architect.server_type={server_type}"
    async with (
        launched(data_dir, some_sentences(tmp_path, WORKERS), router) as script,
        httpx.AsyncClient(base_url=script.url, timeout=60, trust_env=False) as client,
    ):
        desks = [LedgerHandle(client, number) for number in range(WORKERS)]
        async with trio.open_nursery() as nursery:
            for desk in desks:
                nursery.start_soon(desk.begin)
        await script.kill()
        async with trio.open_nursery() as nursery:
            for desk in (*desks, *desks[:IMPATIENT]):
                nursery.start_soon(desk.submit)
    if router_dies:
        [pid] = routers_of(data_dir)
        os.kill(pid, signal.SIGKILL)
        await wait_for_end(pid)
    async with resumed(data_dir) as operator:
        assert await operator.process.wait() == 0
    ending = await check_outcome(data_dir, {desk.agent: desk.submission for desk in desks})
    assert ending.acknowledged == WORKERS
    assert ending.units == {TASK: {"completed": WORKERS}}
    assert list(ending.faults()) == []
