"""The base of providers whose site has an API, which is used with a registered account."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

from omegaconf import DictConfig

from ...core.abstractions.crowd_provider import CrowdProvider
from ...core.abstractions.resources import Details, Resources
from ...core.abstractions.shared_task_state import SharedTaskState
from ...core.errors import LaunchError
from .accounts import RegisteredAccount, registered_account
from .api.errors import SiteError
from .arrival_page import WRAPPER_FILE

ClientT = TypeVar("ClientT", bound=AbstractAsyncContextManager[object])


class AccountProvider(CrowdProvider, Generic[ClientT]):
    """A provider with an account at a site, and a client for it.

    Attributes:
        SITE: the site's name, under which accounts are registered.
        BY_HAND: what a person can do where a resource cannot be released: `stop it on Prolific's pages`.
    """

    SITE: ClassVar[str]
    BY_HAND: ClassVar[str] = "release it on the site's pages"

    def __init__(self, args: DictConfig, shared_state: SharedTaskState, resources: Resources) -> None:
        """Find the account; no connection is opened.

        Raises:
            ConfigError: there is no such account, or its credentials cannot be used.
        """
        super().__init__(args, shared_state, resources)
        self._account = registered_account(self.SITE, args.provider.requester_name)
        self._client = self.client_of(self._account)

    async def __aenter__(self) -> Self:
        """Open the connections to the site."""
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._client.__aexit__(kind, error, trace)

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:  # noqa: ARG003
        """Check the settings, and that the account is registered.

        Raises:
            ConfigError: a setting is wrong, or there is no account.
        """
        cls.check_settings(args)
        cls.client_of(registered_account(cls.SITE, args.provider.requester_name))

    @classmethod
    @abstractmethod
    def check_settings(cls, args: DictConfig) -> None:
        """Check everything about a run that can be checked without asking the site.

        Raises:
            ConfigError: a setting is wrong.
        """

    @classmethod
    @abstractmethod
    def client_of(cls, account: RegisteredAccount) -> ClientT:
        """Return a client for a registered account.

        Raises:
            ConfigError: its credentials or its address cannot be used.
        """

    @property
    def requester_name(self) -> str:
        """The name of the registered account."""
        return self._account.name

    def get_wrapper_js_path(self) -> Path:
        """Return the script that reads the ids from the address."""
        return WRAPPER_FILE

    @classmethod
    async def release(cls, details: Details) -> None:
        """Release what an earlier process left at the site.

        Raises:
            LaunchError: the site refuses, or cannot be asked.
        """
        client = cls.client_of(registered_account(cls.SITE, str(details["account"])))
        try:
            async with client:
                await cls.release_with(client, details)
        except SiteError as error:
            raise LaunchError("release", f"{error}; {cls.BY_HAND}, or try again later") from error

    @classmethod
    async def release_with(cls, client: ClientT, details: Details) -> None:
        """Release a recorded resource with an open client.

        Raises:
            SiteError: the site refuses, or cannot be asked.
        """
