"""A log of many events: made, audited and rebuilt by processes of their own, whose memory is measured.

Usage: large.py make|audit|rebuild LOG [EVENTS]. Prints one JSON object.
"""

from __future__ import annotations

import importlib
import resource
import sys
import time
from pathlib import Path

import msgspec

from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events.ids import RequesterId, TaskId, TaskRunId
from mephisto_es.events.records import RequesterRegistered, TaskRegistered
from mephisto_es.events.task_run import TaskRunCreated
from mephisto_es.projections.engine import rebuild
from mephisto_es.projections.registry import PROJECTIONS
from mephisto_es.tests.benchmarks.peers import our_event
from mephisto_es.tests.benchmarks.workload import facts

_COMMIT_EVENTS = 2000

# Loaded here, not when a view is first made: it brings other libraries with it, which is no part of what is measured.
importlib.import_module("sqlite_utils")


def make(path: str, count: int) -> dict[str, float]:
    """Write a log of so many events about the units of one run, with its views."""
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit([_run()])
        events: list[NewEvent] = []
        at = 0
        for number, fact in enumerate(facts(count - 3), start=1):
            events.append(NewEvent(f"unit/1/{int(fact.stream[5:]) + 1}", our_event(fact, first_unit=1)))
            at = fact.at
            if len(events) == _COMMIT_EVENTS or number == count - 3:
                log.commit([AppendRequest(command=f"{number:016x}", actor="operator", at=at, events=tuple(events))])
                events.clear()
        return {"events": log.head().seq}


def _run() -> AppendRequest:
    run = TaskRunCreated(
        task_run=TaskRunId(1),
        task=TaskId(1),
        requester=RequesterId(1),
        blueprint_type="static_task",
        architect_type="local",
        provider_type="mock",
        config="{}",
    )
    return AppendRequest(
        command="run",
        actor="operator",
        at=1,
        events=(
            NewEvent("task/1", TaskRegistered(task=TaskId(1), name="benchmark", task_type="static_task")),
            NewEvent("requester/1", RequesterRegistered(requester=RequesterId(1), name="bench", provider_type="mock")),
            NewEvent("task_run/1", run),
        ),
    )


def audit(path: str) -> dict[str, float]:
    """The full audit, with SQLite's own check and every view rebuilt and compared."""
    report = replay(path, PROJECTIONS)
    if not report.legal:
        raise AssertionError(report.findings[0].sentence)
    return {"events": report.events, "compared_rows": sum(report.views.values())}


def rebuild_views(path: str) -> dict[str, float]:
    """Every view built anew from the log."""
    shadow = rebuild.temporary_database()
    with LogReader(Path(path)) as log:
        events = log.head().seq
        rebuild.build(shadow, PROJECTIONS, log.read(), log.payload)
    shadow.close()
    return {"events": events}


def peak_bytes() -> int:
    """The most memory this process ever had. Linux counts what stood before `exec` into `ru_maxrss`."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(job: str, path: str, count: int) -> None:
    """Do one job and say what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = make(path, count) if job == "make" else audit(path) if job == "audit" else rebuild_views(path)
    done["wall_seconds"] = round(time.perf_counter() - wall, 3)
    done["cpu_seconds"] = round(time.process_time() - cpu, 3)
    done["peak_mib"] = round(peak_bytes() / 2**20, 1)
    sys.stdout.write(msgspec.json.encode(done).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
