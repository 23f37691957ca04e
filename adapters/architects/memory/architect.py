"""Provides an architect whose server is an in-memory router, and the channel to it."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import ClassVar

import msgspec
import trio

from ....core.abstractions.architect import ArchitectContext
from ....core.abstractions.args import ArchitectArgs
from ....core.abstractions.channel import Channel, OnCatastrophicDisconnect, OnChannelOpen, OnMessage
from ....core.abstractions.resources import Details
from ....core.errors import ProtocolError, UploadGoneError
from ....core.packets import Outbound, decode_packet, encode_frame
from ....core.signal import Signal
from ..single_server import SingleServerArchitect
from .router import MemoryRouter


class MemoryChannel(Channel):
    """The operator's channel to an in-memory router."""

    def __init__(
        self,
        channel_id: str,
        router: MemoryRouter,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
    ) -> None:
        super().__init__(channel_id, on_channel_open, on_catastrophic_disconnect, on_message)
        self._router = router
        self._frames: deque[str] = deque()
        self._changed = Signal()
        self._attached = False
        self._closed = False

    async def open(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Attach to the router and transfer packets until closed."""
        self._router.attach(self)
        self._attached = True
        await self.on_message(self.channel_id, decode_packet(self._frames.popleft()))
        self.on_channel_open(self.channel_id)
        task_status.started()
        try:
            while not self._closed:
                while self._frames:
                    await self.on_message(self.channel_id, decode_packet(self._frames.popleft()))
                if not self._closed:
                    await self._changed.wait()
        finally:
            self._attached = False
            self._router.detach(self)

    def put(self, frame: str) -> None:
        """Receive a frame from the router."""
        self._frames.append(frame)
        self._changed.notify()

    def lose(self) -> None:
        """Close: another operator has attached to the router."""
        self._attached = False
        self.close()

    def close(self) -> None:
        """Close for good. Calling it twice is harmless."""
        self._closed = True
        self._changed.notify()

    def is_alive(self) -> bool:
        """Return whether packets can be transferred now."""
        return self._attached and not self._closed

    def is_closed(self) -> bool:
        """Return whether the channel was closed for good."""
        return self._closed

    def enqueue_send(self, packet: Outbound) -> bool:
        """Send a packet; return False if the channel is not attached."""
        if self._attached:
            self._router.take(msgspec.json.decode(encode_frame([packet])))
        return self._attached


class MemoryArchitect(SingleServerArchitect):
    """Runs a `MemoryRouter` in the operator's process.

    Attributes:
        routers: the router of each run, for tests that play its workers.
    """

    ARCHITECT_TYPE: ClassVar[str] = "memory"
    ArgsClass: ClassVar[type[ArchitectArgs]] = ArchitectArgs
    RESOURCE_TYPES: ClassVar[tuple[str, ...]] = ("memory_router",)
    routers: ClassVar[dict[int, MemoryRouter]] = {}

    def __init__(self, context: ArchitectContext) -> None:
        super().__init__(context)
        self._url = f"memory://{self.task_run}"

    async def prepare(self) -> Path:
        """Create the folder of static files."""
        static = self.build_dir / "static"
        static.mkdir(parents=True, exist_ok=True)
        return static

    async def deploy(self) -> str:
        """Create the router."""
        self._resource = await self.resources.intend("memory_router", {})
        self.routers[self.task_run] = MemoryRouter(f"memory-{self.task_run}-{self._resource}")
        await self.resources.acquired(self._resource, {})
        return self._url

    async def reattach(self, resource: int, details: Details) -> str | None:  # noqa: ARG002
        """Resume with the router if it exists."""
        if self.task_run not in self.routers:
            return None
        self._resource = resource
        return self._url

    def get_channels(
        self,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
    ) -> list[Channel]:
        """Return the one channel to the router."""
        router = self.routers[self.task_run]
        callbacks = (on_channel_open, on_catastrophic_disconnect, on_message)
        return [MemoryChannel(f"memory-{self.task_run}", router, *callbacks)]

    async def _stop_server(self) -> None:
        router = self.routers.pop(self.task_run, None)
        if router is not None:
            router.close()

    @classmethod
    async def release(cls, details: Details) -> None:
        """Do nothing: the router ended with its process."""

    async def download_file(self, filename: str, save_dir: Path) -> Path:
        """Save an uploaded file of the router.

        Raises:
            UploadGoneError: the router does not have it.
        """
        return save_memory_file(self.routers[self.task_run], filename, save_dir)

    async def drop_file(self, filename: str) -> None:
        """Let the router forget an uploaded file."""
        self.routers[self.task_run].files.pop(filename, None)


def save_memory_file(router: MemoryRouter, filename: str, save_dir: Path) -> Path:
    """Save an uploaded file of a router.

    Raises:
        UploadGoneError: the router does not have it.
        ProtocolError: the router does not answer.
    """
    if not router.serves_files:
        raise ProtocolError(f"the router does not answer a request for {filename!r}")
    content = router.files.get(filename)
    if content is None:
        raise UploadGoneError(f"the router does not have {filename!r}")
    target = save_dir / filename
    target.write_bytes(content)
    return target
