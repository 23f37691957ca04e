"""Answering workers' objections in a browser."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.core.operations.control.requests import AppealRequest
from mephisto_es.events.ids import AgentId
from mephisto_es.projections.registry import PROJECTIONS

from .visitor import Visitor, words_of

PAGE = "/runs/1/appeals"


def statuses(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        found = db.execute("SELECT status FROM agents WHERE agent_id IN (1, 2) ORDER BY agent_id").fetchall()
    return [status for (status,) in found]


async def reject_and_object(visitor: Visitor) -> None:
    """Reject the work of agents 1 and 2, whose workers object."""
    verdicts = {"verdict-1": "rejected", "note-1": "too <i>short</i>", "verdict-2": "rejected", "note-2": "no"}
    await visitor.send("/runs/1/review", verdicts)
    for agent in (1, 2):
        request = AppealRequest(agent=AgentId(agent), objection=f"I am <b>certain</b>, says {agent}")
        assert await visitor.log.execute(request, author=f"worker/{agent}") is None


async def test_objections_are_answered(visitor: Visitor, database: Path) -> None:
    assert "No objection waits for an answer." in await visitor.read(PAGE)
    await reject_and_object(visitor)
    page = await visitor.get(PAGE)
    assert "I am &lt;b&gt;certain&lt;/b&gt;, says 1" in page.text
    assert "too &lt;i&gt;short" in page.text
    assert "rejected by tester" in words_of(page)
    accepted = await visitor.send(PAGE, {"agent": "1", "action": "accept", "answer": "You are right."})
    assert "The work is approved, and to be paid." in words_of(accepted)
    dismissed = await visitor.send(PAGE, {"agent": "2", "action": "dismiss", "answer": "It has one word."})
    assert "The worker reads the answer; the rejection stands." in words_of(dismissed)
    assert "No objection waits for an answer." in words_of(dismissed)
    assert statuses(database) == ["approved", "rejected"]
    assert replay(database, PROJECTIONS).legal


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({"agent": "2", "action": "dismiss", "answer": " "}, 400, "the answer for the worker is missing"),
        ({"agent": "2", "action": "dismiss", "answer": "x" * 2001}, 400, "the limit is 2,000"),
        ({"agent": "two", "action": "accept"}, 400, "'two' is not an agent"),
        ({"agent": "9" * 30, "action": "accept"}, 400, "is not an agent"),
        ({"agent": "2", "action": "forgive"}, 400, "'forgive' is not an answer to an objection"),
        ({"agent": "3", "action": "dismiss", "answer": "no"}, 409, "Nothing was recorded"),
    ],
)
async def test_what_cannot_be_meant(visitor: Visitor, fields: dict[str, str], status: int, sentence: str) -> None:
    await reject_and_object(visitor)
    assert sentence in words_of(await visitor.send(PAGE, fields, status=status))


async def test_an_answer_that_is_refused_is_kept_in_its_form(visitor: Visitor) -> None:
    await reject_and_object(visitor)
    page = await visitor.send(PAGE, {"agent": "2", "action": "dismiss", "answer": "x" * 2001}, status=400)
    assert page.text.count('value="' + "x" * 2001) == 1
    await visitor.post(PAGE, {"agent": "2", "action": "accept"}, status=403)
