"""Runs a task run's server on this machine, as a background process."""

from __future__ import annotations

import random
import socket
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
from ...core.redaction import redacted_text
from ..channels.backoff import Backoff
from .router.client import RouterClient
from .router.handshake import check_root_url
from .router.limits import RouterArgs, changed_limits, check_router_limits
from .router.listening import in_url, listen
from .router.process import RouterKilledError, RouterProcess
from .router.program import check_router_args, install_router
from .router.secret_file import SECRET_FILE, read_secret, write_secret
from .single_server import SingleServerArchitect

#: Time for a router that another process left behind to answer.
REATTACH_SECONDS = 10.0
#: A router that runs this long has started well.
STEADY_SECONDS = 30.0
PUBLIC_URL_KEY = "mephisto.architect.public_url"
STATIC_FOLDER = "static"
DATA_FOLDER = "router_data"
PROGRAM_FOLDER = "router"

logger = get_logger(__name__)


@dataclass
class LocalArchitectArgs(RouterArgs):
    """Settings of the local architect."""

    hostname: str = field(default="localhost", metadata={"help": "Host name or address that the server listens on."})
    port: int = field(default=3000, metadata={"help": "Port that the server listens on; 0 picks a free one."})
    public_url: str | None = field(
        default=None,
        metadata={"help": "URL at which workers reach the server, if there is a web server in front of it."},
    )


