"""Records 10,000 events on four machines whose clocks are a second apart, and checks the common order of all.

`python -m tests.machines.order [EVENTS]`. Each machine is a process that writes about fifty events a second, to a
run of its own and sometimes to the directory, and names in each the last event of others that it has seen: the cause. A
fifth one follows the log as an operator does. In the common order, no effect may stand before its cause.

The controls are the orders that one gets more easily: by the clocks of the machines, in which effects stand before
their causes; and by a sequence of the database, where a follower misses events that become visible late.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psycopg
import trio

from mephisto_es.adapters.composition.clock_and_ids import SystemClock
from mephisto_es.adapters.log.commit_thread import commit_in_thread, run_writer
from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.postgres.mirrored import MirroredLog
from mephisto_es.adapters.log.postgres.sharing import OperatorSharing
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.base import PayloadRef
from mephisto_es.events.engagement import WorkerArrived
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import TaskRunId, WorkerId
from mephisto_es.events.streams import partition_of
from mephisto_es.events.worker import WorkerRegistered

from ..postgres import server_programs
from .processes import at_once, meet, rest
from .standbys import server_group

DATABASE = "common_order"
MACHINES = 4
#: Seconds between the clocks of two machines, and between two events of one.
APART_SECONDS, PACE_SECONDS = 1.0, 0.02
#: Every fifth event is written to the partition that all share.
DIRECTORY_EVERY = 5
#: Bar for the time from an append to its being seen by the follower.
P99_SECONDS = 0.150
#: Gives each event a number of a sequence, as a table with an identity column does.
NUMBERS = """
    CREATE TABLE es.numbered (n bigserial);
    CREATE FUNCTION es.number() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO es.numbered DEFAULT VALUES;
      RETURN NEW;
    END $$;
    CREATE TRIGGER number AFTER INSERT ON es.event FOR EACH ROW EXECUTE FUNCTION es.number()
