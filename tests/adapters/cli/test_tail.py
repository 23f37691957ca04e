"""`mephisto-es tail`: events for people and for pipelines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.ids import WorkerId
from mephisto_es.events.worker import WorkerBlocked
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history

COMMAND = str(Path(sys.executable).parent / "mephisto-es")
HISTORY = sample_history()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit(HISTORY[:-1])
    return tmp_path / "mephisto.db"


def tail(database: Path, *words: str) -> list[str]:
    done = CliRunner().invoke(command.main, ["tail", str(database), *words])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_all_events_are_printed_for_people(database: Path) -> None:
    lines = tail(database, "--from", "1", "--no-follow")
    assert lines[0].startswith("1  2026-01-31 14:00:")
    assert any("unit/1/" in line and "offered to workers -> launched" in line for line in lines)
    assert tail(database, "--no-follow") == []


def test_a_program_continues_where_it_stopped(database: Path) -> None:
    everything = [json.loads(line) for line in tail(database, "--json", "--from", "1", "--no-follow")]
    assert [one["seq"] for one in everything] == list(range(1, len(everything) + 1))
    rest = [json.loads(line) for line in tail(database, "--json", "--from", "40", "--no-follow")]
    assert rest == everything[39:]
    submitted = next(one for one in everything if one["kind"] == "agent_submitted")
    assert submitted["status"] == "completed"
    assert set(submitted["event"]["submission"]) == {"sha256", "size"}


def test_only_the_events_of_a_run_are_printed_if_one_is_named(database: Path) -> None:
    kinds = {json.loads(line)["kind"] for line in tail(database, "1", "--json", "--from", "1", "--no-follow")}
    assert "unit_launched" in kinds
    assert "worker_registered" not in kinds


@pytest.mark.parametrize("known_before", [True, False])
def test_a_block_of_a_worker_of_the_run_is_one_of_its_events(database: Path, known_before: bool) -> None:
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        head = log.head()
        for worker in (1, 999):
            event = NewEvent(streams.worker(WorkerId(worker)), WorkerBlocked(reason=f"number {worker}"))
            log.commit([AppendRequest(command=f"block {worker}", actor="user/ann", at=head.at, events=(event,))])
    lines = tail(database, "1", "--from", str(head.seq + 1) if known_before else "1", "--no-follow")
    assert [line.partition("blocked: ")[2] for line in lines if "blocked" in line] == ["number 1 (by ann) -> blocked"]


def test_what_is_committed_later_follows(database: Path) -> None:
    seen = len(tail(database, "--from", "1", "--no-follow"))
    following = subprocess.Popen(
        [COMMAND, "tail", str(database), "--json", "--from", str(seen)], stdout=subprocess.PIPE, text=True
    )
    assert following.stdout is not None
    assert json.loads(following.stdout.readline())["seq"] == seen
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(HISTORY[-1:])
    assert json.loads(following.stdout.readline())["seq"] == seen + 1
    following.terminate()
    following.wait(120)
    following.stdout.close()
