"""Prolific's calls about webhooks: the workspace's secret, and subscriptions to events."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ...api.calls import HttpAnswer, Repeat, SiteCall, json_as, no_content, path_id
from ...api.transport import SiteTransport
from .answers import ProlificHook, ProlificHookDelivery
from .listing import all_items

HOOK_SECRET_HEADER = "x-hook-secret"


class _Secret(msgspec.Struct, frozen=True):
    """The secret of a workspace (`webhooks/create-secret`)."""

    id: str
    value: str


class _SecretList(msgspec.Struct, frozen=True):
    """The secrets of a workspace (`webhooks/get-secrets`)."""

    results: list[_Secret] = []


class _HookList(msgspec.Struct, frozen=True):
    """The form in which a new subscription comes back in the documentation's sample."""

    results: list[ProlificHook]


class NewHook(NamedTuple):
    """A subscription that is not confirmed yet."""

    hook: ProlificHook
    #: Proves that the subscription is wanted.
    confirmation: str


_read_secret = json_as(_Secret)
_read_secrets = json_as(_SecretList)
_read_hook = json_as(ProlificHook)
_read_hook_list = json_as(_HookList)


class ProlificHooks:
    """Subscriptions of a workspace."""

    def __init__(self, transport: SiteTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    async def secret(self, workspace_id: str) -> str | None:
        """Return the secret of a workspace's webhooks; None: it has none (`webhooks/get-secrets`)."""
        found = await self._transport.call(
            SiteCall(
                operation="read the webhooks' secret",
                method="GET",
                path="/api/v1/hooks/secrets/",
                query={"workspace_id": workspace_id},
                read=_read_secrets,
                repeat=Repeat.READ,
            )
        )
        return found.results[0].value if found.results else None

    async def replace_secret(self, workspace_id: str) -> str:
        """Make a secret, which **replaces** the workspace's present one (`webhooks/create-secret`).

        Raises:
            EffectUnknownError: read the secret, which may be a new one.
        """
        made = await self._transport.call(
            SiteCall(
                operation="replace the webhooks' secret",
                method="POST",
                path="/api/v1/hooks/secrets/",
                body=msgspec.json.encode({"workspace_id": workspace_id}),
                read=_read_secret,
                repeat=Repeat.THROTTLED,
            )
        )
        return made.value

    async def subscriptions(self, workspace_id: str) -> list[ProlificHook]:
        """Return a workspace's subscriptions (`webhooks/get-subscriptions`)."""
        query = {"workspace_id": workspace_id}
        return await all_items(
            self._transport, "list subscriptions", "/api/v1/hooks/subscriptions/", ProlificHook, query
        )

    async def subscribe(self, workspace_id: str, event_type: str, target_url: str) -> NewHook:
        """Subscribe to an event; it must be confirmed (`webhooks/create-subscription`).

        Raises:
            EffectUnknownError: look for the address among the subscriptions.
        """
        fields = {"workspace_id": workspace_id, "event_type": event_type, "target_url": target_url}
        return await self._transport.call(
            SiteCall(
                operation="subscribe to an event",
                method="POST",
                path="/api/v1/hooks/subscriptions/",
                body=msgspec.json.encode(fields),
                read=_read_new_hook,
                repeat=Repeat.THROTTLED,
            )
        )

    async def confirm(self, new: NewHook) -> ProlificHook:
        """Confirm a subscription (`webhooks/confirm-subscription`); twice is harmless."""
        return await self._transport.call(
            SiteCall(
                operation="confirm a subscription",
                method="POST",
                path=f"/api/v1/hooks/subscriptions/{path_id(new.hook.id)}/",
                body=msgspec.json.encode({"secret": new.confirmation}),
                read=_read_hook,
                repeat=Repeat.THROTTLED,
            )
        )

    async def unsubscribe(self, hook_id: str) -> None:
        """End a subscription (`webhooks/delete-subscription`)."""
        await self._transport.call(
            SiteCall(
                operation="end a subscription",
                method="DELETE",
                path=f"/api/v1/hooks/subscriptions/{path_id(hook_id)}/",
                read=no_content,
                repeat=Repeat.THROTTLED,
            )
        )

    async def deliveries(self, hook_id: str) -> list[ProlificHookDelivery]:
        """Return what the site sent for a subscription (`webhooks/get-subscription-events`)."""
        path = f"/api/v1/hooks/subscriptions/{path_id(hook_id)}/events/"
        return await all_items(self._transport, "list a subscription's events", path, ProlificHookDelivery)


def _read_new_hook(http: HttpAnswer) -> NewHook:
    """Read a new subscription, which stands in a list in one sample and alone in the official client."""
    try:
        hook = _read_hook(http)
    except msgspec.ValidationError:
        hook = _read_hook_list(http).results[0]
    return NewHook(hook, http.headers[HOOK_SECRET_HEADER])
