"""The sign of work of verbs that may take long: on a terminal only, on standard error, and never for programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result, _NamedTextIOWrapper

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import judged_history

#: What each verb says, by its words.
VERBS = {
    "replay {log}": "replaying the log",
    "verify {log}": "checking the chain",
    "backup {log} -o {copy}": "copying and replaying the log",
    "projections {log} rebuild": "rebuilding",
    "quality {log} 1 --no-labels": "reading the answers",
    "report {log} 1": "reading the run",
    "doctor {log} -o {copy}": "reading the log",
    "adjudicate {log} 1": "reading the answers",
    "export {log} 1 -o {copy}": "exporting",
    "bundle {log} 1 -o {copy}": "packing and replaying the run",
    "diff {log} 1 20": "comparing",
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(2, 2, 2, lambda worker, item: {"label": "cat"}))
    return path


def run(database: Path, words: str, *more: str) -> Result:
    # A backup overwrites nothing.
    copy = database.with_name(f"copy-{len([*database.parent.iterdir()])}")
    filled = [word.format(log=database, copy=copy) for word in words.split()]
    result = CliRunner().invoke(command.main, [*filled, *more])
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize(("words", "said"), VERBS.items(), ids=[words.split()[0] for words in VERBS])
def test_work_is_shown_on_a_terminal_alone(
    words: str, said: str, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = run(database, words)
    assert said not in piped.output
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(_NamedTextIOWrapper, "isatty", lambda file: file.name == "<stderr>")
    shown = run(database, words)
    assert said in shown.stderr
    assert said not in shown.stdout
    if "export" not in words:
        assert run(database, words, "--json").stderr == ""