@register_mephisto_abstraction()
class LocalArchitect(SingleServerArchitect):
    """Runs a router as a background process, which survives a crash of the operator for a while.

    The operator opens the socket and passes it to the router. So a port in use is noticed before anything is started,
    and a worker who connects before the router is ready simply waits.
    """

    ARCHITECT_TYPE: ClassVar[str] = "local"
    ArgsClass: ClassVar[type[ArchitectArgs]] = LocalArchitectArgs
    RESOURCE_TYPES: ClassVar[tuple[str, ...]] = ("local_router",)
    #: Seconds for which a router that cannot be started again, or keeps ending, is tried.
    PATIENCE_SECONDS: ClassVar[float] = 600.0

    def __init__(self, context: ArchitectContext) -> None:
        super().__init__(replace(context, build_dir=context.build_dir.absolute()))
        self._port: int = self.args.architect.port
        self._listener: socket.socket | None = None
        self._command: list[str] = []
        self._process: RouterProcess | None = None
        self._has_address = False
        self._backoff = Backoff(self.PATIENCE_SECONDS, random.random)

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:  # noqa: ARG003
        """Check that the configured router can be started and that its port is free.

        Raises:
            ConfigError: it cannot, a tool or folder is missing, or a limit or the public URL is invalid.
        """
        check_router_args(args.architect)
        check_router_limits(args.architect)
        if args.architect.public_url is not None:
            check_root_url(args.architect.public_url, PUBLIC_URL_KEY)
        listen(args.architect.hostname, args.architect.port).close()

    async def prepare(self) -> Path:
        """Open the socket, and put the page folder, the router's program and the secret in place.

        Workers have the address of a router that is to be replaced, so a port that is taken is waited for.

        Raises:
            ConfigError: the port is taken.
        """
        while self._listener is None:
            try:
                self._listener = listen(self.args.architect.hostname, self._port)
            except ConfigError as error:
                if not self._has_address:
                    raise
                await self._wait_to_retry(error)
        static_dir = self.build_dir / STATIC_FOLDER
        static_dir.mkdir(parents=True, exist_ok=True)
        self._secret = self.resources.new_secret()
        write_secret(self.build_dir, self._secret)
        self._command = await install_router(self.args.architect, self.build_dir / PROGRAM_FOLDER)
        return static_dir

    async def deploy(self) -> str:
        """Start the router and wait until it answers on this machine. A server in front of it is not asked.

        Raises:
            LaunchError: the router does not answer.
        """
        if self._listener is None:
            raise LaunchError("deploy", "nothing was prepared")
        try:
            await self._start(self._listener)
        except RouterKilledError as error:
            await self._wait_to_retry(error)
            await self._restart()
        return self._workers_url

    async def watch_over(self) -> None:
        """Restart the router each time it ends unexpectedly. It reads its data folder again.

        If this is cancelled during a restart, `shutdown` ends the new router as well.

        Raises:
            LaunchError: for a long time the router could not be restarted, or ended each time.
        """
        while True:
            started_at = trio.current_time()
            if self._process is not None:
                await self._process.wait_for_end()
            ended = LaunchError("live", "it ended unexpectedly")
            if trio.current_time() - started_at >= STEADY_SECONDS:
                self._backoff.reset()
            logger.warning("the router ended unexpectedly, restarting it", url=self._url)
            await self._stop_server()
            await self._record_release("it ended unexpectedly")
            await self._wait_to_retry(ended)
            await self._restart()

    async def _restart(self) -> None:
        """Start a router at the address of the one before, as soon as that is possible.

        Raises:
            LaunchError: it was not for a long time.
        """
        while True:
            self._command = self._command or await install_router(self.args.architect, self.build_dir / PROGRAM_FOLDER)
            try:
                self._listener = listen(self.args.architect.hostname, self._port)
                await self._start(self._listener)
            except (ConfigError, LaunchError) as error:
                await self._wait_to_retry(error)
            else:
                return

    async def _wait_to_retry(self, error: ConfigError | LaunchError) -> None:
        """Wait before the next attempt to start a router; pages keep trying meanwhile.

        Raises:
            LaunchError: there have been attempts for too long.
        """
        delay = self._backoff.next_delay(trio.current_time())
        if delay is None:
            raise LaunchError("live", f"the router could not be restarted: {error}") from error
        logger.warning("the router is not up; trying again", reason=str(error), retry_in_seconds=round(delay, 2))
        await trio.sleep(delay)

    async def _start(self, listener: socket.socket) -> None:
        """Start a router on a socket and wait until it answers.

        Raises:
            LaunchError: it does not; what was started is stopped and recorded as released.
        """
        self._port = port = listener.getsockname()[1]
        self._url = f"http://{in_url(self.args.architect.hostname)}:{port}"
        settings = {
            **changed_limits(self.args.architect, is_proxied=self.args.architect.public_url is not None),
            "SECRET_FILE": str(self.build_dir / SECRET_FILE),
            "STATIC": str(self.build_dir / STATIC_FOLDER),
            "DATA": str(self.build_dir / DATA_FOLDER),
        }
        # A cancellation between any two of these steps leaves what `shutdown` needs in the attributes.
        self._resource = await self.resources.intend(
            "local_router", {"url": self._url, "port": port, "build_dir": str(self.build_dir)}
        )
        try:
            self._process = await RouterProcess.start(self._command, settings, listener, self.build_dir)
            self._close_listener()
            await self.resources.acquired(self._resource, {"url": self._url, "port": port, "pid": self._process.pid})
            await self._process.wait_until_ready(self._client())
        except LaunchError as error:
            was_started = self._process is not None
            await self._stop_server()
            await self._record_release(redacted_text(str(error)), was_acquired=was_started)
            raise

    def return_to(self, details: Details) -> None:
        """Have `prepare` listen at the same port again."""
        port = details.get("port")
        if isinstance(port, int):
            self._port, self._has_address = port, True

    async def reattach(self, resource: int, details: Details) -> str | None:
        """Resume with the router of an earlier process, if the server at its URL knows the run's secret."""
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
    async def release(cls, details: Details) -> None:
        """End the router that an earlier process left behind. Its data folder stays."""
        build_dir, url = Path(str(details["build_dir"])), str(details["url"])
        process, secret = RouterProcess.left_by_another(build_dir), read_secret(build_dir)
        if process is None:
            return
        is_ours = process.works_in(build_dir)
        with trio.move_on_after(REATTACH_SECONDS):
            is_ours = is_ours or (secret is not None and await RouterClient(url, secret).accepts_secret())
        if is_ours:
            await process.stop()

    @property
    def _workers_url(self) -> str:
        public_url: str | None = self.args.architect.public_url
        return self._url if public_url is None else public_url.rstrip("/")

    async def _stop_server(self) -> None:
        """Close the socket and end the process; if cancelled, end it at once."""
        self._close_listener()
        if self._process is not None:
            await self._process.stop()
            self._process = None

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
