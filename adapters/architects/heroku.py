"""Runs a task run's server as an app on Heroku."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import trio
from omegaconf import DictConfig

from ...core.abstractions.architect import ArchitectContext
from ...core.abstractions.args import ArchitectArgs
from ...core.abstractions.blueprint import SharedTaskState
from ...core.abstractions.resources import Details
from ...core.errors import ConfigError, LaunchError
from ...core.operations.logger_core import get_logger
from ...core.operations.registry import register_mephisto_abstraction
from ..channels.backoff import Backoff
from .heroku_cli import AppInfo, HerokuCli, HerokuError
from .router.client import RouterClient
from .router.limits import REMOTE_COMMIT_WAIT_SECONDS, RouterArgs, changed_limits, check_router_limits
from .router.process import PREFIX
from .router.program import check_node_project, copy_sources, node_folder
from .router.secret_file import SECRET_FILE, read_secret, write_secret
from .single_server import SingleServerArchitect

#: The time for a pushed app to answer.
START_SECONDS = 180.0
TREE_FOLDER = "heroku_app"
STATIC_FOLDER = "static"
DATA_FOLDER = "router_data"
PROCFILE = (
    f"web: HOST=0.0.0.0 MEPHISTO_ROUTER_STATIC=$PWD/{STATIC_FOLDER} MEPHISTO_ROUTER_DATA=$PWD/{DATA_FOLDER}"
    f" MEPHISTO_ROUTER_SECRET_FILE=$PWD/{SECRET_FILE} node server.js\n"
)
APP_NAME = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
#: Hints by a word in Heroku's error message.
REMEDIES = (
    ("taken", "Set mephisto.architect.heroku_app_name to another name, or leave it out"),
    ("limit", "Destroy apps that are no longer needed: heroku apps, heroku apps:destroy"),
    ("verif", "Verify the account: heroku.com/verify"),
)

logger = get_logger(__name__)


@dataclass
class HerokuArchitectArgs(RouterArgs):
    """Settings of the Heroku architect."""

    server_type: str = field(default="node", metadata={"help": "Router to run; Heroku runs node."})
    commit_wait_seconds: float = field(
        default=REMOTE_COMMIT_WAIT_SECONDS,
        metadata={
            "help": "How long the answer to a submission waits until it is in the log; after that, and without an"
            " operator, the dyno's own disk has to do."
        },
    )
    use_hobby: bool = field(default=False, metadata={"help": "Whether to use a dyno that never sleeps."})
    heroku_team: str | None = field(default=None, metadata={"help": "Team that owns the app."})
    heroku_app_name: str | None = field(
        default=None, metadata={"help": "Unused name for the app; generated if not set."}
    )
    heroku_config_args: dict[str, str] = field(
        default_factory=dict, metadata={"help": "Environment variables of the app."}
    )


@register_mephisto_abstraction()
class HerokuArchitect(SingleServerArchitect):
    """Pushes the node router and the page to a new app, and destroys the app at the end.

    A dyno's disk is lost when Heroku restarts the dyno, which it does once a day and after a crash. Submissions that
    were made while no operator was connected are then lost. A connected operator receives them within moments.
    """

    ARCHITECT_TYPE: ClassVar[str] = "heroku"
    ArgsClass: ClassVar[type[ArchitectArgs]] = HerokuArchitectArgs
    RESOURCE_TYPES: ClassVar[tuple[str, ...]] = ("heroku_app",)

    def __init__(self, context: ArchitectContext) -> None:
        super().__init__(replace(context, build_dir=context.build_dir.absolute()))
        self._cli = HerokuCli.find()
        self._tree = self.build_dir / TREE_FOLDER
        #: The app that was created for this run.
        self._app: str | None = None

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:  # noqa: ARG003
        """Check that the tools are installed, a user is logged in, and the names are valid.

        Raises:
            ConfigError: one of these fails.
        """
        settings = args.architect
        source = node_folder(settings)
        if source is None:
            key = "mephisto.architect.server_type"
            raise ConfigError(f"{key} is {settings.server_type!r}", key=key, hint="Heroku runs only the node router")
        check_node_project(source)
        check_router_limits(settings)
        name = settings.heroku_app_name
        if name is not None and not APP_NAME.fullmatch(name):
            key = "mephisto.architect.heroku_app_name"
            raise ConfigError(
                f"{key} is {name!r}",
                key=key,
                hint="Use 3 to 30 lowercase letters, digits and dashes, starting with a letter",
            )
        if shutil.which("git") is None:
            raise ConfigError(
                "git is not on the PATH", key="mephisto/architect", hint="Install it: apps are pushed to Heroku by git"
            )
        HerokuCli.find().check_login()

    async def prepare(self) -> Path:
        """Lay out the app: router, Procfile, secret, and the folder of static files."""
        source = node_folder(self.args.architect)
        if source is None:
            raise LaunchError("prepare", "there is no router for Heroku")
        copy_sources(source, self._tree)
        (self._tree / "Procfile").write_text(PROCFILE)
        self._secret = self.resources.new_secret()
        write_secret(self.build_dir, self._secret)
        # A file in the app as well: a variable would be visible on the dashboard.
        write_secret(self._tree, self._secret)
        static_dir = self._tree / STATIC_FOLDER
        static_dir.mkdir(exist_ok=True)
        return static_dir

    async def deploy(self) -> str:
        """Create the app, configure it, push to it, and wait until it answers.

        Raises:
            LaunchError: a step failed; if the app was created, it is destroyed.
        """
        if not self._secret:
            raise LaunchError("deploy", "nothing was prepared")
        app = await self._create(self.args.architect.heroku_app_name)
        try:
            await self._fill(app)
        except HerokuError as error:
            await self.shutdown()
            raise LaunchError("deploy", f"heroku did not accept the app {app.name}: {error}") from error
        return self._url

    async def reattach(self, resource: int, details: Details) -> str | None:
        """Resume with the app of an earlier process if it answers; destroy it if it does not.

        Raises:
            LaunchError: Heroku does not answer, or the app cannot be destroyed.
        """
        name, url, secret = str(details["app"]), details.get("url"), read_secret(self.build_dir)
        try:
            if await self._cli.find_app(name) is None:
                return None
            if isinstance(url, str) and secret is not None:
                self._url, self._secret = url, secret
                if await self._answers():
                    self._app, self._resource = name, resource
                    return url
            elif not details.get("made_up"):
                logger.warning("an app of this name exists but may not be ours; leaving it alone", app=name)
                return None
            await self._cli.destroy_app(name)
        except HerokuError as error:
            raise LaunchError("reattach", f"the app {name}: {error}") from error
        return None

    @classmethod
    async def release(cls, details: Details) -> None:
        """Destroy the app that an earlier process left behind, unless it may belong to somebody else.

        Raises:
            LaunchError: Heroku does not answer, the app cannot be destroyed, or its owner is unknown.
        """
        name, cli = str(details["app"]), HerokuCli.find()
        try:
            if await cli.find_app(name) is None:
                return
            if not (details.get("made_up") or details.get("url")):
                raise LaunchError(
                    "release",
                    f"the app {name} exists, but it was not recorded whether this run created it. "
                    f"If it did, destroy it: heroku apps:destroy --app {name}",
                )
            await cli.destroy_app(name)
        except HerokuError as error:
            raise LaunchError("release", f"the app {name}: {error}") from error

    async def server_is_running(self) -> bool:
        """Return whether the app exists.

        Raises:
            LaunchError: Heroku does not answer.
        """
        if self._app is None:
            return False
        try:
            return await self._cli.find_app(self._app) is not None
        except HerokuError as error:
            raise LaunchError("live", f"the app {self._app}: {error}") from error

    async def cleanup(self) -> None:
        """Remove the pushed files."""
        shutil.rmtree(self._tree, ignore_errors=True)

    async def _stop_server(self) -> None:
        """Destroy the app that was created for this run, and no other.

        Raises:
            LaunchError: it still exists; another call tries again.
        """
        if self._app is None:
            return
        try:
            await self._destroy(self._app)
        except HerokuError as error:
            raise LaunchError(
                "shutdown",
                f"the app {self._app} still exists: {error}. Destroy it: heroku apps:destroy --app {self._app}",
            ) from error
        self._app = None

    async def _create(self, wanted: str | None) -> AppInfo:
        name = wanted or _generated_name(self.resources.new_secret())
        resource = await self.resources.intend("heroku_app", {"app": name, "made_up": int(wanted is None)})
        try:
            app = await self._cli.create_app(name, self.args.architect.heroku_team)
        except HerokuError as error:
            await self.resources.failed(resource, str(error))
            remedy = next((f". {remedy}" for word, remedy in REMEDIES if word in str(error)), "")
            raise LaunchError("deploy", f"heroku did not create the app {name}: {error}{remedy}") from error
        self._app, self._resource = app.name, resource
        self._url = app.web_url.rstrip("/")
        await self.resources.acquired(resource, {"app": app.name, "url": self._url})
        return app

    async def _fill(self, app: AppInfo) -> None:
        settings = self.args.architect
        variables = {PREFIX + name: value for name, value in changed_limits(settings, is_proxied=True).items()}
        variables |= {str(name): str(value) for name, value in settings.heroku_config_args.items()}
        if variables:
            await self._cli.set_config(app.name, variables)
        await self._cli.push(self._tree, app.git_url)
        await self._cli.scale(app.name, "web=1:basic" if settings.use_hobby else "web=1")
        if not await self._answers():
            raise HerokuError(f"it does not answer at {self._url}; see: heroku logs --app {app.name}")

    async def _answers(self) -> bool:
        """Return whether the router accepts the run's secret, now or within the start time."""
        backoff = Backoff(START_SECONDS, random.random)
        with trio.move_on_after(START_SECONDS):
            while not await self._client().accepts_secret():
                delay = backoff.next_delay(trio.current_time())
                if delay is None:
                    return False
                await trio.sleep(delay)
            return True
        return False

    async def _destroy(self, name: str) -> None:
        try:
            await self._cli.destroy_app(name)
        except HerokuError:
            if await self._cli.find_app(name) is not None:
                raise

    def _client(self) -> RouterClient:
        return RouterClient(self._url, self._secret, through_proxy=True)


def _generated_name(token: str) -> str:
    return f"mephisto-es-{hashlib.sha256(token.encode()).hexdigest()[:16]}"
