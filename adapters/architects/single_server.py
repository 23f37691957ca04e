"""Common base of the architects that run one server, which is one recorded resource."""

from __future__ import annotations

import random
from abc import abstractmethod
from pathlib import Path

from ...core.abstractions.architect import Architect, ArchitectContext
from ...core.abstractions.channel import Channel, OnCatastrophicDisconnect, OnChannelOpen, OnMessage
from ..channels.websocket import WebsocketChannel
from .router.client import RouterClient


class SingleServerArchitect(Architect):
    """Connects to its server by WebSocket, and records the server's release when it shuts down.

    A subclass sets `_url`, `_secret` and `_resource` in `deploy` and `reattach`. It sets `_resource` no later than the
    server exists, and leaves it set until the server is known to be gone: a step that was cancelled is finished by
    `shutdown`.
    """

    def __init__(self, context: ArchitectContext) -> None:
        super().__init__(context)
        self._url = ""
        self._secret = ""
        #: The number under which the server is recorded.
        self._resource: int | None = None

    def get_channels(
        self,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
    ) -> list[Channel]:
        """Return the one channel to the server."""
        return [
            WebsocketChannel(
                f"{self.ARCHITECT_TYPE}_{self.task_run}",
                f"ws{self._url.removeprefix('http')}/",
                self._secret,
                on_channel_open,
                on_catastrophic_disconnect,
                on_message,
                jitter=random.random,
            )
        ]

    async def shutdown(self) -> None:
        """Stop the server and record that it is released. Calling it twice is harmless."""
        await self._stop_server()
        await self._record_release("the run is over")

    async def refusals(self) -> dict[str, int]:
        """Return what the router has refused or discarded, by reason."""
        return await self._client().refusals()

    async def download_file(self, filename: str, save_dir: Path) -> Path:
        """Fetch an uploaded file.

        Raises:
            UploadGoneError: the router does not have it.
            ProtocolError: it did not arrive.
        """
        return await self._client().download_file(filename, save_dir)

    async def drop_file(self, filename: str) -> None:
        """Let the router delete an uploaded file.

        Raises:
            ProtocolError: the router does not answer.
        """
        await self._client().delete_file(filename)

    @abstractmethod
    async def _stop_server(self) -> None:
        """Stop the server, if there is one."""

    def _client(self) -> RouterClient:
        """Return an HTTP client of the server."""
        return RouterClient(self._url, self._secret)

    async def _record_release(self, reason: str, *, was_acquired: bool = True) -> None:
        """Record that the server, if one is recorded, is not held any more, or never was."""
        if self._resource is not None:
            record = self.resources.released if was_acquired else self.resources.failed
            await record(self._resource, reason)
            self._resource = None
