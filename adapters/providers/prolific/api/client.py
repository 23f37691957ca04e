"""A client of Prolific's API, with one part for each kind of object.

Documentation: https://docs.prolific.com. Built from it and from the official command line client; not yet run against
the real site.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import httpx

from ...api.transport import SiteTransport, TransportLimits, credential
from .accounts import ProlificAccounts
from .hooks import ProlificHooks
from .people import ProlificPeople
from .studies import ProlificStudies
from .submissions import ProlificSubmissions

SITE = "prolific"
BASE_URL = "https://api.prolific.com"
#: The account's setting, as errors name it.
TOKEN_KEY = "api_key"


class ProlificClient:
    """Prolific under one token; use it as an asynchronous context manager.

    Attributes:
        accounts: the account, workspaces, projects, money.
        studies: studies.
        submissions: submissions, approval and bonuses.
        people: participant groups and messages.
        hooks: webhooks.
    """

    def __init__(
        self,
        token: str,
        jitter: Callable[[], float],
        *,
        base_url: str = BASE_URL,
        limits: TransportLimits = TransportLimits(),  # noqa: B008  # immutable
        carrier: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            token: the API token of the researcher's settings. It has no end and all rights of the account.
            jitter: gives numbers from 0 to 1.
            base_url: the API's address without a path; a fake has another.
            limits: bounds in seconds.
            carrier: what carries requests in place of the network.

        Raises:
            ConfigError: the token cannot be one, or the address is not encrypted.
        """
        token = credential(token, TOKEN_KEY)
        self._transport = SiteTransport(
            SITE,
            base_url,
            headers={"authorization": f"Token {token}"},
            secrets=[token],
            jitter=jitter,
            limits=limits,
            carrier=carrier,
        )
        self.accounts = ProlificAccounts(self._transport)
        self.studies = ProlificStudies(self._transport)
        self.submissions = ProlificSubmissions(self._transport)
        self.people = ProlificPeople(self._transport)
        self.hooks = ProlificHooks(self._transport)

    async def __aenter__(self) -> ProlificClient:
        """Open the connections."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._transport.__aexit__(kind, error, trace)
