"""Work that two reviewers look at: second opinions, and those that differ."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from mephisto_es.adapters.web.access import Access, Role, WebReviewer

from ...sample_log import RUN
from .visitor import Visitor, words_of

DESK = f"/runs/{RUN}/review/desk"
TOKENS = {"token of ann": "user/ann", "token of bob": "user/bob"}


def form_of(page: httpx.Response) -> dict[str, str]:
    """Return the hidden fields of the form for a verdict."""
    form = page.text[page.text.index('id="decide"') :]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


@asynccontextmanager
async def logged_in(database: Path, token: str) -> AsyncIterator[Visitor]:
    """Log a named reviewer in."""
    reviewers = {token: WebReviewer(author, Role.PAY) for token, author in TOKENS.items()}
    visitor = Visitor(database, Access(None, reviewers), "127.0.0.1")
    await visitor.post("/login", {"token": token})
    try:
        yield visitor
    finally:
        visitor.log.close()


async def test_reviewers_agree_or_differ_and_then_somebody_decides(database: Path) -> None:
    async with logged_in(database, "token of ann") as ann, logged_in(database, "token of bob") as bob:
        agents = []
        page = await ann.get(DESK)
        for _ in range(2):
            agents.append(form_of(page)["agent"])
            page = await ann.post(
                DESK, {**form_of(page), "verdict": "approved", "second_opinion": "1", "note": "I think"}
            )
            assert "Your opinion is recorded; nothing is decided yet." in words_of(page)
            assert form_of(page)["agent"] not in agents
        assert "There is no unreviewed work here." in await ann.read(f"{DESK}?opinions=one"), "her own opinions"
        page = await bob.get(f"{DESK}?opinions=one")
        assert "I think" not in words_of(page), "the second reviewer is not influenced"
        page = await bob.post(f"{DESK}?opinions=one", {**form_of(page), "verdict": "approved"})
        assert "The verdict is recorded." in words_of(page)
        page = await bob.post(f"{DESK}?opinions=one", {**form_of(page), "verdict": "rejected", "note": "copied"})
        assert "Your opinion is recorded; nothing is decided yet." in words_of(page)
        page = await ann.get(f"{DESK}?opinions=differ")
        said = words_of(page)
        assert "Reviewers differ user/ann would approve: I think user/bob would reject: copied" in said
        assert form_of(page)["agent"] == agents[1]
        page = await ann.post(f"{DESK}?opinions=differ", {**form_of(page), "verdict": "rejected", "note": "copied"})
        assert "The verdict is recorded." in words_of(page)
        assert "There is no unreviewed work here." in words_of(page)
