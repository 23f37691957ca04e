"""Kills a whole operator on a PostgreSQL server again and again: copies end alike, and the view is that of a file.

`python -m tests.machines.torture [KILLS]`. The job of `mephisto-es torture` runs once on a file, undisturbed, and then
on a server, where its operator and routers are killed. Then nothing that a worker was told of is missing or there
twice, the operator's copy and one that another machine makes have the same head, and both show what the file shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import click
import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.log_choice import LOG_VARIABLE, keep_log_here
from mephisto_es.adapters.crowd.torture import KillPlan, PassResult, PassRunner
from mephisto_es.adapters.crowd.torture_job import TortureJob
from mephisto_es.core.operations.logger_core import set_mephisto_log_level
from mephisto_es.projections.mephisto_db.reader import MephistoDB

from ..postgres import Cluster, server_programs
from ..processes import COMMAND, report_of

JOB = TortureJob(sentences=40, chats=4, server_type="python")
WORKERS, SEED = 12, 11

#: A unit as every log of the job has it: its task, its place in its assignment, its data, its status and its pay.
Unit = tuple[str, int, str, str, int]


def units_of(folder: Path) -> Counter[Unit]:
    """Return what the view shows of the units, whoever did them and whatever their numbers are."""
    with MephistoDB(folder / DATABASE_FILE) as db:
        tasks = {task.task_id: task.task_name for task in db.find_tasks()}
        return Counter(
            (tasks[one.task_id], one.unit_index, json.dumps(db.get_inputs(one)), one.status, one.pay_cents)
            for one in db.find_units()
        )


async def _passes(folder: Path, address: str, kills: int) -> tuple[PassResult, PassResult]:
    """Run the job on a file, and then on a server with kills."""
    runner = PassRunner(JOB, WORKERS, SEED, folder)
    keep_log_here()
    alone = await runner.run_pass(KillPlan(name="on a file"))
    os.environ[LOG_VARIABLE] = address
    plan = KillPlan(name="on a server", kills=kills, with_router=True)
    return alone, await runner.run_pass(plan, alone.outcome)


def faults_of(alone: PassResult, shared: PassResult, other: Path) -> list[str]:
    """Return everything that is wrong with both passes, and with another machine's copy of the log."""
    faults = [*alone.faults, *shared.faults]
    if faults:
        return faults
    own, copied = report_of(Path(shared.data_dir)), report_of(other)
    if not (own.legal and copied.legal):
        faults.append(f"the copies are not legal: {[*own.findings, *copied.findings][:5]}")
    if (own.seq, own.chain) != (copied.seq, copied.chain):
        faults.append(f"the copies end differently: at {own.seq:,} and at {copied.seq:,}")
    expected = units_of(Path(alone.data_dir))
    for folder in (Path(shared.data_dir), other):
        found = units_of(folder)
        if found != expected:
            faults.append(f"the view of {folder.name} differs in {list((found - expected) + (expected - found))[:5]}")
    return faults


def main(kills: int) -> int:
    """Run both passes; return the exit code."""
    set_mephisto_log_level(level="error")
    programs = server_programs()
    cluster = Cluster.make(programs)
    try:
        with tempfile.TemporaryDirectory(prefix="mephisto-torture-") as name:
            other = Path(name) / "other"
            alone, shared = trio.run(partial(_passes, Path(name), cluster.new_database(), kills))
            for one in (alone, shared):
                click.echo(f"{one.name}: {one.seconds} s, operators killed {one.operators_killed}, {one.outcome}")
            subprocess.run([COMMAND, "log", "update", str(other)], check=True, stdout=subprocess.DEVNULL)
            faults = faults_of(alone, shared, other)
            for fault in faults:
                click.echo(f"FAILED {fault}")
            if not faults:
                click.echo(f"ok: both copies end at {report_of(other).seq:,}, and show what the file shows")
    finally:
        cluster.stop(programs)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
