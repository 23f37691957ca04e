"""A client of CloudResearch Connect's API.

The vendor's reference was not at hand; see `answers` for the sources. Not yet run against the real site.

Calls that change something can carry an idempotency token, which the site remembers for 24 hours. It says "this was
seen", never "this worked": a repeat with the same token fails, also when the first request failed. So a call that was
answered by an error, or not at all, is never sent again from here. Look first, then use a new token.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import httpx
import msgspec

from ..api.calls import Repeat, SiteCall, json_as
from ..api.transport import SiteTransport, TransportLimits, credential
from .answers import ConnectAccount, ConnectFeasibility
from .assignments import ConnectAssignments
from .project_request import dollars
from .projects import ConnectProjects

SITE = "connect"
BASE_URL = "https://connect-api.cloudresearch.com"
#: The account's setting, as errors name it.
KEY_KEY = "api_key"

_read_account = json_as(ConnectAccount)
_read_feasibility = json_as(ConnectFeasibility)
_encode = msgspec.json.Encoder(decimal_format="number").encode


class ConnectClient:
    """Connect under one key; use it as an asynchronous context manager.

    Attributes:
        projects: projects.
        assignments: people's work, approval, bonuses and messages.
    """

    def __init__(
        self,
        key: str,
        jitter: Callable[[], float],
        *,
        base_url: str = BASE_URL,
        limits: TransportLimits = TransportLimits(),  # noqa: B008  # immutable
        carrier: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            key: the API key, which the vendor's support gives out.
            jitter: gives numbers from 0 to 1.
            base_url: the API's address without a path; a fake has another.
            limits: bounds in seconds.
            carrier: what carries requests in place of the network.

        Raises:
            ConfigError: the key cannot be one, or the address is not encrypted.
        """
        key = credential(key, KEY_KEY)
        self._transport = SiteTransport(
            SITE,
            base_url,
            headers={"x-api-key": key},
            secrets=[key],
            jitter=jitter,
            limits=limits,
            carrier=carrier,
        )
        self.projects = ConnectProjects(self._transport)
        self.assignments = ConnectAssignments(self._transport)

    async def __aenter__(self) -> ConnectClient:
        """Open the connections."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._transport.__aexit__(kind, error, trace)

    async def balance_cents(self) -> int:
        """Return the account's balance (`Retrieve account`): proves that the key is valid."""
        account = await self._transport.call(
            SiteCall(
                operation="read the account",
                method="GET",
                path="/api/v1/account",
                read=_read_account,
                repeat=Repeat.READ,
            )
        )
        return account.balance_cents

    async def quote(self, *, payment_cents: int, places: int, estimated_minutes: int) -> ConnectFeasibility:
        """Return a project's cost with fees (`Calculate feasibility`); nothing is made."""
        fields = {
            "payment": dollars(payment_cents),
            "participants": places,
            "estimatedTimeInMinutes": estimated_minutes,
        }
        return await self._transport.call(
            SiteCall(
                operation="calculate a project's cost",
                method="POST",
                path="/api/v1/demographics/feasibility",
                body=_encode(fields),
                read=_read_feasibility,
                repeat=Repeat.READ,
            )
        )

    async def validate_participants(self, participant_ids: list[str]) -> object:
        """Ask the site about participants' ids (`Validate participants`).

        Returns:
            The JSON of the answer. No source describes its form.
        """
        return await self._transport.call(
            SiteCall(
                operation="check participants' ids",
                method="POST",
                path="/api/v1/account/validate-participants",
                body=_encode({"participantIds": participant_ids}),
                read=lambda http: msgspec.json.decode(http.body),
                repeat=Repeat.READ,
            )
        )
