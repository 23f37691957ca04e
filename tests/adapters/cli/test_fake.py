"""`mephisto-es fake` as a program."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.fakes.clock import START_SECONDS
from mephisto_es.adapters.fakes.gateway import FakeCarrier
from mephisto_es.adapters.fakes.program import SITES, FakeProgram

PROGRAM = Path(sys.executable).parent / "mephisto-es"


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_fake_runs_until_it_is_stopped(site: str, stop: signal.Signals) -> None:
    started_at = time.time()
    with subprocess.Popen([PROGRAM, "fake", site, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.match(rf"{site} is simulated at (http://127\.0\.0\.1:\d+), ", said)
        assert found, said
        with httpx.Client(base_url=found[1], trust_env=False, timeout=120) as client:
            state = client.get("/fake/state").json()
            # Dates that the site names lie ahead of whoever tries it.
            assert state["now"] >= started_at
            moved = client.post("/fake/clock", json={"seconds": 86_400}).json()
            assert moved["now"] > state["now"] + 86_399
            assert client.post("/fake/clock", json={"seconds": -1}).status_code == 400
            assert client.post("/fake/faults", json={"lost_after": 0.1, "seed": 1}).json() == {}
            wrong = client.post("/fake/faults", json={"lost": 0.1})
            assert (wrong.status_code, "The fields are lost_before, lost_after" in wrong.json()["error"]) == (400, True)
            assert client.post("/fake/guesses", json={"flipped": ["nothing"]}).status_code == 400
            assert client.get("/").status_code == 200
        process.send_signal(stop)
        assert process.wait(120) == 0


def test_the_time_at_first_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[float] = []

    async def look(program: FakeProgram, host: str, port: int, on_open: object) -> None:
        async with httpx.AsyncClient(transport=FakeCarrier(program.app), base_url="http://site.test") as client:
            begun.append((await client.get("/fake/state")).json()["now"])

    monkeypatch.setattr("mephisto_es.adapters.cli.fake.run_fake", look)
    done = CliRunner().invoke(main, ["fake", "connect", "--start", "2026-11-02 09:00"])
    assert done.exit_code == 0, done.output
    assert START_SECONDS <= begun[0] < START_SECONDS + 3600


def test_a_guess_that_does_not_exist_is_refused() -> None:
    done = CliRunner().invoke(main, ["fake", "prolific", "--flip", "unreject_is_refusd"])
    assert done.exit_code == 2
    assert "Did you mean 'unreject_is_refused'?" in done.output
