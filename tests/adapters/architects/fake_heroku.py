"""Heroku on this machine: what a test sees of the fake, and can have it refuse."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ...ports import free_port

FAKE_HEROKU_BIN = Path(__file__).parent / "fake_heroku_bin"
#: Apps that can be created in one test.
MAX_APPS = 10

needs_npm_and_git = pytest.mark.skipif(
    shutil.which("npm") is None or shutil.which("git") is None, reason="npm or git is missing"
)


class FakeHeroku:
    """The state of the fake."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "ports").write_text(json.dumps([free_port() for _ in range(MAX_APPS)]))
        self.fails({})

    def fails(self, steps: dict[str, str]) -> None:
        (self.home / "fails").write_text(json.dumps(steps))

    def apps(self) -> list[str]:
        return sorted(app.name for app in (self.home / "apps").iterdir())

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.home / "calls").read_text().splitlines()]


@contextmanager
def installed_fake_heroku(home: Path, environment: pytest.MonkeyPatch) -> Iterator[FakeHeroku]:
    """Have `heroku` be the fake; the apps that are left in the end are destroyed."""
    (home / "apps").mkdir()
    environment.setenv("HEROKU_STANDIN", str(home))
    environment.setenv("PATH", str(FAKE_HEROKU_BIN), prepend=":")
    fake_heroku = FakeHeroku(home)
    with subprocess.Popen([sys.executable, FAKE_HEROKU_BIN / "heroku", "serve-api"], stdout=subprocess.PIPE) as api:
        assert api.stdout is not None
        environment.setenv("HEROKU_HOST", f"http://127.0.0.1:{int(api.stdout.readline())}")
        yield fake_heroku
        api.terminate()
    fake_heroku.fails({})
    for app in fake_heroku.apps():
        subprocess.run([FAKE_HEROKU_BIN / "heroku", "apps:destroy", "--app", app, "--confirm", app], check=True)
