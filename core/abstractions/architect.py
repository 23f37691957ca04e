"""The interface of architects, which run the server that workers' browsers connect to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import DictConfig

from ...events.ids import TaskRunId
from .args import ArchitectArgs
from .channel import Channel, OnCatastrophicDisconnect, OnChannelOpen, OnMessage
from .resources import Details, HoldsResources, Resources
from .shared_task_state import SharedTaskState


@dataclass(frozen=True)
class ArchitectContext:
    """Everything an architect is constructed with."""

    #: The run's whole configuration, checked by `Architect.assert_task_args`; `args.architect` is the architect's part.
    args: DictConfig
    #: The state that the launch script passed.
    shared_state: SharedTaskState
    task_run: TaskRunId
    #: A folder that belongs to the run, for `Architect.prepare` and for the server's own files. It may not exist yet.
    build_dir: Path
    #: Records every outside resource before it is acquired.
    resources: Resources


class Architect(HoldsResources, ABC):
    """Runs the server of one task run.

    The operator calls `assert_task_args`, the constructor, `prepare`, `deploy`, `cleanup` and `get_channels`, in this
    order, and `shutdown` at the end. If anything from `prepare` on fails, it calls `shutdown` at once.

    Attributes:
        ARCHITECT_TYPE: the name that selects this architect in a configuration.
        ArgsClass: the dataclass of its settings.
    """

    ARCHITECT_TYPE: ClassVar[str]
    ArgsClass: ClassVar[type[ArchitectArgs]] = ArchitectArgs

    def __init__(self, context: ArchitectContext) -> None:
        """Store the context. Nothing outside is touched yet."""
        self.args = context.args
        self.shared_state = context.shared_state
        self.task_run = context.task_run
        self.build_dir = context.build_dir
        self.resources = context.resources

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Check that a run with this configuration can be served, before anything is created.

        Raises:
            ConfigError: a setting is wrong, a tool is missing, nobody is logged in ...
        """

    @abstractmethod
    async def prepare(self) -> Path:
        """Put the server's files in place.

        Returns:
            The folder of static files that the server will serve from `/`. Until `deploy` is called, blueprint and
            provider may add files to this folder, and only to this one.
        """

    @abstractmethod
    async def deploy(self) -> str:
        """Start the server with the prepared files.

        Returns:
            The URL at which workers open the page, without a trailing slash. The server already answers there.

        Raises:
            LaunchError: the server could not be started; the message says why.
        """

    def return_to(self, details: Details) -> None:  # noqa: ARG002
        """Take note of the run's last server, which may be long gone. Called before `reattach`.

        Workers have its address, so `deploy` should bring the new server up there if it can.

        Args:
            details: what was recorded about that server.
        """
        return

    async def reattach(self, resource: int, details: Details) -> str | None:  # noqa: ARG002
        """Resume with a server that an earlier process of the run left behind, instead of `prepare` and `deploy`.

        Args:
            resource: the number under which the server is recorded.
            details: what was recorded about it when it was acquired.

        Returns:
            Its URL, or None if it is gone. In that case `prepare` and `deploy` follow, and should use the same data
            folder again if they can.
        """
        return None

    @abstractmethod
    def get_channels(
        self,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
    ) -> list[Channel]:
        """Return a channel to each server of the deployment, none of them open yet."""

    async def cleanup(self) -> None:
        """Remove files that only `deploy` needed. Called once the server is up; files for a later process stay."""

    async def watch_over(self) -> None:
        """Restart the server, at the same URL and with the same data, each time it ends unexpectedly.

        Runs while the run is open to workers, and is cancelled before `shutdown`. Returns if there is nothing to watch.

        Raises:
            LaunchError: the server cannot be restarted; the run ends.
        """

    async def refusals(self) -> dict[str, int]:
        """Return what the servers have refused or discarded since they started, by a few fixed reasons."""
        return {}

    @abstractmethod
    async def shutdown(self) -> None:
        """Take the server offline and release everything that was acquired. Calling it twice is harmless."""

    @abstractmethod
    async def download_file(self, filename: str, save_dir: Path) -> Path:
        """Fetch an uploaded file from the server, streamed to the disk.

        Args:
            filename: the router's name for the file.
            save_dir: an existing folder.

        Returns:
            The path of the saved file, which is durable.

        Raises:
            UploadGoneError: the server does not have it.
            ProtocolError: it did not arrive, for instance because the server does not answer.
        """

    async def drop_file(self, filename: str) -> None:
        """Let the server delete an uploaded file, which is stored here; by default it keeps all files to the end.

        Raises:
            ProtocolError: the server does not answer.
        """
