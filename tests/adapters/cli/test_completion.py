"""Completion in a shell: verbs, options, and the runs, units, agents and workers of the log that the command names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import shell_complete
from click.testing import CliRunner

from mephisto_es.adapters.cli.common.candidates import MAX_CANDIDATES, candidates
from mephisto_es.adapters.cli.main import VERBS, main
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.payloads import seal
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.ids import WorkerId
from mephisto_es.events.worker import WorkerRegistered
from mephisto_es.projections.mephisto_db.reader import MephistoDB
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history

Complete = Callable[..., list[str]]
_VARIABLE = "_MEPHISTO_ES_COMPLETE"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("a folder") / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(sample_history())
    return path


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """Complete a command line as bash does; an empty last word means that a new one begins."""

    def complete(*words: object) -> list[str]:
        written = " ".join(["mephisto-es", *(f"'{word}'" if " " in str(word) else str(word) for word in words)])
        monkeypatch.setenv("COMP_WORDS", written)
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        assert shell_complete(main, {}, "mephisto-es", _VARIABLE, "bash_complete") == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        return [line.partition(",")[2] for line in printed.out.splitlines() if line.startswith("plain,")]

    return complete


def test_verbs_and_options(complete: Complete) -> None:
    assert complete("") == sorted(VERBS)
    assert complete("tim") == ["timeline"]
    assert complete("status", "--js") == ["--json"]


def test_runs_and_ids_of_the_log_that_is_named(complete: Complete, database: Path) -> None:
    assert complete("status", database, "") == ["run-1"]
    assert complete("status", database, "r") == ["run-1"]
    assert complete("status", database, "1") == ["1"]
    assert complete("status", database, "2") == []
    assert complete("timeline", database, "unit-4") == ["unit-40", "unit-4"]
    assert complete("timeline", database, "worker-") == [f"worker-{number}" for number in range(6, 0, -1)]
    assert complete("review", database, "1", "--approve", "agent-3") == ["agent-32", "agent-31", "agent-30", "agent-3"]
    assert complete("worker", database, "--unit", "unit-39") == ["unit-39"]


def test_workers_by_their_names(complete: Complete, tmp_path: Path) -> None:
    """A name with characters that a shell reads otherwise is not offered."""
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        for number, name in enumerate(["ann@lab", "anne", "an apple", "an$(date)", "bob"], start=1):
            sealed = seal(name.encode(), bytes([number]) * 16, WorkerId(number))
            known = WorkerRegistered(
                worker=WorkerId(number), provider_type="mock", name=sealed.ref, identity=f"identity {number}"
            )
            come = NewEvent(streams.worker(WorkerId(number)), known)
            log.commit(
                [AppendRequest(command=f"{number}", actor="operator", at=number, events=(come,), payloads=(sealed,))]
            )
    assert complete("worker", path, "an") == ["ann@lab", "anne"]


def test_the_database_may_be_left_out(complete: Complete, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(database.parent)
    (database.parent / "mephisto_data").symlink_to(".")
    assert complete("status", "") == ["run-1"]
    assert complete("explain", "agent-30") == ["agent-30"]


@pytest.mark.parametrize("content", [None, b"", b"no database", b"SQLite format 3\0" + bytes(1000)])
def test_a_log_that_cannot_be_read_offers_nothing(content: bytes | None, complete: Complete, tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    if content is not None:
        path.write_bytes(content)
    assert complete("status", path, "") == []
    assert complete("timeline", path, "unit-1") == []
    assert sorted(tmp_path.iterdir()) == ([] if content is None else [path])


def test_completion_is_bounded(database: Path) -> None:
    with MephistoDB(database) as db:
        everything = len(db.find_units())
    found = candidates(database, ("unit", "agent", "worker"), "")
    assert everything < len(found) == MAX_CANDIDATES
    with MephistoDB(database) as db:
        db.bound(1)
        with pytest.raises(Exception, match="interrupted"):
            db.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
            ).fetchone()


def test_completion_changes_nothing(complete: Complete, database: Path) -> None:
    """Neither is an erasure finished that was interrupted, nor a script imported."""
    before = bodies_in(database.parent)
    script = database.parent.parent / "script.py"
    script.write_text("raise SystemExit('imported')")
    complete("pay", "--script", script, database, "")
    assert bodies_in(database.parent) == before


def bodies_in(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, without those that any reader of SQLite makes."""
    files = [file for file in folder.iterdir() if file.is_file() and not file.name.endswith(("-shm", "-wal"))]
    return {file.name: file.read_bytes() for file in files}


def test_bash_itself_completes(database: Path) -> None:
    """Bash is given the script, and asked as if somebody pressed the tab key."""
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    words = f"""COMP_WORDS=(mephisto-es status "'{database}'" r); COMP_CWORD=3"""
    asks = f"{script}\n{words}; _mephisto_es_completion mephisto-es"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f'{asks}; printf "%s\\n" "${{COMPREPLY[@]}}"'],
        env={"PATH": path, "HOME": str(database.parent)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout == "run-1\n", done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_their_script(shell: str) -> None:
    script = CliRunner().invoke(main, ["completion", shell]).stdout
    assert f"{_VARIABLE}={shell}_complete" in script
