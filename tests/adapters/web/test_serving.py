"""The serving command as a process: address, live updates, shutdown."""

from __future__ import annotations

import json
import re
import signal
import socket
from pathlib import Path

import httpx
import pytest
import trio
from click.testing import CliRunner

from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.forms import FORM_BYTES
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import DONE, RUN, sample_history
from .conftest import TOKEN
from .process import GIVE_UP_SECONDS, served


async def test_a_run_goes_on_in_an_open_page(tmp_path: Path) -> None:
    database = tmp_path / "mephisto.db"
    *earlier, last = sample_history()
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(earlier[:-4])
        async with served(database) as (process, address), httpx.AsyncClient(timeout=GIVE_UP_SECONDS) as client:
            async with client.stream("GET", f"{address}/runs/{RUN}/live") as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                news = (json.loads(line[6:]) async for line in response.aiter_lines() if line.startswith("data: "))
                first = await anext(news)
                assert first["seq"] == log.head().seq
                assert "Units done" in first["html"]
                for request in (*earlier[-4:], last):
                    log.commit([request])
                seen = first
                while seen["seq"] < log.head().seq:
                    seen = await anext(news)
                assert re.search(rf"{DONE} <small>of", seen["html"])
                # The page is open, and still the server ends at once.
                process.send_signal(signal.SIGINT)
                assert [one async for one in news] == []
            assert await process.wait() == 0


async def test_an_address_of_others_is_served_with_a_token(database: Path, tmp_path: Path) -> None:
    token = trio.Path(tmp_path / "token")
    await token.write_text(TOKEN)
    async with served(database, "--host", "0.0.0.0", "--token-file", str(token)) as (process, address):
        address = address.replace("0.0.0.0", "127.0.0.1")
        arguments = await trio.Path(f"/proc/{process.pid}/cmdline").read_text()
        assert TOKEN not in arguments
        async with httpx.AsyncClient(base_url=address, follow_redirects=True) as client:
            assert "Token" in (await client.get("/")).text
            entered = await client.post("/login", data={"token": TOKEN, "next": f"/runs/{RUN}"})
            assert f"run-{RUN}" in entered.text
            assert (await client.post("/login", content=b"x" * (FORM_BYTES + 1))).status_code == 413
            proxied = await client.post(
                "/login", data={"token": TOKEN}, headers={"x-forwarded-proto": "https"}, follow_redirects=False
            )
            assert proxied.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines, and no token is required. Write a long"),
        (["--host", "no such host"], "no such host can be reached from other machines"),
        (["--token-file", "nowhere/token"], "the token in nowhere/token cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_served_is_a_sentence(options: list[str], sentence: str, database: Path) -> None:
    result = CliRunner().invoke(main, ["serve", str(database), *options])
    assert result.exit_code == 2
    assert result.stderr.startswith("mephisto-es serve: ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_port_that_is_taken(database: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", str(database), "--port", str(port)])
    assert result.exit_code == 2
    assert f"cannot listen on port {port} of 127.0.0.1: Address already in use" in result.stderr


def test_a_file_that_is_no_log_is_not_served(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["serve", str(tmp_path / "nothing.db")])
    assert result.exit_code == 2
    assert result.stderr == f"mephisto-es serve: there is no log at {tmp_path / 'nothing.db'}; check the path\n"


def test_help_shows_examples() -> None:
    assert "mephisto-es serve mephisto_data" in CliRunner().invoke(main, ["serve", "--help"]).stdout
