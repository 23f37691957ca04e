"""Calls Heroku's command line, and its API for the one request that must not go through the command line."""

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

#: The package to install if there is no `heroku` on the PATH.
NPM_PACKAGE = "heroku@11"
INSTALL_SECONDS = 600.0
LOGIN_CHECK_SECONDS = 60.0
COMMAND_SECONDS = 300.0
PUSH_SECONDS = 1200.0
API_SECONDS = 60.0
#: The number of characters of a program's output that an error quotes.
QUOTE_LENGTH = 500

Answer = TypeVar("Answer", bound=msgspec.Struct)

logger = get_logger(__name__)


class HerokuError(Exception):
    """Heroku refused a request or did not answer; the message quotes Heroku, without secrets."""


class AppInfo(msgspec.Struct, frozen=True):
    """An app at Heroku."""

    name: str
    #: The URL for workers, with a trailing slash.
    web_url: str
    #: The URL to push to.
    git_url: str


class _AppAnswer(msgspec.Struct, frozen=True):
    app: AppInfo


class HerokuCli:
    """Heroku's command line, used by the logged-in user."""

    def __init__(self, executable: str) -> None:
        self._executable = executable

    @classmethod
    def find(cls) -> HerokuCli:
        """Return the command line on the PATH, or the one in the cache folder, which is installed the first time.

        Raises:
            ConfigError: there is none and it cannot be installed.
        """
        found = shutil.which("heroku")
        if found is not None:
            return cls(found)
        cached = _cache_folder() / "node_modules" / ".bin" / "heroku"
        if not cached.exists():
            _install(_cache_folder())
        return cls(str(cached))

    def check_login(self) -> None:
        """Check that a user is logged in. Blocks briefly.

        Raises:
            ConfigError: no user is logged in.
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
        output = await self._run("apps:create", name, *team_option, "--no-remote", "--json")
        return _decoded(output, AppInfo)

    async def find_app(self, name: str) -> AppInfo | None:
        """Return an app of this account, or None if the account has no app of that name.

        Raises:
            HerokuError: Heroku does not answer.
        """
        try:
            output = await self._run("apps:info", "--app", name, "--json")
        except HerokuError as error:
            if "find that app" in str(error):
                return None
            raise
        return _decoded(output, _AppAnswer).app

    async def destroy_app(self, name: str) -> None:
        """Destroy an app.

        Raises:
            HerokuError: it still exists.
        """
        await self._run("apps:destroy", "--app", name, "--confirm", name)

    async def scale(self, name: str, dynos: str) -> None:
        """Set the number and size of an app's dynos, for instance `web=1:basic`.

        Raises:
            HerokuError: there is no such size, or the account may not use it.
        """
        await self._run("ps:scale", dynos, "--app", name)

    async def set_config(self, name: str, values: Mapping[str, str]) -> None:
        """Set environment variables of an app through the API: the CLI takes their values only as arguments, which are
        visible.

        Raises:
            HerokuError: they were not accepted.
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
                raise HerokuError(f"Heroku's API cannot be reached ({type(error).__name__})") from error
        if answer.status_code != httpx.codes.OK:
            raise HerokuError(f"status {answer.status_code}: {_without(values.values(), answer.text)}")

    async def push(self, folder: Path, git_url: str) -> None:
        """Commit all files of a folder and push them to an app, which then builds and starts.

        Raises:
            HerokuError: git failed, or the build failed.
        """
        await _git(folder, "init", "--quiet")
        await _git(folder, "add", "--all", "--force")
        await _git(folder, "commit", "--quiet", "--no-verify", "--message", "The server of a run")
        login = f"!'{self._executable}' git:credentials"
        await _git(folder, "-c", "credential.helper=", "-c", f"credential.helper={login}", "push", git_url, "HEAD:main")

    async def _run(self, *arguments: str) -> str:
        return await _output_of([self._executable, *arguments], COMMAND_SECONDS)


async def _git(folder: Path, *arguments: str) -> None:
    # The pushed commit must not reveal the user or depend on the user's git settings.
    identity = ["-c", "user.name=mephisto-es", "-c", "user.email=mephisto-es@localhost", "-c", "commit.gpgSign=false"]
    await _output_of(["git", "-C", str(folder), *identity, *arguments], PUSH_SECONDS)


async def _output_of(command: Sequence[str], limit_seconds: float) -> str:
    with trio.move_on_after(limit_seconds) as scope:
        done = await trio.run_process(
            command, stdin=subprocess.DEVNULL, capture_stdout=True, capture_stderr=True, check=False
        )
    if scope.cancelled_caught:
        raise HerokuError(f"no answer within {limit_seconds:g} seconds")
    if done.returncode != 0:
        message = done.stderr.decode(errors="replace").strip() or f"status {done.returncode}"
        raise HerokuError(redacted_text(message[-QUOTE_LENGTH:]))
    return done.stdout.decode(errors="replace")


def _decoded(output: str, kind: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(output, type=kind)
    except msgspec.DecodeError as error:
        raise HerokuError(f"its answer is not of a known form: {error}") from error


def _install(folder: Path) -> None:
    if shutil.which("npm") is None:
        raise ConfigError(
            "neither heroku nor npm to install it is on the PATH",
            key="mephisto/architect",
            hint="Install the Heroku CLI, or Node.js 20 or later",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    logger.info("installing the Heroku CLI, only this once", folder=str(folder))
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
    """Return the URL that the CLI would use."""
    host = os.environ.get("HEROKU_HOST", "heroku.com")
    return host if host.startswith("http") else f"https://api.{host}"


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, REDACTED) if secret else text
    return redacted_text(text)[-QUOTE_LENGTH:]
