"""Reads and changes the participant groups at Prolific that follow lists of workers here."""

from __future__ import annotations

from collections.abc import Collection

from omegaconf import DictConfig

from ....core.abstractions.crowd.site_work import ListRefusedError
from ..api.errors import SiteMissingError, SiteRefusedError
from .api.client import ProlificClient
from .workspace import find_workspace


class OwnGroups:
    """The participant groups that a run keeps up to date, by their names."""

    def __init__(self, client: ProlificClient, args: DictConfig) -> None:
        """Keep the parts.

        Args:
            client: the site.
            args: the run's whole configuration.
        """
        self._client = client
        self._args = args
        self._ids: dict[str, str] = {}

    async def members(self, name: str) -> Collection[str]:
        """Return the participants in a group; nobody, if it does not exist.

        Raises:
            SiteError: Prolific refuses, or cannot be asked.
        """
        if name not in self._ids:
            workspace = await find_workspace(self._client, self._args)
            if (found := await workspace.group_id(name)) is None:
                return ()
            self._ids[name] = found
        try:
            return await self._client.people.members(self._ids[name])
        except SiteMissingError:
            # It was deleted, and the next change makes another one.
            del self._ids[name]
            return ()

    async def update(self, name: str, wanted: Collection[str], unwanted: Collection[str]) -> None:
        """Add the wanted people who are missing, and remove the unwanted ones who are there; others stay.

        The group is created if it does not exist. Repeating the call changes nothing more.

        Raises:
            ListRefusedError: Prolific does not do it.
            SiteError: Prolific cannot be asked, or has lost the group.
        """
        try:
            if name not in self._ids:
                workspace = await find_workspace(self._client, self._args)
                self._ids[name] = await workspace.own_group_id(name)
            await self._client.people.update_members(self._ids[name], wanted, unwanted)
        except SiteMissingError:
            self._ids.pop(name, None)
            raise
        except SiteRefusedError as error:
            raise ListRefusedError(str(error)) from error
