"""Where the server that workers reach is run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from omegaconf import DictConfig

from ...events.ids import TaskRunId
from .args import ArchitectArgs
from .channel import Channel, OnCatastrophicDisconnect, OnChannelOpen, OnMessage
from .resources import Details, HoldsResources, Resources
from .shared_task_state import SharedTaskState


class Architect(HoldsResources, ABC):
    """Runs the server of one task run.

    The operator calls, in this order: `assert_task_args`, the constructor, `prepare`, `deploy`, `cleanup`,
    `get_channels`, and at the end `shutdown`; after an error from `prepare` on, `shutdown` at once.

    Attributes:
        ARCHITECT_TYPE: the name it is chosen by.
        ArgsClass: its settings.
    """

    ARCHITECT_TYPE: ClassVar[str]
    ArgsClass: ClassVar[type[ArchitectArgs]] = ArchitectArgs

    def __init__(
        self,
        args: DictConfig,
        shared_state: SharedTaskState,
        task_run: TaskRunId,
        build_dir: Path,
        resources: Resources,
    ) -> None:
        """Keep what it needs; nothing outside is touched yet.

        Args:
            args: the run's whole configuration, checked by `assert_task_args`; `args.architect` is its own part.
            shared_state: what the launch script passed.
            task_run: the run.
            build_dir: an empty folder of the run, for `prepare` and for the server's own files.
            resources: where everything that is acquired outside is recorded first.
        """
        self.args = args
        self.shared_state = shared_state
        self.task_run = task_run
        self.build_dir = build_dir
        self.resources = resources

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """See whether a run with this configuration can be served, before anything exists.

        Raises:
            ConfigError: a setting is wrong, a tool is missing, somebody is not logged in ...
        """

    @abstractmethod
    async def prepare(self) -> Path:
        """Put the server's files in place.

        Returns:
            The folder of static files that the server will serve from `/`. Blueprint and provider may add files
            to it, and to nothing else, until `deploy` is called.
        """

    @abstractmethod
    async def deploy(self) -> str:
        """Start the server with the prepared files.

        Returns:
            The URL that workers' pages are opened at, without a slash at the end. The server answers there.

        Raises:
            LaunchError: it could not be started; the sentence says why.
        """

    def return_to(self, details: Details) -> None:  # noqa: ARG002
        """Hear, before `reattach`, of the last server that the run had, which may be gone for long.

        Workers have its address: `deploy` brings the server back there if it can.

        Args:
            details: what was recorded of it.
        """
        return

    async def reattach(self, resource: int, details: Details) -> str | None:  # noqa: ARG002
        """Take up the server that an earlier process of the run has left, instead of `prepare` and `deploy`.

        Args:
            resource: the number under which the server is recorded.
            details: what was recorded of it when it was acquired.

        Returns:
            Its URL, or None if it is not there any more: then `prepare` and `deploy` follow, which should bring it
            back with the same data folder if they can.
        """
        return None

    @abstractmethod
    def get_channels(
        self,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
    ) -> list[Channel]:
        """Channels to all servers of the deployment, not opened yet."""

    async def cleanup(self) -> None:
        """Remove what only `deploy` needed. Called once the server is up; what a later process needs stays."""

    async def watch_over(self) -> None:
        """Bring the server back, under the same URL and with what it kept, whenever it ends by itself.

        Runs while workers are let in, and is cancelled before `shutdown`. Returns if there is nothing to watch.

        Raises:
            LaunchError: it cannot be brought back; the run ends.
        """

    @abstractmethod
    async def shutdown(self) -> None:
        """Take the server offline and release all that was acquired. Twice is harmless."""

    @abstractmethod
    async def download_file(self, filename: str, save_dir: Path) -> Path:
        """Fetch an uploaded file from the server.

        Args:
            filename: the router's name for it.
            save_dir: an existing folder.

        Returns:
            The file.

        Raises:
            ProtocolError: the server does not have it.
        """
