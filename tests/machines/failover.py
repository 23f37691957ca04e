"""Kills the primary of three PostgreSQL servers again and again while whole operators serve crowds: nothing is lost.

`python -m tests.machines.failover [KILLS]`. Two operators, each a process with a router and a crowd, use a primary with
two standbys, one of which has what is acknowledged. Each time the primary is killed, a standby is promoted, and the
killed server becomes a standby again. Then the log has every submission that a worker was told of, once; every copy of
an operator is a beginning of it; and after each promotion work continued within three seconds.

In the control nobody waits for a standby, and none receives anything before the kill: something that an operator has
acknowledged is lost, which both the check and the operator notice.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import psycopg
import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.log_choice import LOG_VARIABLE
from mephisto_es.adapters.crowd.bot import Bot
from mephisto_es.adapters.crowd.crowd import Crowd
from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentAccepted, AgentSubmitted
from mephisto_es.events.envelope import RecordedEvent

from ..postgres import server_programs
from ..processes import OperatorProcess, operator_process, rating, script_command
from .demo import stop_routers
from .processes import rest
from .standbys import ASYNCHRONOUS, ServerGroup, is_whole, server_group

DATABASE = "failover"
OPERATORS, WORKERS = 2, 12
#: Seconds that a worker needs for a unit, and the submissions between two kills.
THINK_SECONDS, SUBMISSIONS_BETWEEN = 0.5, 50
#: Units of each run: more than its workers can do before one more kill, and at the end.
UNITS_PER_KILL = 600
#: Seconds after a promotion within which work must continue, and after which a wait is given up.
RESUME_SECONDS, GIVE_UP_SECONDS = 3.0, 120.0
#: Longer than all kills take.
RUN_SECONDS = 7200
_PAUSE_SECONDS = 0.02


class Verdict(NamedTuple):
    """The findings about a log."""

    #: Submissions that workers were told of, and how many of them the log has not, and has more than once.
    submitted: int
    lost: int
    twice: int
    #: Events in copies of operators that the log does not have.
    lost_from_copies: int
    #: Partitions with a gap or a broken chain.
    broken: list[str]


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)  # noqa: T201 - this is a program


class Site:
    """Operators with their crowds, on a log that a group of servers has."""

    def __init__(self, group: ServerGroup, folder: Path, kills: int) -> None:
        self._group = group
        self._folder = folder
        folder.mkdir()
        self._units = folder / "units.csv"
        lines = (f"{number},A sentence." for number in range(UNITS_PER_KILL * (kills + 1)))
        self._units.write_text("\n".join(["id,sentence", *lines, ""]), encoding="utf-8")
        self._crowds: list[Crowd] = []
        self.operators: list[OperatorProcess] = []
        self.address = group.address(DATABASE)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Operators and crowds within the block. They are killed at its end."""
        os.environ[LOG_VARIABLE] = self.address
        try:
            async with AsyncExitStack() as stack:
                for number in range(OPERATORS):
                    output = stack.enter_context((self._folder / f"machine-{number}.log").open("wb"))
                    opened = operator_process(self._command(number), None, RUN_SECONDS, output)
                    self.operators.append(await stack.enter_async_context(opened))
                async with trio.open_nursery() as nursery:
                    for number, process in enumerate(self.operators):
                        self._crowds.append(_crowd(process.url, number))
                        nursery.start_soon(self._crowds[-1].run)
                    yield
                    nursery.cancel_scope.cancel()
                for process in self.operators:
                    await process.kill()
        finally:
            stop_routers(self._folder)

    def _command(self, number: int) -> list[str]:
        task, data = f"mephisto.task.task_name=task-{number}", f"mephisto.blueprint.data_csv={self._units}"
        return script_command(self._folder / f"machine-{number}", task, data)

    async def wait_for_submissions(self, more: int) -> None:
        """Wait until workers were told of so many more submissions."""
        before = len(self._acknowledged())
        with trio.fail_after(GIVE_UP_SECONDS):
            while len(self._acknowledged()) < before + more:  # noqa: ASYNC110 - of other processes
                await trio.sleep(_PAUSE_SECONDS)

    def until_written(self) -> float:
        """Return the seconds until the primary has one event more."""
        began_at = time.monotonic()
        with psycopg.connect(self._group.primary.address(DATABASE), autocommit=True) as db:
            first = db.execute("SELECT count(*) FROM es.event").fetchone()
            while db.execute("SELECT count(*) FROM es.event").fetchone() == first:
                if time.monotonic() - began_at > GIVE_UP_SECONDS:
                    raise TimeoutError(f"nothing was written within {GIVE_UP_SECONDS:.0f} s of the promotion")
                rest(_PAUSE_SECONDS)
        return time.monotonic() - began_at

    def judge(self) -> Verdict:
        """Compare the log with what workers were told, and with the copies of operators.

        What a worker was told of may still be on its way from the router to the log.
        """
        acknowledged, copies = self._acknowledged(), [self._copy(number) for number in range(OPERATORS)]
        give_up_at = time.monotonic() + (GIVE_UP_SECONDS if self._are_alive() else 0)
        with closing(PostgresLog(self.address)) as log:
            events = list(log.read())
            while acknowledged - _submissions(events).keys() and time.monotonic() < give_up_at:
                rest(0.2)
                events += log.read(len(events))
            found = _submissions(events)
            copied = sum(_missing(copy, events) for copy in copies)
            partitions = sorted({streams.partition_of(each.envelope.stream) for each in events})
            broken = [each for each in partitions if not is_whole(log, each)]
        twice = sum(1 for times in found.values() if times > 1)
        return Verdict(len(acknowledged), len(acknowledged - found.keys()), twice, copied, broken)

    def _acknowledged(self) -> set[str]:
        """Return the agents whose workers were told that their work has arrived."""
        return {agent for crowd in self._crowds for agent, sent in crowd.submissions.items() if sent.is_acknowledged}

    def _are_alive(self) -> bool:
        return all(one.process.returncode is None for one in self.operators)

    def _copy(self, machine: int) -> list[RecordedEvent]:
        with LogReader(self._folder / f"machine-{machine}" / DATABASE_FILE) as copy:
            return list(copy.read())