"""


class Noted(NamedTuple):
    """The facts that the id of a command carries."""

    machine: int
    number: int
    #: The time on the clock of its machine, in microseconds.
    at: int
    #: When it was appended, on the clock that all processes share, in nanoseconds.
    appended: int
    #: The cause: a machine and a number of it; -1 if there is none.
    cause_machine: int
    cause_number: int

    @classmethod
    def of(cls, command: str) -> Noted:
        return cls(*map(int, command.split("/")))


def write(address: str, folder: Path, machine: int, events: int) -> list[int]:
    """Write events at an even pace, each an effect of what was seen last; return nothing."""
    with MirroredLog.open(address, folder / f"{machine}.db", ()) as log:
        cause = -1, -1
        meet()
        began_at = time.monotonic()
        for number in range(events):
            rest(max(0, began_at + (number + machine / MACHINES) * PACE_SECONDS - time.monotonic()))
            event = _event(machine, number)
            appended = time.monotonic_ns()
            turn = log.begin([partition_of(event.stream)], (), ())
            if turn.news:
                cause = Noted.of(turn.news[-1].envelope.command)[:2]
            at = time.time_ns() // 1000 + int(machine * APART_SECONDS * 1_000_000)
            command = "/".join(map(str, Noted(machine, number, at, appended, *cause)))
            log.commit([AppendRequest(command=command, actor="order", at=at, events=(event,))])
    return []


def _event(machine: int, number: int) -> NewEvent:
    worker = WorkerId(MACHINES * number + machine + 1)
    if number % DIRECTORY_EVERY == 0:
        name = PayloadRef(f"{worker:064x}", 1)
        known = WorkerRegistered(worker=worker, provider_type="mock", name=name, identity=f"pseudonym-{worker}")
        return NewEvent(streams.worker(worker), known)
    return NewEvent(streams.engagement(TaskRunId(machine + 1), worker), WorkerArrived(worker=worker))


def follow(address: str, folder: Path, events: int) -> list[int]:
    """Follow the log as an operator does; return how long after its append each event was seen, in nanoseconds."""
    return trio.run(_follow, address, folder, events)


async def _follow(address: str, folder: Path, events: int) -> list[int]:
    delays, is_complete = list[int](), trio.Event()

    def note(news: Sequence[RecordedEvent]) -> None:
        now = time.monotonic_ns()
        delays.extend(now - Noted.of(each.envelope.command).appended for each in news)
        if len(delays) == events:
            is_complete.set()

    with MirroredLog.open(address, folder / "follower.db", ()) as log:
        ledger = Ledger(log, SystemClock(), commit_in_thread)
        sharing = OperatorSharing(log, address, "follower", lease_seconds=15)
        ledger.subscribe(note)
        async with trio.open_nursery() as nursery:
            await nursery.start(run_writer, ledger)
            nursery.start_soon(sharing.run, ledger.read_news)
            await trio.to_thread.run_sync(meet)
            await is_complete.wait()
            nursery.cancel_scope.cancel()
        await sharing.leave()
    return delays


def count(address: str, events: int) -> list[int]:
    """Return how many events a follower gets that asks for numbers larger than those it has seen."""
    with psycopg.connect(address, autocommit=True) as db:
        meet()
        last, found, is_last = 0, 0, False
        while not is_last:
            is_last = db.execute("SELECT count(*) FROM es.numbered").fetchone() == (events,)
            for (number,) in db.execute("SELECT n FROM es.numbered WHERE n > %s ORDER BY n", (last,)):
                last, found = number, found + 1
            rest(0.002)
    return [found]


def effects_before_causes(order: Sequence[Noted]) -> int:
    """Return how many events stand before their cause, or before an earlier one of their machine."""
    seen, last, found = {(-1, -1)}, dict[int, int](), 0
    for one in order:
        found += (one.cause_machine, one.cause_number) not in seen or one.number < last.get(one.machine, -1)
        seen.add((one.machine, one.number))
        last[one.machine] = max(one.number, last.get(one.machine, -1))
    return found


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)  # noqa: T201 - this is a program


def play(address: str, folder: Path, events: int) -> int:
    """Let all machines write; return the exit code."""
    with closing(PostgresLog(address)), psycopg.connect(address, autocommit=True) as db:
        db.execute(NUMBERS)
    writers = [partial(write, address, folder, machine, events // MACHINES) for machine in range(MACHINES)]
    *_, delays, (counted,) = at_once(
        [*writers, partial(follow, address, folder, events), partial(count, address, events)]
    )
    with closing(PostgresLog(address)) as log:
        order = [Noted.of(recorded.envelope.command) for recorded in log.read()]
    causes = sum(one.cause_machine >= 0 for one in order)
    wrong, wrong_by_clock = effects_before_causes(order), effects_before_causes(sorted(order, key=lambda one: one.at))
    median, p99 = statistics.median(delays) / 1e9, statistics.quantiles(delays, n=100)[98] / 1e9
    say(events=len(order), effects_of_other_machines=causes, before_their_causes=wrong)
    say(append_to_follower_ms={"p50": round(1000 * median, 1), "p99": round(1000 * p99, 1)}, bar="p99 under 150")
    say(controls={"before_their_causes_by_clock": wrong_by_clock, "missed_by_sequence": events - counted})
    is_right, is_control = wrong == 0 and len(order) == events, wrong_by_clock > 0
    for holds, sentence in (
        (is_right, "no effect stands before its cause, and none is missing"),
        (
            p99 < P99_SECONDS,
            "the follower sees events in time; this depends on the machine, and not the exit code on it",
        ),
        (is_control, "by the clocks, effects stand before their causes"),
    ):
        say(**{"ok" if holds else "FAILED": sentence})
    return 0 if is_right and is_control else 1


def main(events: int) -> int:
    """Play on servers of its own; return the exit code."""
    folder = tempfile.TemporaryDirectory(prefix="mephisto-order-")
    with folder as name, server_group(server_programs(), standbys=1) as group:
        group.create_database(DATABASE)
        group.wait_for_standbys()
        return play(group.address(DATABASE), Path(name), events)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
