"""Hostile clients of all kinds at once, next to honest workers who notice nothing.

`make hostile` is the long form: it takes `HOSTILE_SECONDS` for honest workers alone, and as long next to hostile
clients, and prints figures.
"""

from __future__ import annotations

import os
from collections import Counter

import click
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import PATIENCE_SECONDS
from .honest_workers import HonestWorkers, rss_bytes
from .hostile_clients import ATTACKS, attack_with_all, token_of

SECONDS = float(os.environ.get("HOSTILE_SECONDS", "0"))
#: The least number of visits.
VISITS = 20
#: Visits at a time.
VISITORS = 4
#: Node returns memory late; at most 290 MiB were seen.
MAX_RSS_BYTES = 400 * 2**20


async def test_honest_workers_are_served_next_to_hostile_clients(
    make_router: MakeRouter, make_harness: MakeHarness
) -> None:
    # On a busy machine this process, which is the operator as well, may need longer than a worker would wait.
    router = make_router(trusted_proxies=1, idle_seconds=2, request_deadline_seconds=PATIENCE_SECONDS)
    router.start()
    assert router.process is not None
    harness, counts = make_harness(router), Counter[str]()
    operator = await harness.operator(dict.fromkeys(map(token_of, ATTACKS), "in task"))
    workers = HonestWorkers(harness, operator)
    with trio.fail_after(120 + 4 * SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(workers.serve)
            first = await visit(workers, 0, 1)
            report(f"{router.kind.name}: alone", workers)
            nursery.start_soon(attack_with_all, router.listener.getsockname()[1], counts)
            last = await visit(workers, first, VISITS)
            nursery.cancel_scope.cancel()
        report(f"{router.kind.name}: next to hostile clients", workers)
        for number in range(last):
            await workers.expect_submission(number)
    assert rss_bytes(router.process.pid) < MAX_RSS_BYTES
    figures = await harness.counters()
    if SECONDS:
        click.echo(f"at most {rss_bytes(router.process.pid) >> 20} MiB, {figures}\nattacks: {dict(counts)}")
    assert figures["operator_attached"]
    assert figures["refused_operators"] > 0
    assert not operator.closed.is_set()
    assert "forged" not in str(operator.inbox.of_type("submit_unit"))


async def visit(workers: HonestWorkers, first: int, count: int) -> int:
    """Make as many visits at least, for as long as is asked for; return the number of the next one."""
    workers.seconds.clear()
    end, number = trio.current_time() + SECONDS, first
    while number < first + count or trio.current_time() < end:
        async with trio.open_nursery() as nursery:
            for _ in range(VISITORS):
                nursery.start_soon(workers.visit, number)
                number += 1
    return number


def report(name: str, workers: HonestWorkers) -> None:
    """Print the figures of the last visits, if this is the long form."""
    times = sorted(workers.seconds)
    p50, p99 = times[len(times) // 2], times[int(0.99 * len(times))]
    if SECONDS:
        click.echo(f"{name}: {len(times)} visits, p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, none refused")


def test_there_are_more_than_twenty_kinds() -> None:
    assert len(ATTACKS) > 20
