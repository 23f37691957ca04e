"""The server of a run on this machine, in a process of its own."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import trio
from omegaconf import DictConfig

from ...core.abstractions.architect import Architect
from ...core.abstractions.args import ArchitectArgs
from ...core.abstractions.blueprint import SharedTaskState
from ...core.abstractions.channel import Channel, OnCatastrophicDisconnect, OnChannelOpen, OnMessage
from ...core.abstractions.resources import Details, Resources
from ...core.errors import LaunchError
from ...core.operations.logger_core import get_logger
from ...core.operations.registry import register_mephisto_abstraction
from ...events.ids import TaskRunId
from ..channels.websocket import WebsocketChannel
from .public_url import check_public_url
from .router.client import RouterClient
from .router.limits import RouterArgs, changed_limits, check_router_limits
from .router.listening import in_url, listen
from .router.process import RouterProcess
from .router.program import check_router_args, put_in_place
from .router.secret_file import SECRET_FILE, read_secret, write_secret

#: A router that was left by another process is asked for this long.
REATTACH_SECONDS = 10.0
#: How often a router that ends by itself is started again.
RESTART_LIMIT = 20
STATIC_FOLDER = "static"
DATA_FOLDER = "router_data"
PROGRAM_FOLDER = "router"

logger = get_logger(__name__)


@dataclass
class LocalArchitectArgs(RouterArgs):
    """What the local architect can be told."""

    hostname: str = field(default="localhost", metadata={"help": "The name or address that the server listens at."})
    port: int = field(default=3000, metadata={"help": "The port that the server listens at; 0: any free one."})
    public_url: str | None = field(
        default=None,
        metadata={"help": "Where workers reach the server, if that is through a web server in front of it."},
    )


@register_mephisto_abstraction()
class LocalArchitect(Architect):
    """Runs a router as a background process, which goes on for a while if the operator crashes.

    The socket is opened here and handed over, so a port in use is noticed before anything is started, and a worker who
    comes before the router is ready only waits.
    """

    ARCHITECT_TYPE: ClassVar[str] = "local"
    ArgsClass: ClassVar[type[ArchitectArgs]] = LocalArchitectArgs
    RESOURCE_TYPES: ClassVar[tuple[str, ...]] = ("local_router",)

    def __init__(
        self,
        args: DictConfig,
        shared_state: SharedTaskState,
        task_run: TaskRunId,
        build_dir: Path,
        resources: Resources,
    ) -> None:
        super().__init__(args, shared_state, task_run, build_dir.absolute(), resources)
        self._port: int = args.architect.port
        self._listener: socket.socket | None = None
        self._command: list[str] = []
        self._secret = ""
        self._url = ""
        self._process: RouterProcess | None = None
        self._resource: int | None = None

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:  # noqa: ARG003
        """See whether the router can be started as it is to be, and its port is free.

        Raises:
            ConfigError: it is not; or a tool or folder is missing, or a limit or the public URL is none.
        """
        check_router_args(args.architect)
        check_router_limits(args.architect)
        check_public_url(args.architect.public_url)
        listen(args.architect.hostname, args.architect.port).close()

    async def prepare(self) -> Path:
        """Open the socket, and put page folder, program and secret in place."""
        self._listener = listen(self.args.architect.hostname, self._port)
        static_dir = self.build_dir / STATIC_FOLDER
        static_dir.mkdir(parents=True, exist_ok=True)
        self._secret = self.resources.new_secret()
        write_secret(self.build_dir, self._secret)
        self._command = await put_in_place(self.args.architect, self.build_dir / PROGRAM_FOLDER)
        return static_dir

    async def deploy(self) -> str:
        """Start the router, and wait until it answers, here: what is in front of it is not asked.

        Raises:
            LaunchError: it does not.
        """
        if self._listener is None:
            raise LaunchError("deploy", "nothing was prepared")
        await self._bring_up(self._listener)
        return self._workers_url

    async def watch_over(self) -> None:
        """Start the router again whenever it ends by itself; what it kept in its folder it reads again.

        Raises:
            LaunchError: it cannot be started again, or ends again and again.
        """
        for _ in range(RESTART_LIMIT):
            if self._process is not None:
                await self._process.wait_for_end()
            logger.warning("the router has ended by itself and is started again", url=self._url)
            await self._release("it ended by itself")
            self._command = self._command or await put_in_place(self.args.architect, self.build_dir / PROGRAM_FOLDER)
            self._listener = listen(self.args.architect.hostname, self._port)
            try:
                await self._bring_up(self._listener)
            except LaunchError as error:
                logger.warning("the router could not be started again", reason=str(error))
        raise LaunchError("live", f"the router at {self._url} ended by itself {RESTART_LIMIT} times")

    async def _bring_up(self, listener: socket.socket) -> None:
        self._port = port = listener.getsockname()[1]
        self._url = f"http://{in_url(self.args.architect.hostname)}:{port}"
        self._resource = await self.resources.intend(
            "local_router", {"url": self._url, "port": port, "build_dir": str(self.build_dir)}
        )
        try:
            self._process = await self._start(listener)
            await self.resources.acquired(self._resource, {"url": self._url, "port": port, "pid": self._process.pid})
            await self._process.wait_until_ready(RouterClient(self._url, self._secret))
        except LaunchError as error:
            await self._release(str(error))
            raise

    def return_to(self, details: Details) -> None:
        """Let `prepare` listen at the same port again."""
        port = details.get("port")
        self._port = port if isinstance(port, int) else self._port

    async def reattach(self, resource: int, details: Details) -> str | None:
        """Take up the router of an earlier process, if what answers at its URL knows the run's secret."""
        url, port = details.get("url"), details.get("port")
        process = RouterProcess.left_by_another(self.build_dir)
        secret = read_secret(self.build_dir)
        if not isinstance(url, str) or not isinstance(port, int) or process is None or secret is None:
            return None
        is_ours = False
        with trio.move_on_after(REATTACH_SECONDS):
            is_ours = await RouterClient(url, secret).accepts_secret()
        if not is_ours:
            return None
        self._url, self._port, self._secret = url, port, secret
        self._process, self._resource = process, resource
        return self._workers_url

    @classmethod
    async def reap(cls, details: Details) -> None:
        """End the router that an earlier process has left; what it has in its data folder stays there."""
        build_dir, url = Path(str(details["build_dir"])), str(details["url"])
        process, secret = RouterProcess.left_by_another(build_dir), read_secret(build_dir)
        if process is None:
            return
        is_ours = process.works_in(build_dir)
        with trio.move_on_after(REATTACH_SECONDS):
            is_ours = is_ours or (secret is not None and await RouterClient(url, secret).accepts_secret())
        if is_ours:
            await process.stop()

    def get_channels(
        self,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
    ) -> list[Channel]:
        """One channel, to the one router."""
        return [
            WebsocketChannel(
                f"local_{self.task_run}",
                f"ws{self._url.removeprefix('http')}/",
                self._secret,
                on_channel_open,
                on_catastrophic_disconnect,
                on_message,
                jitter=random.random,
            )
        ]

    async def shutdown(self) -> None:
        """End the process and free the port. Twice is harmless."""
        await self._release("the run is over")

    async def download_file(self, filename: str, save_dir: Path) -> Path:
        """Fetch an uploaded file.

        Raises:
            ProtocolError: the router does not have it.
        """
        return await RouterClient(self._url, self._secret).download_file(filename, save_dir)

    @property
    def _workers_url(self) -> str:
        public_url: str | None = self.args.architect.public_url
        return self._url if public_url is None else public_url.rstrip("/")

    async def _start(self, listener: socket.socket) -> RouterProcess:
        settings = {
            **changed_limits(self.args.architect),
            "SECRET_FILE": str(self.build_dir / SECRET_FILE),
            "STATIC": str(self.build_dir / STATIC_FOLDER),
            "DATA": str(self.build_dir / DATA_FOLDER),
        }
        process = await RouterProcess.start(self._command, settings, listener, self.build_dir)
        self._close_listener()
        return process

    async def _release(self, reason: str) -> None:
        self._close_listener()
        process, self._process = self._process, None
        resource, self._resource = self._resource, None
        if process is not None:
            await process.stop()
        if resource is not None and process is not None:
            await self.resources.released(resource, reason)
        elif resource is not None:
            await self.resources.failed(resource, reason)

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
