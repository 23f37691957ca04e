"""The router as a process: how it is started, what it says, how it ends."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import NO_TLS, PATIENCE_SECONDS, START_SECONDS, Data, RouterKind


def test_it_binds_an_address_itself_and_says_so(kind: RouterKind, make_router: MakeRouter) -> None:
    environment = make_router().environment() | {"HOST": "127.0.0.1", "PORT": "0"}
    del environment["MEPHISTO_ROUTER_FD"]

    with subprocess.Popen(
        kind.command, cwd=kind.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        url = msgspec.json.decode(process.stdout.readline(), type=dict[str, str])["listening"]
        answer = httpx.get(f"{url}/is_alive", timeout=START_SECONDS, verify=NO_TLS)
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        status = process.wait(PATIENCE_SECONDS)

    assert url.startswith("http://127.0.0.1:")
    assert answer.json() == {"status": "Alive!"}
    assert (status, rest) == (0, b"")


def test_the_secret_may_come_in_a_file(make_router: MakeRouter, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    router = make_router(secret_file=secret)
    router.secret = ""
    router.start()

    answer = httpx.get(
        f"{router.url}/counters",
        headers={"Authorization": "Bearer from a file"},
        timeout=PATIENCE_SECONDS,
        verify=NO_TLS,
    )

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"MEPHISTO_ROUTER_SECRET": None}, "MEPHISTO_ROUTER_SECRET"),
        ({"MEPHISTO_ROUTER_SECRET": ""}, "MEPHISTO_ROUTER_SECRET"),
        ({"MEPHISTO_ROUTER_SECRET": None, "MEPHISTO_ROUTER_SECRET_FILE": "/not/there"}, "/not/there"),
        ({"MEPHISTO_ROUTER_STATIC": "/not/there"}, "/not/there"),
        ({"MEPHISTO_ROUTER_DATA": None}, "MEPHISTO_ROUTER_DATA"),
        ({"MEPHISTO_ROUTER_DATA": "/dev/null/data"}, "/dev/null/data"),
        ({"MEPHISTO_ROUTER_MAX_BODY_BYTES": "many"}, "MEPHISTO_ROUTER_MAX_BODY_BYTES"),
        ({"MEPHISTO_ROUTER_MAX_SOCKETS": "-1"}, "MEPHISTO_ROUTER_MAX_SOCKETS"),
        ({"MEPHISTO_ROUTER_ORPHAN_SECONDS": ""}, "MEPHISTO_ROUTER_ORPHAN_SECONDS"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    make_router: MakeRouter, changes: dict[str, str | None], word: str
) -> None:
    router = make_router()

    status, output, complaint = router.run_to_the_end(**changes)

    assert status == 2
    assert output == ""
    assert word in complaint
    assert "Traceback" not in complaint
    assert "    at " not in complaint
    assert router.secret not in complaint


def test_an_address_in_use_is_said(make_router: MakeRouter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, output, complaint = make_router().run_to_the_end(MEPHISTO_ROUTER_FD=None, HOST="127.0.0.1", PORT=port)

    assert status == 2
    assert output == ""
    assert port in complaint


async def test_it_ends_when_told_to(make_router: MakeRouter, make_harness: MakeHarness, nursery: trio.Nursery) -> None:
    router = make_router()
    router.start()
    harness = make_harness(router)
    operator = await harness.operator({"a": "in task"})
    page = await harness.page("a")
    answers: list[httpx.Response] = []
    answered = trio.Event()

    async def ask() -> None:
        answers.append(await harness.request_agent())
        answered.set()

    nursery.start_soon(ask)
    await operator.expect("register_agent")

    status = await trio.to_thread.run_sync(router.stop, signal.SIGTERM)

    assert status == 0
    # Nobody is left hanging.
    with trio.fail_after(PATIENCE_SECONDS):
        await answered.wait()
    assert answers[0].json()["data"]["agent_id"] is None
    assert await page.closing_code() in (1001, 1012)
    assert await operator.closing_code() in (1001, 1012)


async def test_it_ends_when_no_operator_comes(make_router: MakeRouter, make_harness: MakeHarness) -> None:
    router = make_router(orphan_seconds=1.5)
    # The operator waits for the router, which has nobody to wait for at first.
    process = router.process = router.launch()
    harness = make_harness(router)
    operator = await harness.operator({})
    await trio.sleep(1.6)
    # It stays for as long as an operator is there.
    await operator.settled()
    await operator.close()

    assert await trio.to_thread.run_sync(process.wait, PATIENCE_SECONDS) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="a process's command line is read from /proc")
async def test_the_secret_shows_nowhere(make_router: MakeRouter, make_harness: MakeHarness, tmp_path: Path) -> None:
    router = make_router()
    with (tmp_path / "stderr").open("wb") as stderr:
        router.stderr = stderr
        router.start()
    process = router.process
    assert process is not None
    harness = make_harness(router)
    await harness.operator({"a": "in task"})
    intruder = await harness.socket()
    await intruder.send("alive", "mephisto", {"token": "guess " + router.secret})
    await intruder.closing_code()
    await harness.http.get("/download_file/x", headers={"Authorization": "Basic " + router.secret})
    await harness.submit("a", 1)

    command_line = await trio.Path(f"/proc/{process.pid}/cmdline").read_bytes()
    router.stop()

    log = (tmp_path / "stderr").read_text()
    kept = [path for path in router.data.rglob("*") if path.is_file()]
    assert router.secret.encode() not in command_line
    assert router.secret not in log
    assert kept
    for path in kept:
        assert router.secret.encode() not in path.read_bytes()
    # What it says is for machines: one object a line.
    for line in log.splitlines():
        assert msgspec.json.decode(line, type=Data)
