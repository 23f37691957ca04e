"""Heroku's command line, and the one call that must not go through it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
import trio

from ...core.errors import ConfigError
from ...core.operations.logger_core import get_logger
from ...core.redaction import REDACTED, redacted_text

#: What is installed if there is no `heroku` on the PATH.
NPM_PACKAGE = "heroku@11"
INSTALL_SECONDS = 600.0
LOGIN_CHECK_SECONDS = 60.0
COMMAND_SECONDS = 300.0
PUSH_SECONDS = 1200.0
API_SECONDS = 60.0
#: An error quotes this much of what a program said last.
QUOTE_LENGTH = 500

Answer = TypeVar("Answer", bound=msgspec.Struct)

logger = get_logger(__name__)


class HerokuError(Exception):
    """Heroku said no, or nothing; the sentence has its own words, without secrets."""


class AppInfo(msgspec.Struct, frozen=True):
    """What Heroku says of an app."""

    name: str
    #: Where workers reach it, with a slash at the end.
    web_url: str
    #: Where it is pushed to.
    git_url: str


class _AppAnswer(msgspec.Struct, frozen=True):
    app: AppInfo


class HerokuCli:
    """Calls the CLI as the person who is logged in."""

    def __init__(self, executable: str) -> None:
        self._executable = executable

    @classmethod
    def find(cls) -> HerokuCli:
        """The CLI on the PATH, or else the one in the cache folder, installed there the first time.

        Raises:
            ConfigError: there is none, and it cannot be installed.
        """
        found = shutil.which("heroku")
        if found is not None:
            return cls(found)
        cached = _cache_folder() / "node_modules" / ".bin" / "heroku"
        if not cached.exists():
            _install(_cache_folder())
        return cls(str(cached))

    def check_login(self) -> None:
        """See whether somebody is logged in. Blocks for a moment.

        Raises:
            ConfigError: nobody is.
        """
        try:
            subprocess.run(
                [self._executable, "auth:whoami"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LOGIN_CHECK_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ConfigError(
                "nobody is logged in to Heroku on this machine",
                key="mephisto/architect",
                hint=f"Run: {self._executable} login",
            ) from error

    async def create_app(self, name: str, team: str | None) -> AppInfo:
        """Create an app.

        Raises:
            HerokuError: the name is taken, there are too many apps ...
        """
        team_option = [] if team is None else ["--team", team]
        said = await self._run("apps:create", name, *team_option, "--no-remote", "--json")
        return _decoded(said, AppInfo)

    async def find_app(self, name: str) -> AppInfo | None:
        """An app of this account; None if it has none of that name.

        Raises:
            HerokuError: Heroku cannot be asked.
        """
        try:
            said = await self._run("apps:info", "--app", name, "--json")
        except HerokuError as error:
            if "find that app" in str(error):
                return None
            raise
        return _decoded(said, _AppAnswer).app

    async def destroy_app(self, name: str) -> None:
        """Destroy an app.

        Raises:
            HerokuError: it is still there.
        """
        await self._run("apps:destroy", "--app", name, "--confirm", name)

    async def scale(self, name: str, dynos: str) -> None:
        """Set how many dynos of which size an app has, for instance `web=1:basic`.

        Raises:
            HerokuError: there is no such size, or none left.
        """
        await self._run("ps:scale", dynos, "--app", name)

    async def set_config(self, name: str, values: Mapping[str, str]) -> None:
        """Set environment variables of an app, by Heroku's API: the CLI would want the values on its command line.

        Raises:
            HerokuError: they were not taken.
        """
        token = (await self._run("auth:token")).strip()
        async with httpx.AsyncClient(base_url=_api_url(), timeout=API_SECONDS) as client:
            try:
                answer = await client.patch(
                    f"/apps/{name}/config-vars",
                    json=dict(values),
                    headers={"Accept": "application/vnd.heroku+json; version=3", "Authorization": f"Bearer {token}"},
                )
            except httpx.HTTPError as error:
                raise HerokuError(f"the API of Heroku cannot be reached ({type(error).__name__})") from error
        if answer.status_code != httpx.codes.OK:
            raise HerokuError(f"status {answer.status_code}: {_without(values.values(), answer.text)}")

    async def push(self, folder: Path, git_url: str) -> None:
        """Commit all files of a folder and push them to an app, which builds and starts it.

        Raises:
            HerokuError: git failed, or the app was not built.
        """
        await _git(folder, "init", "--quiet")
        await _git(folder, "add", "--all", "--force")
        await _git(folder, "commit", "--quiet", "--no-verify", "--message", "The server of a run")
        login = f"!'{self._executable}' git:credentials"
        await _git(folder, "-c", "credential.helper=", "-c", f"credential.helper={login}", "push", git_url, "HEAD:main")

    async def _run(self, *arguments: str) -> str:
        return await _said([self._executable, *arguments], COMMAND_SECONDS)


async def _git(folder: Path, *arguments: str) -> None:
    # Neither who uses this machine nor how they have set up git must show in what is pushed.
    identity = ["-c", "user.name=mephisto-es", "-c", "user.email=mephisto-es@localhost", "-c", "commit.gpgSign=false"]
    await _said(["git", "-C", str(folder), *identity, *arguments], PUSH_SECONDS)


async def _said(command: Sequence[str], limit_seconds: float) -> str:
    with trio.move_on_after(limit_seconds) as patience:
        done = await trio.run_process(
            command, stdin=subprocess.DEVNULL, capture_stdout=True, capture_stderr=True, check=False
        )
    if patience.cancelled_caught:
        raise HerokuError(f"no answer within {limit_seconds:g} seconds")
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip() or f"status {done.returncode}"
        raise HerokuError(redacted_text(words[-QUOTE_LENGTH:]))
    return done.stdout.decode(errors="replace")


def _decoded(said: str, kind: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(said, type=kind)
    except msgspec.DecodeError as error:
        raise HerokuError(f"its answer is not what this version knows: {error}") from error


def _install(folder: Path) -> None:
    if shutil.which("npm") is None:
        raise ConfigError(
            "the command heroku is not on the PATH, and npm to install it is not either",
            key="mephisto/architect",
            hint="Install the Heroku CLI, or Node.js 20 or later",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    logger.info("installing the Heroku CLI, this is done once", folder=str(folder))
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        try:
            subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--prefix", scratch, NPM_PACKAGE],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=INSTALL_SECONDS,
                check=True,
            )
        except subprocess.SubprocessError as error:
            raise ConfigError(
                f"npm could not install {NPM_PACKAGE}", key="mephisto/architect", hint="Install the Heroku CLI yourself"
            ) from error
        os.rename(scratch, folder)


def _cache_folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "mephisto-es" / NPM_PACKAGE.replace("@", "-")


def _api_url() -> str:
    """As the CLI finds it."""
    host = os.environ.get("HEROKU_HOST", "heroku.com")
    return host if host.startswith("http") else f"https://api.{host}"


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, REDACTED) if secret else text
    return redacted_text(text)[-QUOTE_LENGTH:]
