"""Heroku on this machine: what a test sees of the stand-in, and can have it refuse."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

STAND_IN = Path(__file__).parent / "heroku_standin"

needs_npm_and_git = pytest.mark.skipif(
    shutil.which("npm") is None or shutil.which("git") is None, reason="npm or git is missing"
)


class StandIn:
    """What the stand-in keeps."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.fails({})

    def fails(self, steps: dict[str, str]) -> None:
        (self.home / "fails").write_text(json.dumps(steps))

    def apps(self) -> list[str]:
        return sorted(app.name for app in (self.home / "apps").iterdir())

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.home / "calls").read_text().splitlines()]


@contextmanager
def heroku_stand_in(home: Path, environment: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Have `heroku` be the stand-in; the apps that are left in the end are destroyed."""
    (home / "apps").mkdir()
    environment.setenv("HEROKU_STANDIN", str(home))
    environment.setenv("PATH", str(STAND_IN), prepend=":")
    stand_in = StandIn(home)
    with subprocess.Popen([sys.executable, STAND_IN / "heroku", "serve-api"], stdout=subprocess.PIPE) as api:
        assert api.stdout is not None
        environment.setenv("HEROKU_HOST", f"http://127.0.0.1:{int(api.stdout.readline())}")
        yield stand_in
        api.terminate()
    stand_in.fails({})
    for app in stand_in.apps():
        subprocess.run([STAND_IN / "heroku", "apps:destroy", "--app", app, "--confirm", app], check=True)
