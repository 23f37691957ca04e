"""Stops operators for longer than their lease, and counts what they still write: nothing. Without the fence: something.

`python -m tests.machines.stale [STOPS]`. Three processes want one run. Whoever owns it is stopped with SIGSTOP at a
random moment, also within a turn, until another one has taken over, and continues then.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from contextlib import closing, suppress
from multiprocessing.synchronize import Event
from typing import NamedTuple

import psycopg

from mephisto_es.adapters.log.postgres import owning
from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.postgres.owning import Lease
from mephisto_es.core.errors import LogError, WriterFencedError
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.engagement import WorkerArrived
from mephisto_es.events.ids import TaskRunId, WorkerId
from mephisto_es.events.streams import partition_of_run

from ..postgres import Cluster, server_programs

RUN = TaskRunId(1)
PARTITION = partition_of_run(RUN)
LEASE = Lease(1.0, 0.3)
OPERATORS = 3
#: Notes with each event who owned its partition, and which operator wrote it: the first part of its command.
NOTES = """
    CREATE TABLE es.note (seq bigint, owner text, writer text);
    CREATE FUNCTION es.take_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO es.note SELECT NEW.seq, p.owner, split_part(NEW.command, ' ', 1) FROM es.partition p
       WHERE p.partition = NEW.partition;
      RETURN NEW;
    END $$;
    CREATE TRIGGER note AFTER INSERT ON es.event FOR EACH ROW EXECUTE FUNCTION es.take_note()
"""
COUNTS = """
    SELECT count(*), count(*) FILTER (WHERE writer <> owner), count(DISTINCT owner),
           (SELECT max(seq) - count(*) FROM es.event) FROM es.note
"""


class Outcome(NamedTuple):
    """The events in the log, those of others than the owner, the owners, and the gaps."""

    events: int
    stale: int
    owners: int
    gaps: int


class UnfencedLog(PostgresLog):
    """A writer that does not care whose partition it writes to."""

    def _check_fences(self, _found: object) -> None:
        self._operator = None


def operate(address: str, number: int, is_fenced: bool, stop: Event) -> None:
    """Be an operator that drives the run whenever it can, under a new name after each time that it was fenced."""
    name, life, log, beaten = f"{number}.1", 1, None, 0.0
    with psycopg.connect(address, autocommit=True) as db:
        owning.join(db, name, LEASE)
        while not stop.is_set():
            if log is None:
                taken = owning.take(db, name, PARTITION, LEASE)
                if not isinstance(taken, int):
                    owning.beat(db, name, LEASE)
                    stop.wait(0.05)
                    continue
                log = (PostgresLog if is_fenced else UnfencedLog)(address)
                log.own(name, PARTITION, taken)
            try:
                if time.monotonic() - beaten > LEASE.beat_seconds:
                    beaten = time.monotonic()
                    if not owning.beat(db, name, LEASE):
                        raise WriterFencedError(name)
                write(log, name, number)
            except LogError:
                log.close()
                log, life = None, life + 1
                name = f"{number}.{life}"
                owning.join(db, name, LEASE)


def write(log: PostgresLog, name: str, number: int) -> None:
    worker = WorkerId(random.randrange(10**9) * 10 + number)
    event = NewEvent(streams.engagement(RUN, worker), WorkerArrived(worker=worker))
    log.begin([PARTITION], (), ())
    log.commit([AppendRequest(command=f"{name} {worker}", actor=name, at=time.time_ns() // 1000, events=(event,))])


def play(address: str, stops: int, *, is_fenced: bool) -> Outcome:
    """Stop the owner again and again."""
    with closing(PostgresLog(address)):
        pass
    with psycopg.connect(address, autocommit=True) as db:
        db.execute(NOTES)
        db.execute("INSERT INTO es.partition (partition) VALUES (%s)", (PARTITION,))
        if not is_fenced:
            definition = db.execute("SELECT pg_get_functiondef('es.append'::regproc)").fetchone()
            assert definition is not None
            db.execute(definition[0].replace("IF stale IS NOT NULL", "IF false").encode())
        stop = multiprocessing.Event()
        processes = {
            str(number): multiprocessing.Process(target=operate, args=(address, number, is_fenced, stop))
            for number in range(1, OPERATORS + 1)
        }
        for process in processes.values():
            process.start()
        try:
            for _ in range(stops):
                stop.wait(random.uniform(0.5, 1.2))
                stop_owner(db, processes, stop)
        finally:
            stop.set()
            for process in processes.values():
                process.join(60)
        row = db.execute(COUNTS).fetchone()
        assert row is not None
        return Outcome(*row)


def stop_owner(
    db: psycopg.Connection[tuple[object, ...]], processes: dict[str, multiprocessing.Process], stop: Event
) -> None:
    """Stop the owner of the run until it has another one, and let it continue."""
    owner = None
    while owner is None:
        row = db.execute("SELECT owner FROM es.partition WHERE partition = %s", (PARTITION,)).fetchone()
        owner = None if row is None else row[0]
    pid = processes[str(owner).partition(".")[0]].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with suppress(ProcessLookupError):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            row = db.execute("SELECT owner FROM es.partition WHERE partition = %s", (PARTITION,)).fetchone()
            if row is not None and row[0] != owner:
                break
            stop.wait(0.05)
        os.kill(pid, signal.SIGCONT)


def main(stops: int) -> int:
    """Play with the fence and without it; return the exit code."""
    programs = server_programs()
    cluster = Cluster.make(programs)
    try:
        fenced = play(cluster.new_database(), stops, is_fenced=True)
        print(json.dumps({"stops": stops, **fenced._asdict()}), flush=True)  # noqa: T201 - this is a program
        control = play(cluster.new_database(), max(3, stops // 4), is_fenced=False)
        print(json.dumps({"without the fence": control._asdict()}), flush=True)  # noqa: T201 - this is a program
    finally:
        cluster.stop(programs)
    return 0 if fenced.stale == 0 and fenced.gaps == 0 and fenced.owners > 1 and control.stale > 0 else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
