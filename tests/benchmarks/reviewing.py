"""Visits while sixteen people review: how much longer workers wait, in one interleaved run.

Usage: python reviewing.py [--quick] [--json FILE]. Each reviewer approves work over the operator's control socket, one
verdict after the other; turns with and without reviewers alternate.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import msgspec
import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.control.client import open_control
from mephisto_es.adapters.control.reviews import content_key
from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.operations.control.requests import VerdictRequest
from mephisto_es.events.ids import AgentId
from mephisto_es.projections.mephisto_db.reader import MephistoDB
from mephisto_es.tests.benchmarks import visitors
from mephisto_es.tests.benchmarks.hosted_run import hosted_run
from mephisto_es.tests.benchmarks.processes import Program, program
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark

_GIVE_UP_SECONDS = 900
REVIEWERS = 16
#: Workers who visit at a time.
WORKERS = 50
#: Seconds in which a reviewer looks at one piece of work.
LOOK_SECONDS = 0.5


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    turns: int = 6
    visits: int = 500


QUICK = Sizes(turns=2, visits=60)


async def measure(report: Report, sizes: Sizes) -> None:
    """Measure visits in turns, every other one with reviewers."""
    waits: dict[bool, list[float]] = {False: [], True: []}
    reviewed: list[float] = []
    units = sizes.visits * (sizes.turns + 2)
    with trio.fail_after(_GIVE_UP_SECONDS):
        async with hosted_run(units, "python") as hosted, program(visitors.PROGRAM, hosted.url) as crowd:
            await _visit(crowd, sizes.visits)
            database = Path(hosted.data_dir) / DATABASE_FILE
            with MephistoDB(database) as db:
                agents = iter([AgentId(agent.agent_id) for agent in db.find_agents(status="completed")])
            for turn in range(sizes.turns):
                has_reviewers = turn % 2 == 1
                async with trio.open_nursery() as nursery:
                    for number in range(REVIEWERS if has_reviewers else 0):
                        nursery.start_soon(_review, database, f"user/reviewer-{number}", agents, reviewed)
                    reply = await _visit(crowd, sizes.visits)
                    nursery.cancel_scope.cancel()
                waits[has_reviewers].append(_p99(reply.request_agent_seconds))
    alone, together = median(waits[False]), median(waits[True])
    verdict = median(reviewed) * 1e3 if reviewed else 0.0
    report.tell(
        "request_agent, p99 ms",
        {
            "without reviewers": alone,
            "with reviewers": together,
            "verdict, median ms": verdict,
            "verdicts": len(reviewed),
        },
    )
    report.judge("p99 of a visit with 16 reviewers, times that without", together / alone, "<=", 1.3)


async def _visit(crowd: Program, visits: int) -> visitors.VisitsReply:
    await crowd.tell(visitors.VisitsRequest(visits, WORKERS))
    return await crowd.hear(visitors.VisitsReply)


async def _review(database: Path, author: str, agents: Iterator[AgentId], reviewed: list[float]) -> None:
    """Approve work until there is none left."""
    async with open_control(database, author) as control:
        for agent in agents:
            verdict = VerdictRequest(agent=agent, verdict=Verdict.APPROVED)
            began = trio.current_time()
            await control.execute(verdict, content_key(verdict, author))
            reviewed.append(trio.current_time() - began)
            await trio.sleep(LOOK_SECONDS)


def _p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98] * 1e3


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    report = new_report("visits while people review", "trio-websocket")
    trio.run(measure, report, QUICK if quick else Sizes())
    return report


if __name__ == "__main__":
    sys.exit(run_benchmark("Measure visits while people review.", benchmark, sys.argv[1:]))
