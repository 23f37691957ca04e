"""Provides an architect for tests: it notes which steps were called, and may run a scripted server."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import trio

from ...core.abstractions.architect import ArchitectContext
from ...core.abstractions.args import ArchitectArgs
from ...core.abstractions.channel import Channel, OnCatastrophicDisconnect, OnChannelOpen, OnMessage
from ...core.abstractions.resources import Details
from ...core.errors import LaunchError, UploadGoneError
from ...core.operations.registry import register_mephisto_abstraction
from .memory.architect import save_memory_file
from .mock_server import MockServer
from .router.listening import listen
from .single_server import SingleServerArchitect

HOST = "localhost"
STATIC_FOLDER = "static"


@dataclass
class MockArchitectArgs(ArchitectArgs):
    """Settings of the mock architect."""

    should_run_server: bool = field(
        default=False, metadata={"help": "Whether to run a server; otherwise calls are only noted."}
    )
    port: int = field(default=0, metadata={"help": "Port that the server listens on; 0 picks a free one."})


@register_mephisto_abstraction()
class MockArchitect(SingleServerArchitect):
    """Notes which steps were called.

    Attributes:
        prepared: whether `prepare` was called; likewise for the other three.
        server: the scripted server, from `prepare` on, if there is one.
    """

    ARCHITECT_TYPE: ClassVar[str] = "mock"
    ArgsClass: ClassVar[type[ArchitectArgs]] = MockArchitectArgs
    RESOURCE_TYPES: ClassVar[tuple[str, ...]] = ("mock_server",)

    server: MockServer

    def __init__(self, context: ArchitectContext) -> None:
        super().__init__(context)
        self.prepared = False
        self.deployed = False
        self.cleaned = False
        self.did_shutdown = False
        self._runs_server: bool = self.args.architect.should_run_server
        self._listener: socket.socket | None = None
        self._url = f"http://{HOST}:{self.args.architect.port}"

    async def prepare(self) -> Path:
        """Create the folder of static files, and open the socket if there is to be a server."""
        self.prepared = True
        if self._runs_server:
            self._listener = listen(HOST, self.args.architect.port)
            self._secret = self.resources.new_secret()
            self.server = MockServer(self._secret, f"mock_{self.task_run}")
        static_dir = self.build_dir / STATIC_FOLDER
        static_dir.mkdir(parents=True, exist_ok=True)
        return static_dir

    async def deploy(self) -> str:
        """Start the server if there is to be one.

        Raises:
            LaunchError: nothing was prepared.
        """
        self.deployed = True
        if not self._runs_server:
            return self._url
        listener, self._listener = self._listener, None
        if listener is None:
            raise LaunchError("deploy", "nothing was prepared")
        port = listener.getsockname()[1]
        self._url = f"http://{HOST}:{port}"
        self._resource = await self.resources.intend("mock_server", {"port": port})
        self.server.start(trio.SocketListener(trio.socket.from_stdlib_socket(listener)))
        await self.resources.acquired(self._resource, {"url": self._url})
        return self._url

    def get_channels(
        self,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
    ) -> list[Channel]:
        """Return the channel to the server; an empty list if there is no server."""
        if not self._runs_server:
            return []
        return super().get_channels(on_channel_open, on_catastrophic_disconnect, on_message)

    async def cleanup(self) -> None:
        """Note the call; there is nothing to remove."""
        self.cleaned = True

    async def shutdown(self) -> None:
        """Stop the server. Calling it twice is harmless."""
        self.did_shutdown = True
        await super().shutdown()

    async def _stop_server(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._resource is not None:
            await self.server.stop()

    @classmethod
    async def release(cls, details: Details) -> None:
        """Do nothing: the server ended with its process."""

    async def download_file(self, filename: str, save_dir: Path) -> Path:
        """Save an uploaded file of the scripted server.

        Raises:
            UploadGoneError: the server does not have it, or there is no server.
        """
        if self._resource is None:
            raise UploadGoneError(f"there is no server that has {filename!r}")
        return save_memory_file(self.server.router, filename, save_dir)

    async def drop_file(self, filename: str) -> None:
        """Let the scripted server forget an uploaded file."""
        if self._resource is not None:
            self.server.router.files.pop(filename, None)
