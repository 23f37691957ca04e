"""Named reviewers: each logs in with a token, decides under a name, and may do what the role allows."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mephisto_es.adapters.web.access import Access, Role, WebReviewer, read_access, read_reviewers
from mephisto_es.core.errors import ConfigError

from .visitor import Visitor, words_of

REVIEW, WORKER = "/runs/1/review", "/workers/3"
BONUS = {"action": "bonus", "amount": "0.50", "reason": "kind", "bonus_name": "a" * 32}


async def log_in(visitor: Visitor, role: Role) -> None:
    await visitor.post("/login", {"token": f"token of {role.value}", "next": "/"})


def authors(database: Path) -> list[str]:
    """Return the authors of the last events, the latest last."""
    with closing(sqlite3.connect(database)) as db:
        rows = db.execute("SELECT json_extract(data, '$.actor') FROM events ORDER BY seq DESC LIMIT 3").fetchall()
    return [actor for (actor,) in reversed(rows)]


async def test_everybody_has_to_log_in(reviewers: Visitor) -> None:
    assert (await reviewers.get(REVIEW)).url.path == "/login"
    page = await reviewers.post("/login", {"token": "a guess", "next": "/"}, status=403)
    assert "That is not the token." in words_of(page)


async def test_a_viewer_looks_and_decides_nothing(reviewers: Visitor, database: Path) -> None:
    await log_in(reviewers, Role.VIEW)
    before = authors(database)
    page = await reviewers.send(REVIEW, {"verdict-1": "approved"}, status=403)
    assert "You may look at everything here, but not decide" in words_of(page)
    await reviewers.send(WORKER, {"action": "block", "reason": "at random"}, status=403)
    assert authors(database) == before


async def test_the_desk_has_the_same_roles(reviewers: Visitor, database: Path) -> None:
    await log_in(reviewers, Role.VIEW)
    form = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', (await reviewers.get(f"{REVIEW}/desk")).text)
    await reviewers.post(f"{REVIEW}/desk", {**dict(form), "verdict": "approved"}, status=403)
    await reviewers.post(f"{REVIEW}/all", {**dict(form), "count": "30"}, status=403)
    await log_in(reviewers, Role.REVIEW)
    form = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', (await reviewers.get(f"{REVIEW}/desk")).text)
    refused = await reviewers.post(f"{REVIEW}/desk", {**dict(form), "verdict": "approved", "bonus": "1"}, status=403)
    assert "you may review, but not give bonuses" in words_of(refused)
    await reviewers.post(f"{REVIEW}/desk", {**dict(form), "verdict": "approved"})
    assert authors(database)[-1] == "user/reviewer"
    page = await reviewers.get(f"{REVIEW}/all?worker=worker-2")
    form = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    await reviewers.post(f"{REVIEW}/all?worker=worker-2", dict(form))
    assert authors(database) == ["user/reviewer"] * 3


async def test_a_reviewer_decides_under_a_name_and_gives_no_bonus(reviewers: Visitor, database: Path) -> None:
    await log_in(reviewers, Role.REVIEW)
    await reviewers.send(REVIEW, {"verdict-1": "approved"})
    assert authors(database) == ["user/reviewer"] * 3
    said = await reviewers.send(REVIEW, {"verdict-2": "approved", "bonus-2": "0.50"}, status=403)
    assert "you may review, but not give bonuses" in words_of(said)
    await reviewers.send(WORKER, BONUS, status=403)
    await reviewers.send(WORKER, {"action": "block", "reason": "at random"})
    assert authors(database)[-1] == "user/reviewer"


async def test_who_may_pay_gives_bonuses(reviewers: Visitor, database: Path) -> None:
    await log_in(reviewers, Role.PAY)
    await reviewers.send(WORKER, BONUS)
    assert authors(database)[-1] == "user/payer"


async def test_who_is_no_longer_named_is_out(reviewers: Visitor, database: Path) -> None:
    await log_in(reviewers, Role.REVIEW)
    later = Visitor(database, Access(None, {"another": WebReviewer("user/zoe", Role.PAY)}), "127.0.0.1")
    later.client.cookies = reviewers.client.cookies
    assert (await later.get(REVIEW)).url.path == "/login"


def test_tokens_stay_the_same_for_a_name_and_a_log() -> None:
    named = read_reviewers(["ann", "bob:view", "eve:pay"], b"secret")
    assert [(one.author, one.role) for one in named.values()] == [
        ("user/ann", Role.REVIEW),
        ("user/bob", Role.VIEW),
        ("user/eve", Role.PAY),
    ]
    assert read_reviewers(["ann:pay"], b"secret").keys() == {next(iter(named))}
    assert not read_reviewers(["ann"], b"another").keys() & named.keys()
    assert all(len(token) == 32 for token in named)


@pytest.mark.parametrize(
    ("written", "said"),
    [(["ann:boss"], "'boss' is not a role"), (["ann", "ann:pay"], "named twice"), ([":view"], "an author's name has")],
)
def test_what_is_no_reviewer(written: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_reviewers(written, b"secret")


def test_named_reviewers_open_a_server_to_other_machines() -> None:
    access = read_access("0.0.0.0", None, {"token": WebReviewer("user/ann", Role.VIEW)})
    assert access.needs_login
    assert access.reviewer_with("token") == WebReviewer("user/ann", Role.VIEW)
    assert access.reviewer_with("") is None
    assert access.reviewer_named("") is None
