"""The server of a run as an app on Heroku."""

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
from .router.limits import RouterArgs, changed_limits, check_router_limits
from .router.process import PREFIX
from .router.program import check_node_project, copy_sources, node_folder
from .router.secret_file import SECRET_FILE, read_secret, write_secret
from .single_server import SingleServerArchitect

#: An app that was pushed is waited for this long.
START_SECONDS = 180.0
TREE_FOLDER = "heroku_app"
STATIC_FOLDER = "static"
DATA_FOLDER = "router_data"
PROCFILE = (
    f"web: HOST=0.0.0.0 MEPHISTO_ROUTER_STATIC=$PWD/{STATIC_FOLDER} MEPHISTO_ROUTER_DATA=$PWD/{DATA_FOLDER}"
    f" MEPHISTO_ROUTER_SECRET_FILE=$PWD/{SECRET_FILE} node server.js\n"
)
APP_NAME = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
#: The account's own words for what can be done about, and what that is.
REMEDIES = (
    ("taken", "Set mephisto.architect.heroku_app_name to another name, or leave it out"),
    ("limit", "Destroy apps that are not needed any more: heroku apps, heroku apps:destroy"),
    ("verif", "Verify the account: heroku.com/verify"),
)

logger = get_logger(__name__)


@dataclass
class HerokuArchitectArgs(RouterArgs):
    """What the Heroku architect can be told."""

    server_type: str = field(default="node", metadata={"help": "The router to run: on Heroku that is node."})
    use_hobby: bool = field(default=False, metadata={"help": "Whether to take a dyno that never sleeps."})
    heroku_team: str | None = field(default=None, metadata={"help": "The team that the app belongs to."})
    heroku_app_name: str | None = field(
        default=None, metadata={"help": "The app's name, not in use anywhere; one is made up if not set."}
    )
    heroku_config_args: dict[str, str] = field(
        default_factory=dict, metadata={"help": "Environment variables of the app."}
    )


@register_mephisto_abstraction()
class HerokuArchitect(SingleServerArchitect):
    """Pushes the node router and the page to an app of its own, and destroys that in the end.

    The disk of a dyno does not outlive the dyno, which Heroku restarts once a day and after a crash: what a worker
    handed in while no operator was attached is then lost. With an operator attached it is here within moments.
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
        """See whether there are the tools, somebody is logged in, and the names are possible.

        Raises:
            ConfigError: something is not.
        """
        settings = args.architect
        source = node_folder(settings)
        if source is None:
            key = "mephisto.architect.server_type"
            raise ConfigError(f"{key} is {settings.server_type!r}", key=key, hint="On Heroku the router is node")
        check_node_project(source)
        check_router_limits(settings)
        name = settings.heroku_app_name
        if name is not None and not APP_NAME.fullmatch(name):
            key = "mephisto.architect.heroku_app_name"
            raise ConfigError(
                f"{key} is {name!r}", key=key, hint="3 to 30 small letters, digits and dashes, a letter first"
            )
        if shutil.which("git") is None:
            raise ConfigError("git is not on the PATH", key="mephisto/architect", hint="Heroku takes apps by git")
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
        # In the app, too, it is a file: a variable would stand on the dashboard.
        write_secret(self._tree, self._secret)
        static_dir = self._tree / STATIC_FOLDER
        static_dir.mkdir(exist_ok=True)
        return static_dir

    async def deploy(self) -> str:
        """Create the app, configure it, push to it, and wait until it answers.

        Raises:
            LaunchError: a step failed; the app, if there was one, is destroyed.
        """
        if not self._secret:
            raise LaunchError("deploy", "nothing was prepared")
        app = await self._create(self.args.architect.heroku_app_name)
        try:
            await self._fill(app)
        except HerokuError as error:
            await self.shutdown()
            raise LaunchError("deploy", f"heroku did not take the app {app.name}: {error}") from error
        return self._url

    async def reattach(self, resource: int, details: Details) -> str | None:
        """Take up the app that an earlier process has left, if it answers; one that does not is destroyed.

        Raises:
            LaunchError: Heroku cannot be asked, or the app cannot be destroyed.
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
                logger.warning("there is an app of this name, but perhaps not ours: it is left alone", app=name)
                return None
            await self._cli.destroy_app(name)
        except HerokuError as error:
            raise LaunchError("reattach", f"the app {name}: {error}") from error
        return None

    @classmethod
    async def release(cls, details: Details) -> None:
        """Destroy the app that an earlier process has left. One that may not be ours is left alone.

        Raises:
            LaunchError: Heroku cannot be asked, the app cannot be destroyed, or whose it is cannot be told.
        """
        name, cli = str(details["app"]), HerokuCli.find()
        try:
            if await cli.find_app(name) is None:
                return
            if not (details.get("made_up") or details.get("url")):
                raise LaunchError(
                    "release",
                    f"there is an app {name}, and whether this run made it was not recorded any more. "
                    f"If it did, destroy it: heroku apps:destroy --app {name}",
                )
            await cli.destroy_app(name)
        except HerokuError as error:
            raise LaunchError("release", f"the app {name}: {error}") from error

    async def server_is_running(self) -> bool:
        """Whether the app is there.

        Raises:
            LaunchError: Heroku cannot be asked.
        """
        if self._app is None:
            return False
        try:
            return await self._cli.find_app(self._app) is not None
        except HerokuError as error:
            raise LaunchError("live", f"the app {self._app}: {error}") from error

    async def cleanup(self) -> None:
        """Remove what was pushed."""
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
        name = wanted or _made_up_name(self.resources.new_secret())
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
        variables = {PREFIX + name: value for name, value in changed_limits(settings).items()}
        variables |= {str(name): str(value) for name, value in settings.heroku_config_args.items()}
        if variables:
            await self._cli.set_config(app.name, variables)
        await self._cli.push(self._tree, app.git_url)
        await self._cli.scale(app.name, "web=1:basic" if settings.use_hobby else "web=1")
        if not await self._answers():
            raise HerokuError(f"it does not answer at {self._url}; see: heroku logs --app {app.name}")

    async def _answers(self) -> bool:
        """Whether the router can be reached with the run's secret, now or soon."""
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


def _made_up_name(chance: str) -> str:
    return f"mephisto-es-{hashlib.sha256(chance.encode()).hexdigest()[:16]}"
