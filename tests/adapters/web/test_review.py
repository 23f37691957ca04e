"""Recording verdicts in a browser."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.pages.reviewing.review import PAGE_UNITS
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import RUN
from .visitor import Visitor, words_of


def all_of(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(query).fetchall()


def waiting(database: Path) -> list[int]:
    """Return the agents whose work is unreviewed."""
    return [int(str(agent)) for (agent,) in all_of(database, "SELECT agent_id FROM units WHERE status = 'completed'")]


def status_of(database: Path, agent: int) -> object:
    return all_of(database, f"SELECT status FROM agents WHERE agent_id = {agent}")[0][0]


def head(database: Path) -> object:
    return all_of(database, "SELECT max(seq) FROM events")[0][0]


async def test_verdicts_are_recorded(visitor: Visitor, database: Path) -> None:
    first, second, third, *_ = waiting(database)
    verdicts = {
        f"verdict-{first}": "approved",
        f"bonus-{first}": "0.50",
        f"note-{first}": "well <b>done</b>",
        f"verdict-{second}": "rejected",
        f"note-{second}": "copied",
        f"verdict-{third}": "",
        f"note-{third}": "of no use without a verdict",
    }
    page = await visitor.send(f"/runs/{RUN}/review", verdicts)
    assert "2 verdicts are recorded." in words_of(page)
    assert [status_of(database, agent) for agent in (first, second, third)] == ["approved", "rejected", "completed"]
    reviewed = all_of(database, "SELECT status, review_note, bonus FROM unit_review ORDER BY id DESC LIMIT 2")
    assert reviewed == [("rejected", "copied", None), ("approved", "well <b>done</b>", 50)]
    accepted = await visitor.get(f"/runs/{RUN}/review?status=accepted")
    assert "bonus 0.50" in words_of(accepted)
    assert "well &lt;b&gt;done" in accepted.text
    corrected = await visitor.send(f"/runs/{RUN}/review?status=rejected", {f"verdict-{second}": "approved"})
    assert "The verdict is recorded." in words_of(corrected)
    assert status_of(database, second) == "approved"
    assert replay(database, PROJECTIONS).legal


async def test_work_is_shown_by_the_page(visitor: Visitor, database: Path) -> None:
    agents = waiting(database)
    seen: list[int] = []
    address: str | None = f"/runs/{RUN}/review"
    while address:
        page = await visitor.get(address)
        shown = [int(agent) for agent in re.findall(r'data-agent="(\d+)"', page.text)]
        assert 0 < len(shown) <= PAGE_UNITS
        seen += shown
        following = re.search(r'href="([^"]+)">Skip to the next page', page.text)
        address = following[1].replace("&amp;", "&") if following else None
    assert seen == agents


async def test_not_while_an_operator_is_at_work(visitor: Visitor, database: Path) -> None:
    first, *_ = waiting(database)
    with SqliteLog.create_or_open(database, PROJECTIONS):
        verdict = {f"verdict-{first}": "approved", f"note-{first}": "kept for the next try"}
        page = await visitor.send(f"/runs/{RUN}/review", verdict, status=409)
    said = words_of(page)
    assert "is being written by process" in said
    assert "The program that has the log open takes no decisions from others" in said
    assert "kept for the next try" in page.text
    assert status_of(database, first) == "completed"


async def test_one_refusal_does_not_stop_the_other_verdicts(visitor: Visitor, database: Path) -> None:
    first, second, *_ = waiting(database)
    await visitor.send(f"/runs/{RUN}/review", {f"verdict-{second}": "approved"})
    verdicts = {f"verdict-{first}": "soft_rejected", f"verdict-{second}": "rejected"}
    page = await visitor.send(f"/runs/{RUN}/review", verdicts, status=409)
    assert f"1 of 2 verdicts are recorded; agent-{second} was refused: " in words_of(page)
    assert [status_of(database, agent) for agent in (first, second)] == ["soft_rejected", "approved"]


@pytest.mark.parametrize(
    ("verdict", "bonus", "sentence"),
    [
        ("", "", "No verdict was chosen."),
        ("approved", "much", "the bonus of agent-{agent} is 'much', which is not an amount of money"),
        ("approved", "-1", "cannot be paid"),
        ("rejected", "", "agent-{agent} is not rejected: a rejection needs a note with its reason"),
        ("rejected", "1", "a bonus of 100 cents does not go with work that is rejected"),
        ("splendid", "", "verdict-{agent} is 'splendid', which is not a verdict on an agent"),
    ],
)
async def test_what_is_no_verdict(verdict: str, bonus: str, sentence: str, visitor: Visitor, database: Path) -> None:
    agent, *_ = waiting(database)
    before = head(database)
    fields = {f"verdict-{agent}": verdict, f"bonus-{agent}": bonus, f"note-{agent}": "a note" if bonus else ""}
    page = await visitor.send(f"/runs/{RUN}/review", fields, status=409 if verdict == "rejected" else 400)
    assert sentence.format(agent=agent) in words_of(page)
    assert head(database) == before


async def test_nobody_else_can_send_the_form(visitor: Visitor, stranger: Visitor, database: Path) -> None:
    agent, *_ = waiting(database)
    before = head(database)
    fields = {f"verdict-{agent}": "approved"}
    await visitor.get("/")
    for token in ({}, {"form_token": ""}, {"form_token": "0" * 64}):
        page = await visitor.post(f"/runs/{RUN}/review", {**fields, **token}, status=403)
        assert "This form does not belong to your session" in words_of(page)
    await stranger.post(f"/runs/{RUN}/review", fields, status=403)
    (shown,) = re.findall(r'name="form_token" value="(\w+)"', (await visitor.get(f"/runs/{RUN}/review")).text)
    visitor.client.cookies.clear()
    await visitor.post(f"/runs/{RUN}/review", {**fields, "form_token": shown}, status=403)
    assert head(database) == before


async def test_a_form_has_so_many_fields(visitor: Visitor) -> None:
    many = {f"note-{number}": "" for number in range(1001)}
    await visitor.post(f"/runs/{RUN}/review", many, status=400)
