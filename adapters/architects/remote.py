"""Serves a run through routers that were started elsewhere, for an operator that nobody can reach."""

from __future__ import annotations

import hashlib
import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import trio
from omegaconf import DictConfig

from ...core.abstractions.architect import Architect, ArchitectContext
from ...core.abstractions.args import ArchitectArgs
from ...core.abstractions.blueprint import SharedTaskState
from ...core.abstractions.channel import Channel, OnCatastrophicDisconnect, OnChannelOpen, OnMessage
from ...core.abstractions.resources import Details
from ...core.errors import ConfigError, LaunchError, ProtocolError, UploadGoneError
from ...core.operations.logger_core import get_logger
from ...core.operations.registry import register_mephisto_abstraction
from ...core.signal import Signal
from ..channels.backoff import Backoff
from ..channels.dial import ConnectionFailedError
from ..channels.websocket import WebsocketChannel
from .router.client import RouterClient
from .router.handshake import (
    URLS_KEY,
    check_is_encrypted,
    check_is_free,
    check_root_url,
    shake_hands,
    trusted_authorities,
)
from .router.secret_file import SECRET_FILE_KEY, read_private_secret
from .router.sent_page import SentPage, release_all

STATIC_FOLDER = "static"
PUBLIC_URL_KEY = "mephisto.architect.public_url"
#: Time that the other routers of a resumed run have to answer, once one has.
OTHERS_SECONDS = 10.0

logger = get_logger(__name__)


@dataclass
class RemoteArchitectArgs(ArchitectArgs):
    """Settings of the remote architect."""

    urls: list[str] = field(
        default_factory=list,
        metadata={"help": "The routers' addresses, at which the operator connects to them, for instance https://..."},
    )
    public_url: str | None = field(
        default=None,
        metadata={"help": "URL at which workers reach a router; with several, that of the load balancer before them."},
    )
    secret_file: str | None = field(
        default=None, metadata={"help": "File with the routers' secret, which only you can read."}
    )
    ca_file: str | None = field(
        default=None,
        metadata={"help": "Certificates that are trusted, if the routers' are not of a public authority."},
    )
    patience_seconds: float = field(
        default=3600.0, metadata={"help": "How long all routers may be out of reach before the run pauses."}
    )
    allow_plain_http: bool = field(
        default=False, metadata={"help": "Whether to connect without TLS to another machine."}
    )


