"""Actions on workers in a browser."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from html import unescape
from pathlib import Path

import pytest

from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.registry import PROJECTIONS

from .visitor import Visitor, words_of

PAGE = "/workers/3"


def all_of(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(query).fetchall()


def status(database: Path) -> object:
    return all_of(database, "SELECT status FROM workers WHERE worker_id = 3")[0][0]


def held(database: Path) -> list[tuple[object, ...]]:
    return all_of(
        database,
        "SELECT qualification_name, value FROM granted_qualifications JOIN qualifications USING (qualification_id)"
        " WHERE worker_id = 3 ORDER BY 1",
    )


def head(database: Path) -> object:
    return all_of(database, "SELECT max(seq) FROM events")[0][0]


def bonus(**fields: str) -> dict[str, str]:
    """Return the fields of a bonus form, with some replaced."""
    sent = {"action": "bonus", "amount": "0.50", "unit": "", "reason": "was kind", "bonus_name": "0" * 32}
    return sent | fields


async def test_a_worker_is_blocked_and_unblocked(visitor: Visitor, database: Path) -> None:
    page = await visitor.send(PAGE, {"action": "block", "reason": "answers <at> random"})
    assert "worker-3 is blocked and gets no more work in any run." in words_of(page)
    assert status(database) == "blocked"
    assert "blocked: answers <at> random" in await visitor.read("/explain/worker-3")
    before = head(database)
    await visitor.send(PAGE, {"action": "block", "reason": "twice"})
    assert head(database) == before
    page = await visitor.send(PAGE, {"action": "unblock", "reason": "it was a mistake"})
    assert "worker-3 may work again." in words_of(page)
    assert status(database) == "registered"
    assert replay(database, PROJECTIONS).legal


async def test_qualifications_are_granted_changed_and_revoked(visitor: Visitor, database: Path) -> None:
    assert "Qualifications none" in await visitor.read(PAGE)
    await visitor.send(PAGE, {"action": "grant", "name": "careful <b>", "value": "2"})
    await visitor.send(PAGE, {"action": "grant", "name": "fluent", "value": ""})
    page = await visitor.send(PAGE, {"action": "grant", "name": "careful <b>", "value": "-5"})
    assert "The qualification is granted." in words_of(page)
    assert held(database) == [("careful <b>", -5), ("fluent", 1)]
    assert "<b>-5" not in page.text
    names = [unescape(name) for name in re.findall(r'<option value="([^"]+)"', page.text)]
    assert names == ["careful <b>", "fluent"]
    page = await visitor.send(PAGE, {"action": "revoke", "name": "careful <b>"})
    assert "The qualification is revoked." in words_of(page)
    assert held(database) == [("fluent", 1)]
    page = await visitor.send(PAGE, {"action": "revoke", "name": "careful <b>"}, status=409)
    assert "worker-3 does not have the qualification 'careful <b>'" in words_of(page)
    assert replay(database, PROJECTIONS).legal


async def test_a_bonus_is_owed_once_however_often_its_form_is_sent(visitor: Visitor, database: Path) -> None:
    bonuses = "SELECT bonus_cents, reason FROM agent_bonuses WHERE bonus_cents = 50"
    assert all_of(database, bonuses) == []
    [(unit,)] = all_of(database, "SELECT max(unit_id) FROM agents WHERE worker_id = 3")
    page = await visitor.get(PAGE)
    fields = dict(re.findall(r'name="(form_token|bonus_name)" value="(\w+)"', page.text))
    fields |= bonus(amount="0.50", unit=f"unit-{unit}", reason="saw a <mistake>", bonus_name=fields["bonus_name"])
    for _ in range(2):
        said = await visitor.post(PAGE, fields)
        assert "worker-3 is owed the bonus. The money page of its run pays it, or mephisto-es pay /" in words_of(said)
    assert all_of(database, bonuses) == [(50, "saw a <mistake>")]
    assert fields["bonus_name"] not in (await visitor.get(PAGE)).text
    assert replay(database, PROJECTIONS).legal


async def test_a_bonus_that_makes_no_sense_is_kept_in_its_form(visitor: Visitor, database: Path) -> None:
    before = head(database)
    name = re.findall(r'name="bonus_name" value="(\w+)"', (await visitor.get(PAGE)).text)[0]
    fields = bonus(amount="0.50", unit="unit-99999", reason="what for", bonus_name=name)
    page = await visitor.send(PAGE, fields, status=409)
    assert "Nothing was recorded: worker-3 has not worked on unit-99999." in words_of(page)
    assert page.text.count('value="what for"') == 1
    assert head(database) == before


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"action": "block", "reason": "  "}, "Nothing was recorded: the reason is missing."),
        ({"action": "block", "reason": "x" * 501}, "the reason has 501 characters; the limit is 500"),
        ({"action": "grant", "name": "", "value": "1"}, "the name is missing"),
        ({"action": "grant", "name": "careful", "value": "very"}, "the value is 'very', which is not a whole number"),
        ({"action": "grant", "name": "careful", "value": "10000000000"}, "the limit is 1,000,000,000"),
        (bonus(amount="much"), "amount is 'much', which is not an amount of money"),
        (bonus(unit="unit-x"), "the unit is 'unit-x': there is no unit 'unit-x'"),
        (bonus(reason=" "), "the reason is missing"),
        (bonus(bonus_name="mine"), "This bonus has no name; reload the page"),
        ({"action": "pay"}, "'pay' is not an action on a worker"),
        ({}, "'' is not an action on a worker"),
    ],
)
async def test_what_cannot_be_meant(fields: dict[str, str], sentence: str, visitor: Visitor, database: Path) -> None:
    before = head(database)
    page = await visitor.send(PAGE, fields, status=400)
    assert sentence in words_of(page)
    assert head(database) == before


async def test_what_was_typed_is_kept_where_it_was_typed(visitor: Visitor) -> None:
    page = await visitor.send(PAGE, {"action": "grant", "name": "careful", "value": "very"}, status=400)
    assert 'list="known" autocapitalize="none" autocomplete="off" value="careful"' in page.text
    assert 'name="reason" required maxlength="500" value=""' in page.text


async def test_not_while_an_operator_is_at_work(visitor: Visitor, database: Path) -> None:
    with SqliteLog.create_or_open(database, PROJECTIONS):
        page = await visitor.send(PAGE, {"action": "block", "reason": "kept for the next try"}, status=409)
    assert "The program that has the log open takes no decisions from others" in words_of(page)
    assert "kept for the next try" in page.text
    assert status(database) == "registered"


async def test_nobody_else_can_send_the_forms(visitor: Visitor, stranger: Visitor, database: Path) -> None:
    before = head(database)
    for fields in (
        {"action": "block", "reason": "spite"},
        {"action": "grant", "name": "careful"},
        {"action": "revoke", "name": "careful"},
        {"action": "bonus", "amount": "5", "reason": "spite", "bonus_name": "0" * 32},
    ):
        await visitor.get("/")
        for token in ({}, {"form_token": ""}, {"form_token": "0" * 64}):
            page = await visitor.post(PAGE, {**fields, **token}, status=403)
            assert "This form does not belong to your session" in words_of(page)
        await stranger.post(PAGE, fields, status=403)
    tokens = re.findall(r'name="form_token" value="(\w+)"', (await visitor.get(PAGE)).text)
    assert len(tokens) == 3
    visitor.client.cookies.clear()
    await visitor.post(PAGE, {"action": "block", "reason": "spite", "form_token": tokens[0]}, status=403)
    assert head(database) == before


async def test_each_button_can_be_reached_and_says_what_it_does(visitor: Visitor) -> None:
    await visitor.send(PAGE, {"action": "grant", "name": "fluent", "value": "1"})
    page = await visitor.get(PAGE)
    buttons = re.findall(r'<button[^>]*name="action" value="(\w+)"[^>]*>(.*?)</button>', page.text)
    assert [(action, re.sub("<[^>]+>", "", words)) for action, words in buttons] == [
        ("block", "Block this worker"),
        ("revoke", "Revoke fluent"),
        ("grant", "Grant"),
        ("bonus", "Give the bonus"),
    ]
    assert "tabindex=" not in page.text.partition("<main")[2].partition(">")[2]


@pytest.mark.parametrize(("worker", "name"), [("99", "worker-99"), (str(2**63), f"worker {2**63}")])
async def test_a_worker_that_is_not_there(worker: str, name: str, visitor: Visitor) -> None:
    assert f"there is no {name}" in await visitor.read(f"/workers/{worker}", status=404)


async def test_it_is_found_from_where_workers_are_shown(visitor: Visitor) -> None:
    for address in ("/runs/1/workers", "/timeline/worker-3", "/explain/worker-3"):
        assert f'href="{PAGE}"' in (await visitor.get(address)).text, address
    assert f'href="{PAGE}"' not in (await visitor.get("/timeline/agent-3")).text
