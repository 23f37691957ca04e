"""The interface of crowd providers, which recruit workers and may pay them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from omegaconf import DictConfig

from .args import CrowdProviderArgs, RequesterArgs
from .resources import HoldsResources, Resources
from .shared_task_state import SharedTaskState


class CrowdProvider(HoldsResources, ABC):
    """A source of workers, for one run.

    Attributes:
        PROVIDER_TYPE: the name that selects this provider in a configuration.
        ArgsClass: the dataclass of its settings.
        RequesterArgsClass: the dataclass with which an account is registered.
        SHOWS_PROGRESS: whether pages may tell workers which of their units this one is; False if the provider
            offers each unit by itself, so that a worker does not know of others.
    """

    PROVIDER_TYPE: ClassVar[str]
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = CrowdProviderArgs
    RequesterArgsClass: ClassVar[type[RequesterArgs]] = RequesterArgs
    SHOWS_PROGRESS: ClassVar[bool] = True

    def __init__(self, args: DictConfig, shared_state: SharedTaskState, resources: Resources) -> None:
        """Keep the run's whole configuration, in which `args.provider` is the provider's part, and the rest."""
        self.args = args
        self.shared_state = shared_state
        self.resources = resources

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Check that work can be offered with this configuration, before anything is created.

        Raises:
            ConfigError: a setting is wrong or an account is missing.
        """

    @property
    @abstractmethod
    def requester_name(self) -> str:
        """Name of the account that offers the work."""

    @abstractmethod
    def get_wrapper_js_path(self) -> Path:
        """Return the script that tells the page who the worker is, with the four globals of `wrap_crowd_source.js`."""

    @abstractmethod
    def worker_url(self, server_url: str) -> str:
        """Return the URL that a worker opens."""

    async def setup_resources_for_task_run(self, server_url: str) -> None:
        """Publish the run at the provider; workers may come from now on.

        Raises:
            LaunchError: the provider refuses.
        """

    async def cleanup_resources_from_task_run(self) -> None:
        """Withdraw the run from the provider. May be called more than once."""

    @staticmethod
    def is_sandbox() -> bool:
        """Return whether workers are not really paid."""
        return False