@register_mephisto_abstraction()
class RemoteArchitect(Architect):
    """Connects to routers that `mephisto-es router serve` runs on machines that workers reach.

    The operator connects to them, so nothing has to reach the operator. It sends them the page. A router belongs to
    one run until that is over; then it is released, and runs on for the next one.
    """

    ARCHITECT_TYPE: ClassVar[str] = "remote"
    ArgsClass: ClassVar[type[ArchitectArgs]] = RemoteArchitectArgs
    RESOURCE_TYPES: ClassVar[tuple[str, ...]] = ("remote_router",)

    def __init__(self, context: ArchitectContext) -> None:
        super().__init__(replace(context, build_dir=context.build_dir.absolute()))
        settings = self.args.architect
        self._urls = [str(url).rstrip("/") for url in settings.urls]
        #: Names the run to the routers.
        self._run = _name_of(self.resources.secret_for("remote routers"))
        self._static_dir = self.build_dir / STATIC_FOLDER
        #: Absolute paths of the files that the settings name.
        self._files = {
            name: str(Path(settings[name]).expanduser().absolute())
            for name in ("secret_file", "ca_file")
            if settings[name] is not None
        }
        self._secret = ""
        self._trusted: ssl.SSLContext | None = None
        self._page: SentPage | None = None
        self._channels: dict[str, Channel] = {}
        #: The number under which the routers are recorded.
        self._resource: int | None = None
        self._is_resumed = False

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:  # noqa: ARG003
        """Check the addresses, and ask each router who it is. Nothing is changed there.

        Raises:
            ConfigError: an address, the secret or a certificate is wrong, or a router does not answer or is not free.
        """
        settings = args.architect
        if not settings.urls:
            raise ConfigError(
                f"{URLS_KEY} is empty",
                key=URLS_KEY,
                hint="Start a router with `mephisto-es router serve`, and write its address here",
            )
        if settings.public_url is None and len(settings.urls) > 1:
            raise ConfigError(
                f"{PUBLIC_URL_KEY} is missing",
                key=PUBLIC_URL_KEY,
                hint="Name the load balancer in front of the routers, or the one router that workers open",
            )
        for url, key in _addresses(settings):
            check_root_url(url, key)
        if not settings.patience_seconds > 0:
            key = "mephisto.architect.patience_seconds"
            raise ConfigError(f"{key} is {settings.patience_seconds}", key=key, hint="It must be more than 0")
        if not settings.allow_plain_http:
            for url in settings.urls:
                check_is_encrypted(str(url))
        secret, trusted = _secret_of(settings.secret_file), trusted_authorities(settings.ca_file)
        for url in settings.urls:
            check_is_free(str(url), shake_hands(str(url).rstrip("/"), secret, trusted))

    async def prepare(self) -> Path:
        """Make the folder of the page, and read the secret.

        Raises:
            ConfigError: the secret or the certificates cannot be read.
        """
        self._read_credentials()
        self._static_dir.mkdir(parents=True, exist_ok=True)
        return self._static_dir

    async def deploy(self) -> str:
        """Let the routers belong to this run, and send them its page.

        Raises:
            LaunchError: a router cannot be reached, or refuses; when a run is resumed, one router is enough.
        """
        if not self._secret:
            raise LaunchError("deploy", "nothing was prepared")
        details = {"urls": " ".join(self._urls), "run": self._run, **self._files}
        self._resource = await self.resources.intend("remote_router", details)
        await self._serve_page("deploy")
        await self.resources.acquired(self._resource, details)
        return self._workers_url

    def return_to(self, details: Details) -> None:
        """Note that the run is resumed: workers are there, and one router is enough to continue."""
        self._is_resumed = True
        # The process may have been started in another folder.
        for name in self._files.keys() & details.keys():
            if not Path(self.args.architect[name]).expanduser().is_absolute():
                self._files[name] = str(details[name])

    async def reattach(self, resource: int, details: Details) -> str | None:
        """Resume with the routers, as long as the page is here that they serve.

        Raises:
            LaunchError: none of them could be reached for a long time, or one belongs to another run.
        """
        if not (self._static_dir / "index.html").is_file():
            return None
        self._read_credentials()
        self._resource, self._is_resumed = resource, True
        for url in sorted(set(str(details.get("urls", "")).split()) - set(self._urls)):
            logger.warning("a router is not among the settings any more, and keeps what workers sent there", url=url)
        await self._serve_page("reattach")
        return self._workers_url

    def get_channels(
        self,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
    ) -> list[Channel]:
        """Return a channel to each router."""
        for number, url in enumerate(self._urls, 1):
            channel_id = f"remote_{self.task_run}_{number}"
            self._channels[channel_id] = WebsocketChannel(
                channel_id,
                f"ws{url.removeprefix('http')}/",
                self._secret,
                on_channel_open,
                on_catastrophic_disconnect,
                on_message,
                jitter=random.random,
                patience_seconds=self.args.architect.patience_seconds,
                ssl_context=self._trusted,
                run=self._run,
                prepare=self._preparing(url),
                is_backed=self._backing(channel_id),
            )
        return list(self._channels.values())

    async def refusals(self) -> dict[str, int]:
        """Return what the routers have refused or discarded, by reason."""
        counts: dict[str, int] = {}
        for client in self._clients():
            for reason, count in (await client.refusals()).items():
                counts[reason] = counts.get(reason, 0) + count
        return counts

    async def shutdown(self) -> None:
        """Release the routers, which run on. Calling it twice is harmless.

        Raises:
            LaunchError: a router could not be released; another call tries again.
        """
        if self._resource is None:
            return
        await release_all(self._clients(), self._run)
        await self.resources.released(self._resource, "the run is over")
        self._resource = None

    @classmethod
    async def release(cls, details: Details) -> None:
        """Release the routers that an earlier process left behind.

        Raises:
            LaunchError: one of them could not be released; the message says why.
        """
        try:
            secret = _secret_of(str(details["secret_file"]))
            ca_file = details.get("ca_file")
            trusted = trusted_authorities(None if ca_file is None else str(ca_file))
        except ConfigError as error:
            raise LaunchError("release", str(error)) from error
        clients = [RouterClient(url, secret, trusted=trusted) for url in str(details["urls"]).split()]
        await release_all(clients, str(details["run"]))

    async def download_file(self, filename: str, save_dir: Path) -> Path:
        """Fetch an uploaded file from the router that has it.

        Raises:
            UploadGoneError: no router has it.
            ProtocolError: it did not arrive, or a router that may have it does not answer.
        """
        unclear: ProtocolError | None = None
        for client in self._clients():
            try:
                return await client.download_file(filename, save_dir)
            except UploadGoneError:
                continue
            except ProtocolError as error:
                unclear = error
        raise unclear or UploadGoneError(f"no router has {filename!r}")

    async def drop_file(self, filename: str) -> None:
        """Let the routers delete an uploaded file.

        Raises:
            ProtocolError: a router does not answer.
        """
        unclear: ProtocolError | None = None
        for client in self._clients():
            try:
                await client.delete_file(filename)
            except ProtocolError as error:
                unclear = error
        if unclear is not None:
            raise unclear

    # ----------------------------------------------------------------------------------------------------------------

    @property
    def _workers_url(self) -> str:
        public_url: str | None = self.args.architect.public_url
        return self._urls[0] if public_url is None else public_url.rstrip("/")

    def _preparing(self, url: str) -> Callable[[], Awaitable[None]]:
        """Return what comes before each connection: the router may be a new one since the last."""

        async def prepare() -> None:
            if self._page is not None:
                await self._page.send(self._client(url))

        return prepare

    def _backing(self, channel_id: str) -> Callable[[], bool]:
        return lambda: any(channel.is_alive() for name, channel in self._channels.items() if name != channel_id)

    def _clients(self) -> list[RouterClient]:
        return [self._client(url) for url in self._urls]

    def _client(self, url: str) -> RouterClient:
        return RouterClient(url, self._secret, trusted=self._trusted)

    def _read_credentials(self) -> None:
        self._secret = _secret_of(self._files.get("secret_file"))
        self._trusted = trusted_authorities(self._files.get("ca_file"))

    async def _serve_page(self, step: str) -> None:
        """Let all routers serve the page; in a resumed run one of them is enough, and the others follow.

        Raises:
            LaunchError: that was not possible.
        """
        self._page = page = await SentPage.load(self._run, self._static_dir)
        served: list[str] = []
        failed: list[LaunchError] = []
        changed = Signal()

        async def serve(client: RouterClient) -> None:
            try:
                await self._send(page, client, step)
            except LaunchError as error:
                failed.append(error)
            else:
                served.append(client.url)
            changed.notify()

        async with trio.open_nursery() as nursery:
            for client in self._clients():
                nursery.start_soon(serve, client)
            while len(served) + len(failed) < len(self._urls) and not (served and self._is_resumed):
                await changed.wait()
            with trio.move_on_after(OTHERS_SECONDS):
                while len(served) + len(failed) < len(self._urls):
                    await changed.wait()
            nursery.cancel_scope.cancel()
        if failed and not (served and self._is_resumed):
            raise failed[0]

    async def _send(self, page: SentPage, client: RouterClient, step: str) -> None:
        """Send the page to a router; in a resumed run, wait for one that is out of reach.

        Raises:
            LaunchError: it cannot be reached, or refuses.
        """
        backoff = Backoff(self.args.architect.patience_seconds, random.random)
        while True:
            try:
                await page.send(client)
            except ProtocolError as error:
                raise LaunchError(step, str(error)) from error
            except ConnectionFailedError as error:
                delay = backoff.next_delay(trio.current_time()) if self._is_resumed else None
                if delay is None:
                    raise LaunchError(step, str(error)) from error
                logger.warning(
                    "a router is out of reach, and the run waits for it: start it again, or see to the network",
                    router=client.url,
                    reason=str(error),
                    retry_in_seconds=round(delay, 2),
                )
                await trio.sleep(delay)
            else:
                return


def _secret_of(secret_file: str | None) -> str:
    """Return the routers' secret.

    Raises:
        ConfigError: it cannot be read.
    """
    if secret_file is None:
        raise ConfigError(
            f"{SECRET_FILE_KEY} is missing",
            key=SECRET_FILE_KEY,
            hint="Name your copy of the file that `mephisto-es router serve --secret-file FILE` has written",
        )
    return read_private_secret(Path(secret_file).expanduser())


def _addresses(settings: RemoteArchitectArgs) -> list[tuple[str, str]]:
    found = [(str(url), URLS_KEY) for url in settings.urls]
    return found if settings.public_url is None else [*found, (settings.public_url, PUBLIC_URL_KEY)]


def _name_of(secret: str) -> str:
    """Return a name that tells nothing about the secret that it is made from."""
    return hashlib.sha256(secret.encode()).hexdigest()[:32]
