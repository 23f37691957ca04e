"""The task's own page with the answer in it, and verdicts that are taken back."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path

import httpx
import pytest

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.access import SESSION_SECONDS, Access
from mephisto_es.adapters.web.task_page import PageKind, origins_in, task_page
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import RUN, picture_history
from .conftest import TOKEN
from .visitor import Visitor, words_of

DESK = f"/runs/{RUN}/review/desk"


def frame_of(page: httpx.Response) -> str:
    """Return the address of the frame on the desk."""
    (address,) = re.findall(r'data-src="([^"]+)"', page.text)
    return unescape(address)


def facts_of(frame: httpx.Response) -> dict[str, object]:
    """Return what the scripts in a frame are told."""
    (text,) = re.findall(r'id="facts" nonce="[^"]+">(.*?)</script>', frame.text)
    facts: dict[str, object] = json.loads(text)
    return facts


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[Visitor]:
    """Return a visitor to a run with pictures."""
    folder = tmp_path / "pictures" / "img"
    folder.mkdir(parents=True)
    (folder / "0.svg").write_text("<svg/>")
    database = tmp_path / "pictures.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(picture_history(str(folder.parent), 2))
    visitor = Visitor(database, Access(None), "127.0.0.1")
    yield visitor
    visitor.log.close()


async def test_the_desk_hands_the_work_to_a_frame_without_rights(pictures: Visitor) -> None:
    desk = await pictures.get(DESK)
    assert 'sandbox="allow-scripts"' in desk.text
    (work,) = re.findall(r'id="work">(.*?)</script>', desk.text)
    assert json.loads(work)["REVIEW_DATA"]["outputs"] == {"label": "dog"}
    frame = await pictures.get(frame_of(desk))
    policy = frame.headers["content-security-policy"]
    for right in ("sandbox allow-scripts;", "connect-src 'none'", "form-action 'none'", "default-src 'none'"):
        assert right in policy
    assert "unsafe-eval" not in policy
    assert facts_of(frame)["form"] == [{"name": "label", "type": "text", "label": "What is in the picture?"}]


async def test_a_frame_gets_no_session_and_needs_none(pictures: Visitor) -> None:
    address = frame_of(await pictures.get(DESK))
    pictures.client.cookies.clear()
    for path in (address, address.rpartition("/")[0] + "/media/img/0.svg"):
        assert "set-cookie" not in (await pictures.get(path)).headers
    picture = await pictures.get(address.rpartition("/")[0] + "/media/img/0.svg")
    assert picture.text == "<svg/>"
    assert picture.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_the_address_of_a_frame_opens_one_run_for_some_time(pictures: Visitor) -> None:
    address = frame_of(await pictures.get(DESK))
    token = address.split("/")[2]
    for forged in (token[:-1] + "x", "1", f"soon.{token}", token.replace("1", "2", 1)):
        assert "expired" in words_of(await pictures.get(address.replace(token, forged), status=403))
    assert "expired" in words_of(await pictures.get(address.replace(f"/{RUN}/", "/9/"), status=403))
    pictures.now += SESSION_SECONDS + 3600
    assert "expired" in words_of(await pictures.get(address, status=403))


async def test_nothing_but_the_files_of_the_page_is_sent(pictures: Visitor, tmp_path: Path) -> None:
    (tmp_path / "secret.svg").write_text("secret")
    base = frame_of(await pictures.get(DESK)).rpartition("/")[0]
    (tmp_path / "pictures" / ".hidden").write_text("hidden")
    for path in ("media/..%2fsecret.svg", "media/.hidden", "nothing.js", "media/img", "..%2f..%2fpictures.db"):
        assert "no such file" in words_of(await pictures.get(f"{base}/{path}", status=404))
    for script in ("review_stock.js", "form.js", "static_task_page.css"):
        assert (await pictures.get(f"{base}/{script}")).headers["access-control-allow-origin"] == "*"


async def test_an_answer_cannot_end_the_element_that_it_is_in(pictures: Visitor) -> None:
    database = pictures.log.database
    with closing(sqlite3.connect(database)) as db:
        db.execute("UPDATE payloads SET body = ? WHERE body = ?", (b'{"label":"</script><b>"}', b'{"label":"dog"}'))
        db.commit()
    desk = await pictures.get(DESK)
    assert "</script><b>" not in desk.text
    (work,) = re.findall(r'id="work">(.*?)</script>', desk.text)
    assert json.loads(work)["REVIEW_DATA"]["outputs"] == {"label": "</script><b>"}


# Pages of tasks


def configured(**blueprint: object) -> str:
    return json.dumps({"blueprint": blueprint, "task": {"task_title": "Birds", "task_description": "Look."}})


def test_html_files_are_shown_as_they_were_served(tmp_path: Path) -> None:
    own = tmp_path / "task.html"
    own.write_text("changed since")
    config = configured(task_source=str(own), html_fields=["story"])
    page = task_page("static_task", "birds", config, tmp_path / "runs" / "1")
    assert page is not None
    assert (page.kind, page.source) == (PageKind.HTML, own)
    served = tmp_path / "runs" / "1" / "static"
    served.mkdir(parents=True)
    (served / "task.html").write_text("as served")
    page = task_page("static_task", "birds", config, tmp_path / "runs" / "1")
    assert page is not None
    assert page.source == served / "task.html"
    assert page.facts == {"title": "Birds", "html_fields": ["story"]}


def test_a_page_for_reviews_comes_first(tmp_path: Path) -> None:
    bundle, html = tmp_path / "review.js", tmp_path / "review.html"
    config = configured(task_source="bundle.js", task_source_review=str(bundle))
    assert task_page("static_react_task", "birds", config, tmp_path) is None, "it is not on this machine"
    bundle.write_text("let it;")
    page = task_page("static_react_task", "birds", config, tmp_path)
    assert page is not None
    assert page.kind is PageKind.BUNDLE
    assert page.file("review_bundle.js") == bundle
    html.write_text("<p>${text}</p>")
    page = task_page("static_task", "birds", configured(task_source="x", task_source_review=str(html)), tmp_path)
    assert page is not None
    assert page.source == html


@pytest.mark.parametrize(
    ("task_type", "config"),
    [
        ("paired_chat", configured()),
        ("static_react_task", configured(task_source="bundle.js")),
        ("static_task", configured(task_source="gone.html")),
        ("static_task", "{}"),
        ("static_task", "[]"),
    ],
)
def test_other_tasks_have_no_page_for_reviews(task_type: str, config: str, tmp_path: Path) -> None:
    assert task_page(task_type, "birds", config, tmp_path) is None


def test_only_hosts_in_the_data_may_be_asked_for_media() -> None:
    data = {
        "clip": "https://media.example.org/a.mp4",
        "more": ["http://10.0.0.1:8080/b.png", {"deep": "https://media.example.org/c.png"}],
        "trap": "https://evil.example.org;script-src/x.js",
        "broken": "https://[::1",
        "text": "see https://elsewhere.example.org",
        "number": 7,
    }
    assert origins_in(data) == {"https://media.example.org", "http://10.0.0.1:8080"}


# Undo


def statuses(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        return [status for (status,) in db.execute("SELECT status FROM units ORDER BY unit_id")]


def hidden(page: httpx.Response) -> dict[str, str]:
    form = page.text[page.text.index('id="decide"') :]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


async def test_a_verdict_is_taken_back_and_given_again(pictures: Visitor) -> None:
    database = pictures.log.database
    page = await pictures.get(DESK)
    first = hidden(page)
    for _ in range(2):
        page = await pictures.post(DESK, {**hidden(page), "verdict": "approved", "bonus": "0.10", "note": "fine"})
        assert statuses(database)[0] == "accepted"
        assert f"Undo the verdict on agent-{first['agent']}" in words_of(page)
        undo = {"form_token": first["form_token"], "undo": first["agent"], "unit": first["unit"]}
        page = await pictures.post(DESK, undo)
        assert "The verdict is taken back." in words_of(page)
        assert hidden(page)["unit"] == first["unit"]
        assert set(statuses(database)) == {"completed"}
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT count(*) FROM unit_review").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM agent_bonuses").fetchone() == (0,)
    refused = await pictures.post(DESK, undo, status=409)
    assert "Nothing was changed: agent-" in words_of(refused)
    assert "there is no verdict to take back" in words_of(refused)


async def test_work_with_a_verdict_offers_to_take_it_back(pictures: Visitor) -> None:
    page = await pictures.get(DESK)
    await pictures.post(DESK, {**hidden(page), "verdict": "rejected", "note": "copied"})
    page = await pictures.get(f"{DESK}?status=rejected")
    assert "Undo the verdict on agent-1" in words_of(page)


async def test_frames_are_behind_the_login(tmp_path: Path) -> None:
    database = tmp_path / "pictures.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(picture_history(str(tmp_path), 1))
    stranger = Visitor(database, Access(TOKEN), "lab.example.org")
    assert "expired" in words_of(await stranger.get(f"/task_page/1.x/{RUN}/review-1.html", status=403))
    stranger.log.close()
