"""Where workers come from, and are paid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from omegaconf import DictConfig

from .args import CrowdProviderArgs, RequesterArgs
from .resources import HoldsResources, Resources
from .shared_task_state import SharedTaskState


class CrowdProvider(HoldsResources, ABC):
    """A place where workers are found.

    Attributes:
        PROVIDER_TYPE: the name it is chosen by.
        ArgsClass: its settings.
        RequesterArgsClass: what an account is registered with.
    """

    PROVIDER_TYPE: ClassVar[str]
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = CrowdProviderArgs
    RequesterArgsClass: ClassVar[type[RequesterArgs]] = RequesterArgs

    def __init__(self, args: DictConfig, shared_state: SharedTaskState, resources: Resources) -> None:
        """Keep the run's whole configuration; `args.provider` is its own part."""
        self.args = args
        self.shared_state = shared_state
        self.resources = resources

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """See whether work can be offered with this configuration, before anything exists.

        Raises:
            ConfigError: a setting is wrong or an account is missing.
        """

    @property
    @abstractmethod
    def requester_name(self) -> str:
        """The account that offers the work."""

    @abstractmethod
    def get_wrapper_js_path(self) -> Path:
        """The script that tells the page who the worker is: it defines the four globals of `wrap_crowd_source.js`."""

    @abstractmethod
    def worker_url(self, server_url: str) -> str:
        """The address a worker opens."""

    async def setup_resources_for_task_run(self, server_url: str) -> None:
        """Publish the run at the provider; workers may come from now on.

        Raises:
            LaunchError: the provider refuses.
        """

    async def cleanup_resources_from_task_run(self) -> None:
        """Take the run off the provider. Twice is harmless."""

    @staticmethod
    def is_sandbox() -> bool:
        """Whether nobody is really paid."""
        return False
