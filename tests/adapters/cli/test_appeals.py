"""`review --appeals` and the answers to objections, on a log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.control.client import open_control
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.operations.control.requests import AppealRequest
from mephisto_es.events.ids import AgentId, TaskRunId
from mephisto_es.projections.queries.money.pay_ledger import find_untraced
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A log in which ann rejected agents 1 and 2, and their workers objected."""
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(sample_history())
    review(path, 1, "--reject", "agent-1", "--reject", "agent-2", "--note", "too short", "--as", "ann")

    async def object_to() -> None:
        for agent in (1, 2):
            request = AppealRequest(agent=AgentId(agent), objection=f"I am \x1b[31mcertain, says {agent}")
            async with open_control(path, f"worker/{agent}") as control:
                await control.execute(request)

    trio.run(object_to)
    return path


def review(database: Path, *words: str | int) -> Result:
    return CliRunner().invoke(command.main, ["review", str(database), *map(str, words)])


def status(database: Path) -> str:
    return CliRunner().invoke(command.main, ["status", str(database)]).stdout


def test_objections_are_listed_until_they_are_answered(database: Path) -> None:
    assert f"2 unanswered: mephisto-es review {database} --appeals" in status(database)
    shown = review(database, 1, "--appeals").stdout
    assert "agent-1  unit-1  worker-1  worth 0.25  rejected by ann" in shown
    assert 'why "too short"' in shown
    assert "certain, says 2" in shown
    assert "\x1b" not in shown

    # Nobody else has reviewed yet, so ann may answer.
    answered = review(database, 1, "--dismiss-appeal", "agent-1", "--note", "It has one word.", "--as", "ann")
    assert answered.stdout == "agent-1: objection answered, the rejection stands\n"
    accepted = review(database, 1, "--accept-appeal", "agent-2", "--note", "You are right.", "--as", "bob")
    assert accepted.stdout == "agent-2: approved\n"
    assert json.loads(review(database, 1, "--appeals", "--json").stdout) == {"run": "run-1", "appeals": []}
    assert "run-1 has no unanswered objections" in review(database, 1, "--appeals").stdout
    assert "appeals" not in status(database)
    assert replay(database, PROJECTIONS).legal
    with open_as_of(database) as moment:
        assert find_untraced(moment, TaskRunId(1)) == []


def test_the_author_of_a_rejection_does_not_dismiss_the_objection(database: Path) -> None:
    review(database, 1, "--approve", "agent-3", "--as", "bob")
    words = ("--dismiss-appeal", "agent-1", "--note", "no", "--as")
    refused = review(database, 1, *words, "ann")
    assert refused.exit_code == 1
    assert "somebody else: user/bob" in refused.output
    assert review(database, 1, *words, "bob").exit_code == 0
    repeated = review(database, 1, *words, "bob")
    assert repeated.stdout == "agent-1: objection answered, the rejection stands  (recorded before)\n"


def test_an_objection_is_never_dismissed_without_an_answer(database: Path) -> None:
    for note in ((), ("--note", " ")):
        refused = review(database, 1, "--dismiss-appeal", "agent-1", *note)
        assert refused.exit_code == 2
        assert "--dismiss-appeal needs --note with the answer for the worker." in refused.output