def _crowd(url: str, machine: int) -> Crowd:
    names = [f"worker {machine}-{number}" for number in range(WORKERS)]
    bots = [Bot(name=name, answer=rating, think_seconds=THINK_SECONDS) for name in names]
    return Crowd(url, bots, patience_seconds=RUN_SECONDS, retry_seconds=RUN_SECONDS)


def _missing(copy: list[RecordedEvent], events: list[RecordedEvent]) -> int:
    """Return how many events a copy has from the first one on that the log does not have in its place."""
    places = zip_longest(copy, events[: len(copy)])
    return len(copy) - next((number for number, (one, other) in enumerate(places) if one != other), len(copy))


def _submissions(events: list[RecordedEvent]) -> Counter[str]:
    """Return how often each agent has submitted."""
    tokens = {
        each.envelope.stream: each.envelope.event.token
        for each in events
        if isinstance(each.envelope.event, AgentAccepted)
    }
    return Counter(tokens[each.envelope.stream] for each in events if isinstance(each.envelope.event, AgentSubmitted))


async def fail_over(group: ServerGroup, folder: Path, kills: int) -> tuple[Verdict, list[float]]:
    """Kill the primary again and again; return the findings, and how long after each promotion work continued."""
    site, waits = Site(group, folder, kills), list[float]()
    async with site.at_work():
        for number in range(kills):
            await site.wait_for_submissions(SUBMISSIONS_BETWEEN)
            began_at = time.monotonic()
            await trio.to_thread.run_sync(group.kill_primary)
            await trio.to_thread.run_sync(group.promote)
            promoted_at = time.monotonic()
            waits.append(await trio.to_thread.run_sync(site.until_written))
            say(kill=number + 1, promoted_after=round(promoted_at - began_at, 2), resumed_after=round(waits[-1], 2))
            await trio.to_thread.run_sync(group.rebuild)
            await trio.to_thread.run_sync(group.wait_for_standbys)
        await site.wait_for_submissions(SUBMISSIONS_BETWEEN)
        return await trio.to_thread.run_sync(site.judge), waits


async def lose(group: ServerGroup, folder: Path) -> tuple[Verdict, list[int | None]]:
    """Let operators acknowledge what no standby has, and kill the primary; return the findings and the exit codes."""
    site = Site(group, folder, 0)
    async with site.at_work():
        await site.wait_for_submissions(SUBMISSIONS_BETWEEN)
        await trio.to_thread.run_sync(group.stop_receivers)
        await site.wait_for_submissions(SUBMISSIONS_BETWEEN)
        await trio.to_thread.run_sync(group.kill_primary)
        await trio.to_thread.run_sync(group.promote)
        codes: list[int | None] = []
        for operator in site.operators:
            with trio.move_on_after(GIVE_UP_SECONDS):
                await operator.process.wait()
            codes.append(operator.process.returncode)
        return await trio.to_thread.run_sync(site.judge), codes


def main(kills: int) -> int:
    """Play the failovers and the control; return the exit code."""
    programs = server_programs()
    with tempfile.TemporaryDirectory(prefix="mephisto-failover-") as name:
        folder = Path(name)
        with server_group(programs, standbys=2) as group:
            group.create_database(DATABASE)
            group.wait_for_standbys()
            verdict, waits = trio.run(fail_over, group, folder / "synchronous", kills)
        say(kills=kills, **verdict._asdict())
        ordered = sorted(round(wait, 2) for wait in waits)
        say(seconds_to_resume=ordered, median=statistics.median(ordered), highest=ordered[-1])
        with server_group(programs, standbys=1, settings=ASYNCHRONOUS) as group:
            group.create_database(DATABASE)
            control, codes = trio.run(lose, group, folder / "asynchronous")
        say(control_without_synchronous_standby=control.lost_from_copies, exit_codes_of_operators=codes)
    is_kept = not (verdict.lost or verdict.twice or verdict.lost_from_copies or verdict.broken)
    is_noticed = control.lost_from_copies > 0 and all(code not in (0, None) for code in codes)
    is_quick = ordered[-1] <= RESUME_SECONDS
    for holds, sentence in (
        (is_kept, "nothing that was acknowledged is lost or there twice"),
        (is_quick, f"work continued within {RESUME_SECONDS:.0f} s of each promotion"),
        (is_noticed, "the control has lost something, and its operators noticed it and stopped"),
    ):
        say(**{"ok" if holds else "FAILED": sentence})
    # How quick it was depends on the machine, too.
    return 0 if is_kept and is_noticed else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
