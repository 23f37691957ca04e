"""The verb that has a crowd site pass on a message, where nobody can; `test_site_messages.py` has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.projections.registry import PROJECTIONS

from ...history_search import find_history, holders


@pytest.fixture
def database(tmp_path: Path) -> Path:
    history = find_history(600, lambda state: bool(holders(state, AgentStatus.COMPLETED)))
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit(history)
    return tmp_path / "mephisto.db"


@pytest.mark.parametrize("options", [[], ["--request-return"]])
def test_a_provider_that_is_not_installed_is_named_and_nothing_is_written(database: Path, options: list[str]) -> None:
    with LogReader(database) as reader:
        head, agent = (
            reader.head(),
            reader.connect().execute("SELECT min(agent_id) FROM agents").fetchone()[0],
        )
    result = CliRunner().invoke(command.main, ["message", str(database), f"agent-{agent}", "Thank you!", *options])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "which is not installed here. If its launch script defines it, name the script" in result.stderr
    assert "Traceback" not in result.stderr
    with LogReader(database) as reader:
        assert reader.head() == head


def test_an_agent_is_asked_for(database: Path) -> None:
    result = CliRunner().invoke(command.main, ["message", str(database), "unit-1", "Thank you!"])
    assert result.exit_code == 2
    assert "agent" in result.stderr
