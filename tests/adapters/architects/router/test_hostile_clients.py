"""Hostile clients of all kinds at once, next to honest workers who notice nothing.

`make hostile` is the long form: honest workers come at a steady rate for `HOSTILE_SECONDS` with hostile clients and as
long without, in turns, and what the hostile ones cost them is judged. There are more than fifty hostile requests a
second of all kinds, from hundreds of addresses; an attack without such a limit would only show how much processor time
the router has. The hostile clients have a process of their own, which in the long form gets only the processor time
that is left: in truth they are on other machines.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field

import click
import trio

from ....benchmarks.processes import Program, cpu_seconds, program
from .conftest import MakeHarness, MakeRouter
from .harness import PATIENCE_SECONDS
from .honest_workers import HonestWorkers, rss_bytes
from .hostile_clients import ATTACKS, token_of
from .hostile_process import PROGRAM, AttackReply, AttackRequest

SECONDS = float(os.environ.get("HOSTILE_SECONDS", "0"))
#: Visits of a window in the short form, and how many at a time.
VISITS, VISITORS = 20, 4
#: The same in the long form.
VISITS_PER_SECOND = 200
WINDOW_SECONDS = 5.0
#: The least number of hostile requests in all, and for each second of the long form, where so many are tried.
ACTS, ACTS_PER_SECOND = 100, 50
TRIED_PER_SECOND = 60
#: How much longer the slowest visits may take next to hostile clients.
MAX_RATIO = 2.0
MAX_RSS_BYTES = 300 * 2**20


@dataclass
class Measured:
    """The windows of one kind, with hostile clients or without."""

    seconds: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    #: Of the router, and of honest workers with their operator.
    router_cpu: float = 0.0
    honest_cpu: float = 0.0

    def quantile(self, share: float) -> float:
        """Return how long a visit took at most, for a share of them, in milliseconds."""
        return 1000 * sorted(self.seconds)[int(share * (len(self.seconds) - 1))]

    def text(self) -> str:
        """Describe it in one line."""
        count = len(self.seconds)
        return (
            f"{count} visits, {count / self.elapsed:.0f} a second, p50 {self.quantile(0.5):.1f} ms, "
            f"p99 {self.quantile(0.99):.1f} ms; CPU of the router {100 * self.router_cpu / self.elapsed:.0f} %, "
            f"of honest workers and operator {100 * self.honest_cpu / self.elapsed:.0f} %"
        )


@dataclass
class Attacked:
    """What hostile clients did in all windows."""

    acts: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    attacks: Counter[str] = field(default_factory=Counter)

    def add(self, reply: AttackReply) -> None:
        """Add a window."""
        self.acts += reply.acts
        self.seconds += reply.seconds
        self.cpu_seconds += reply.cpu_seconds
        self.attacks.update(reply.attacks)


async def test_honest_workers_are_served_next_to_hostile_clients(
    make_router: MakeRouter, make_harness: MakeHarness
) -> None:
    # On a busy machine this process, which is the operator as well, may need longer than a worker would wait.
    router = make_router(trusted_proxies=1, idle_seconds=2, request_deadline_seconds=PATIENCE_SECONDS)
    router.start()
    assert router.process is not None
    pid, port = router.process.pid, str(router.listener.getsockname()[1])
    harness = make_harness(router)
    operator = await harness.operator(dict.fromkeys(map(token_of, ATTACKS), "in task"))
    workers = HonestWorkers(router.url, operator)
    alone, beside, attacked, count = Measured(), Measured(), Attacked(), 0
    figures = await harness.counters()
    with trio.fail_after(240 + 20 * SECONDS):
        async with (
            trio.open_nursery() as nursery,
            program(PROGRAM, port, "19" if SECONDS else "0") as hostile,
        ):
            nursery.start_soon(workers.serve)
            if SECONDS:
                # A router that has just started is slower.
                count = await visit(workers, pid, count, Measured())
            while beside.elapsed < SECONDS or attacked.acts < ACTS or not figures["refused_operators"]:
                count = await visit(workers, pid, count, alone)
                await hostile.tell(AttackRequest(attack=True, per_second=TRIED_PER_SECOND if SECONDS else None))
                count = await visit(workers, pid, count, beside)
                attacked.add(await stopped(hostile))
                figures = await harness.counters()
            await workers.inbox.wait_submitted(count)
            nursery.cancel_scope.cancel()
    if SECONDS:
        report(router.kind.name, alone, beside, attacked)
        click.echo(f"memory of the router: at most {rss_bytes(pid) >> 20} MiB; its counters: {figures}")
        assert attacked.acts >= ACTS_PER_SECOND * SECONDS, "the attack was weak: it needs a quiet machine"
        assert beside.quantile(0.99) <= MAX_RATIO * alone.quantile(0.99)
    assert workers.inbox.submitted == set(range(count)), "nothing was forged"
    assert rss_bytes(pid) < MAX_RSS_BYTES
    assert figures["operator_attached"]
    assert not operator.closed.is_set()


async def visit(workers: HonestWorkers, pid: int, first: int, measured: Measured) -> int:
    """Make the visits of one window; return the number of the next one."""
    workers.seconds.clear()
    began, router_cpu, honest_cpu = trio.current_time(), cpu_seconds(pid), time.process_time()
    number = first
    async with trio.open_nursery() as nursery:
        if SECONDS:
            for number in range(first, first + int(WINDOW_SECONDS * VISITS_PER_SECOND)):
                due = began + (number - first) / VISITS_PER_SECOND
                await trio.sleep_until(due)
                nursery.start_soon(workers.visit, number, due)
            number += 1
        else:
            numbers = iter(range(first, first + VISITS))

            async def come() -> None:
                for each in numbers:
                    await workers.visit(each)

            for _ in range(VISITORS):
                nursery.start_soon(come)
            number += VISITS
    measured.seconds += workers.seconds
    measured.elapsed += trio.current_time() - began
    measured.router_cpu += cpu_seconds(pid) - router_cpu
    measured.honest_cpu += time.process_time() - honest_cpu
    return number


async def stopped(hostile: Program) -> AttackReply:
    """Stop the hostile clients, and return what they did."""
    await hostile.tell(AttackRequest(attack=False))
    return await hostile.hear(AttackReply)


def report(name: str, alone: Measured, beside: Measured, attacked: Attacked) -> None:
    """Print the figures."""
    ratio = beside.quantile(0.99) / alone.quantile(0.99)
    click.echo(f"\n{name} router, honest workers alone: {alone.text()}")
    click.echo(f"{name} router, next to hostile clients: {beside.text()}")
    click.echo(
        f"{name} router, hostile clients: {attacked.acts} requests, {attacked.acts / attacked.seconds:.0f} a second, "
        f"with {100 * attacked.cpu_seconds / attacked.seconds:.0f} % CPU; the slowest visits took {ratio:.1f} times "
        f"as long\nattacks: {dict(attacked.attacks)}"
    )


def test_there_are_more_than_twenty_kinds() -> None:
    assert len(ATTACKS) > 20
