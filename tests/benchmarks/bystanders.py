"""Measures what others notice of submissions of many megabytes: how long they wait for an agent meanwhile.

Usage: python bystanders.py [--quick] [--json FILE]. Router, operator and workers are processes of their own, and share
the machine. The submissions are of many small values, which cost most to read.
"""

from __future__ import annotations

import sys
import time
import uuid
from statistics import median, quantiles

import msgspec
import trio

from mephisto_es.tests.benchmarks.hosted_run import hosted_run
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark
from mephisto_es.tests.benchmarks.visitors import Browser, VisitsReply, ask_for_agent

_GIVE_UP_SECONDS = 600
#: Seconds between two requests of the others.
_PACE_SECONDS = 0.02
_P99_MS = 50


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    rounds: int = 3
    #: Requests of the others in each half of a round.
    requests: int = 150
    submission_bytes: int = 9_000_000
    server_types: tuple[str, ...] = ("python", "node")


QUICK = Sizes(rounds=1, requests=5, submission_bytes=500_000, server_types=("python",))


async def measure(report: Report, sizes: Sizes) -> None:
    """Measure both routers, in rounds of a quiet half and one with large submissions."""
    body = _large_data(sizes.submission_bytes)
    with trio.fail_after(_GIVE_UP_SECONDS):
        for server_type in sizes.server_types:
            quiet, beside, large = VisitsReply(), VisitsReply(), VisitsReply()
            units = 4 * sizes.rounds * sizes.requests + 100
            async with hosted_run(units, server_type) as hosted:
                await _ask(hosted.url, 5, VisitsReply())
                for _ in range(sizes.rounds):
                    await _ask(hosted.url, sizes.requests, quiet)
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(_submit_large, hosted.url, body, large)
                        await _ask(hosted.url, sizes.requests, beside)
                        nursery.cancel_scope.cancel()
            _tell(report, server_type, len(body), (quiet, beside, large))


def _tell(report: Report, server_type: str, size: int, replies: tuple[VisitsReply, VisitsReply, VisitsReply]) -> None:
    quiet, beside, large = replies
    report.tell(
        f"{server_type} router, submissions of {size / 1e6:.1f} MB beside others",
        {
            "others alone, p50 ms": 1000 * median(quiet.request_agent_seconds),
            "others alone, p99 ms": 1000 * _p99(quiet),
            "others meanwhile, p50 ms": 1000 * median(beside.request_agent_seconds),
            "others meanwhile, p99 ms": 1000 * _p99(beside),
            "others meanwhile, longest ms": 1000 * max(beside.request_agent_seconds),
            "large submissions": len(large.submit_task_seconds),
            "a large submission, p50 ms": 1000 * median(large.submit_task_seconds or [0]),
        },
    )
    if server_type == "python":
        what = "wait of others for an agent beside submissions of 9 MB, p99 ms"
        report.judge(what, 1000 * _p99(beside), "<=", _P99_MS)


def _p99(reply: VisitsReply) -> float:
    return quantiles(reply.request_agent_seconds, n=100)[-1]


def _large_data(size: int) -> msgspec.Raw:
    values = [{"key": number, "value": "x", "share": number / 7} for number in range(size // 54)]
    return msgspec.Raw(msgspec.json.encode({"values": values}))


async def _ask(url: str, requests: int, reply: VisitsReply) -> None:
    """Ask for agents, each for a new worker, at a steady pace."""
    browser = Browser(url)
    for _ in range(requests):
        await ask_for_agent(browser, uuid.uuid4().hex, reply)
        await trio.sleep(_PACE_SECONDS)
    await browser.close()


async def _submit_large(url: str, body: msgspec.Raw, reply: VisitsReply) -> None:
    """Submit large data, again and again."""
    browser = Browser(url)
    while True:
        agent = await ask_for_agent(browser, uuid.uuid4().hex, VisitsReply())
        began = time.perf_counter()
        submission = {"USED_AGENT_ID": agent, "final_data": body, "client_timestamp": time.time()}
        await browser.request("POST", "/submit_task", submission)
        reply.submit_task_seconds.append(time.perf_counter() - began)


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("bystanders")
    trio.run(measure, report, QUICK if quick else Sizes())
    return report


if __name__ == "__main__":
    sys.exit(run_benchmark("Measure what large submissions cost others.", benchmark, sys.argv[1:]))
