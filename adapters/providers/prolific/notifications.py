"""Subscribes a run's server to Prolific's webhooks, which wake the reconciler."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from omegaconf import DictConfig

from ....core.abstractions.resources import Details, Resources
from ....core.errors import LaunchError
from ....core.packet_data import WebhookKey
from ..api.errors import SiteError, SiteMissingError
from .api.client import ProlificClient
from .api.webhooks import EVENT_ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookKind
from .workspace import find_workspace

#: Recorded type of the subscriptions of one server.
WEBHOOKS = "prolific_webhooks"
#: Events at the site that the reconciler wants to know of.
KINDS = (WebhookKind.SUBMISSION_STATUS, WebhookKind.STUDY_STATUS)
#: Path of the requests at a run's server.
PATH = "/provider_webhook"
_LOCAL = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")


class StudyWebhooks:
    """The subscriptions of one run's server."""

    def __init__(self, client: ProlificClient, resources: Resources, args: DictConfig) -> None:
        """Keep the parts.

        Args:
            client: the site.
            resources: records the subscriptions.
            args: the run's whole configuration.
        """
        self._client = client
        self._resources = resources
        self._args = args

    async def connect(self, account: str, page_address: str) -> WebhookKey:
        """Subscribe the server to what happens in the workspace, and return how it recognizes the requests.

        A workspace without a key gets one; a key that it has is used, because others may use it.

        Args:
            account: the registered account.
            page_address: the address of the study's page; the server is there.

        Raises:
            LaunchError: the server's address is not encrypted, or there is no such workspace.
            SiteError: Prolific refuses, or cannot be asked.
        """
        page = urlsplit(page_address)
        target = f"{page.scheme}://{page.netloc}{page.path.rpartition('/')[0]}{PATH}"
        if not target.startswith(("https://", *_LOCAL)):
            raise LaunchError(
                "provider",
                f"Prolific sends webhooks to https addresses only, and the page is at {page.scheme}://{page.netloc}: "
                "set mephisto.provider.prolific_webhooks to false, or bring the server to an https address",
            )
        workspace = (await find_workspace(self._client, self._args)).id
        for held in self._resources.held(WEBHOOKS):
            if held.details.get("target") != target:
                await end_subscriptions(self._client, held.details)
                await self._resources.released(held.number, "the server has another address")
        held_here = self._resources.held(WEBHOOKS)
        details = {"account": account, "workspace": workspace, "target": target}
        number = held_here[0].number if held_here else await self._resources.intend(WEBHOOKS, details)
        try:
            secret = await self._client.hooks.secret(workspace) or await self._client.hooks.replace_secret(workspace)
            await self._subscribe(workspace, target)
        except SiteError as error:
            if not held_here:
                await end_subscriptions(self._client, details)
                await self._resources.failed(number, str(error))
            raise
        if not (held_here and held_here[0].is_acquired):
            await self._resources.acquired(number, {})
        return WebhookKey(secret, SIGNATURE_HEADER, TIMESTAMP_HEADER, EVENT_ID_HEADER)

    async def _subscribe(self, workspace: str, target: str) -> None:
        """Make the subscriptions that are missing; one that was never confirmed is made anew."""
        ours = [hook for hook in await self._client.hooks.subscriptions(workspace) if hook.target_url == target]
        for hook in ours:
            if not hook.is_enabled:
                await self._client.hooks.unsubscribe(hook.id)
        enabled = {hook.event_type for hook in ours if hook.is_enabled}
        for kind in KINDS:
            if kind.value not in enabled:
                await self._client.hooks.confirm(await self._client.hooks.subscribe(workspace, kind.value, target))

    async def disconnect(self) -> None:
        """End the subscriptions. May be called more than once.

        Raises:
            SiteError: Prolific refuses, or cannot be asked.
        """
        for held in self._resources.held(WEBHOOKS):
            await end_subscriptions(self._client, held.details)
            await self._resources.released(held.number, "the run is over")


def holds_subscriptions(details: Mapping[str, object]) -> bool:
    """Return whether the details of a recorded resource are those of subscriptions."""
    return "target" in details


async def end_subscriptions(client: ProlificClient, details: Details) -> None:
    """End the subscriptions of a recorded resource, as far as there are any.

    Raises:
        SiteError: Prolific refuses, or cannot be asked.
    """
    for hook in await client.hooks.subscriptions(str(details["workspace"])):
        if hook.target_url == details["target"]:
            try:
                await client.hooks.unsubscribe(hook.id)
            except SiteMissingError:
                continue
