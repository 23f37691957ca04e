"""A run from launch to proof with the simulated crowd, the router in node: here, and as an app on the fake."""

import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec
import pytest
import trio

from mephisto_es.adapters.architects.contract import answers
from mephisto_es.adapters.cli.resources import find_resources
from mephisto_es.adapters.crowd.bot import draw_bots
from mephisto_es.adapters.crowd.demo_run import run_demo
from mephisto_es.adapters.crowd.sentence_rating import configuration, rate, sentences
from mephisto_es.adapters.log.sqlite.as_of import open_as_of

from .fake_heroku import FakeHeroku, needs_npm_and_git

pytestmark = needs_npm_and_git

UNITS = 10


@pytest.mark.parametrize("architect", ["local", "heroku"])
async def test_all_is_done_and_legal_and_nothing_is_left_behind(
    tmp_path: Path, fake_heroku: FakeHeroku, architect: str
) -> None:
    task = configuration("node", architect)
    task.mephisto.architect.heartbeat_limit_seconds = 1.0  # one of the crowd vanishes
    apps: list[str] = []
    with trio.fail_after(120):
        done = await run_demo(
            task,
            sentences(UNITS),
            tmp_path,
            draw_bots(Random(0), 4, rate, think_seconds=0.05),
            on_live=lambda _: apps.extend(fake_heroku.apps()),
            on_submitted=lambda: None,
        )
        assert not await answers(done.url)
    assert done.units == {"completed": UNITS}
    assert done.replay.legal, done.replay.findings
    assert (done.crowd.submissions, done.crowd.disconnected, done.crowd.failures) == (UNITS, 1, {})
    assert len(apps) == (architect == "heroku")
    assert fake_heroku.apps() == []
    with open_as_of(Path(done.database)) as moment:
        assert find_resources(moment).resources == ()


def test_the_demo_runs_as_an_app(tmp_path: Path, fake_heroku: FakeHeroku) -> None:
    command = [str(Path(sys.executable).parent / "mephisto-es"), "demo", "--architect=heroku", "--json"]
    small = ["--workers=1", "--units=2", "--think=0.05", f"--data-dir={tmp_path}"]
    done = subprocess.run([*command, *small], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    said = msgspec.json.decode(done.stdout)
    assert (said["units"], said["replay"]["legal"]) == ({"completed": 2}, True)
    assert "apps:create" in [call[0] for call in fake_heroku.calls()]
    assert fake_heroku.apps() == []
