"""Logging in, sessions, and protection against requests from other sites."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from mephisto_es.adapters.web.access import OWNER, SESSION_SECONDS, Sessions, read_access
from mephisto_es.core.errors import ConfigError

from .conftest import TOKEN
from .visitor import Visitor, words_of


def file_with(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "token"
    path.write_text(text)
    return path


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "::1", "[::1]", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert read_access(host, None).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "lab.example.org", "localhost.example.org", ""])
def test_any_other_address_does(host: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can be reached from other machines.*--token-file"):
        read_access(host, None)
    access = read_access(host, file_with(tmp_path, f"{TOKEN}\n"))
    assert access.reviewer_with(TOKEN) == OWNER
    assert access.reviewer_with(TOKEN[:-1]) is None
    assert access.reviewer_with("") is None


@pytest.mark.parametrize(
    ("text", "sentence"), [("", "0 characters"), ("short", "5 characters"), (None, "cannot be read: No such file")]
)
def test_a_token_that_cannot_be_used(text: str | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "nothing" if text is None else file_with(tmp_path, text)
    with pytest.raises(ConfigError, match=sentence):
        read_access("0.0.0.0", path)


def test_sessions_end_and_cannot_be_made_up() -> None:
    now = [0.0]
    sessions = Sessions(b"key", lambda: now[0])
    session = sessions.open()
    assert sessions.is_open(session)
    assert session != sessions.open()
    assert not Sessions(b"another key", lambda: now[0]).is_open(session)
    name, author, _, signature = session.split(".")
    for made_up in ("", ".", "a.b.c", session[:-1], f"{name}.{author}.{10**12}.{signature}", "ü.1.é"):
        assert not sessions.is_open(made_up)
    assert sessions.is_form_token(session, sessions.form_token(session))
    assert not sessions.is_form_token(sessions.open(), sessions.form_token(session))
    now[0] = SESSION_SECONDS
    assert not sessions.is_open(session)


async def test_logging_in_and_out(stranger: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    page = await stranger.get("/runs/7/units?status=completed")
    assert page.url.path == "/login"
    assert "run" not in words_of(page).lower().replace("mephisto-es serve", "")
    wrong = await stranger.post("/login", {"token": "a guess that is long enough", "next": "/"}, status=403)
    assert "That is not the token." in words_of(wrong)
    assert "set-cookie" not in wrong.headers
    entered = await stranger.post(str(page.url), {"token": TOKEN, "next": "/?seq=5"})
    assert (entered.url.path, entered.url.query) == ("/", b"seq=5")
    (cookie,) = entered.history[0].headers.get_list("set-cookie")
    assert re.search(r"^mephisto_es_8000=.*; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax$", cookie)
    assert (await stranger.get("/runs/7", status=404)).url.path == "/runs/7"
    assert TOKEN not in caplog.text


async def test_leaving(stranger: Visitor) -> None:
    page = await stranger.post("/login", {"token": TOKEN, "next": "/"})
    (form_token,) = re.findall(r'name="form_token" value="(\w+)"', page.text)
    await stranger.post("/logout", {"form_token": "made up"}, status=403)
    assert (await stranger.get("/")).url.path == "/"
    assert (await stranger.post("/logout", {"form_token": form_token})).url.path == "/login"
    assert (await stranger.get("/")).url.path == "/login"


async def test_a_session_ends(stranger: Visitor) -> None:
    await stranger.post("/login", {"token": TOKEN, "next": "/"})
    stranger.now += SESSION_SECONDS - 1
    assert (await stranger.get("/")).url.path == "/"
    stranger.now += 1
    assert (await stranger.get("/")).url.path == "/login"
    refused = await stranger.post("/runs/1/review", {}, status=403)
    assert "Your session has ended" in words_of(refused)


@pytest.mark.parametrize("address", ["//evil.example.org", "https://evil.example.org", "/\\evil.example.org", ""])
async def test_logging_in_leads_nowhere_else(address: str, stranger: Visitor) -> None:
    entered = await stranger.post("/login", {"token": TOKEN, "next": address})
    assert (entered.url.host, entered.url.path) == ("lab.example.org", "/")


@pytest.mark.parametrize("address", ["/", "/runs/1", "/runs/1/live", "/runs/1/export.csv", "/timeline/run-1"])
async def test_nothing_is_told_without_the_token(address: str, stranger: Visitor) -> None:
    assert (await stranger.get(address)).url.path == "/login"


async def test_a_name_that_leads_to_this_machine_is_not_this_machine(visitor: Visitor) -> None:
    for host in ("evil.example.org", "evil.example.org:8000", "localhost.evil.example.org", "", "]["):
        page = await visitor.client.get("/", headers={"host": host})
        assert page.status_code == 421
        assert "set-cookie" not in page.headers
    for host in ("localhost:9999", "127.0.0.1", "[::1]:8000"):
        assert (await visitor.client.get("/", headers={"host": host})).status_code == 200


async def test_what_browsers_are_told(visitor: Visitor) -> None:
    for address, status in (("/", 200), ("/nothing", 404), ("/static/style.css", 200)):
        headers = (await visitor.get(address, status=status)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


async def test_pages_need_nothing_that_the_policy_forbids(visitor: Visitor) -> None:
    for address in ("/", "/nothing", "/login"):
        text = (await visitor.client.get(address)).text
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", text)


async def test_static_files_are_only_those(visitor: Visitor) -> None:
    for address in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/templates/base.html"):
        assert (await visitor.client.get(address)).status_code == 404
