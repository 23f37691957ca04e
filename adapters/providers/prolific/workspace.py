"""Finds the workspace of a run at Prolific, and what belongs to it: project, groups, rates."""

from __future__ import annotations

from omegaconf import DictConfig

from ....core.decisions.settlement import CrowdSite
from ....core.errors import LaunchError
from ..terms import TERMS
from .api.client import ProlificClient


class Workspace:
    """One workspace of an account."""

    def __init__(self, client: ProlificClient, workspace_id: str, title: str, args: DictConfig) -> None:
        """Keep the facts.

        Args:
            client: the site.
            workspace_id: the site's id.
            title: its name.
            args: the run's whole configuration.
        """
        self.id = workspace_id
        self.title = title
        self._client = client
        self._args = args

    async def project_id(self) -> str:
        """Return the id of the run's project, which is created if it does not exist."""
        title = str(self._args.provider.prolific_project_name)
        for project in await self._client.accounts.projects(self.id):
            if project.title == title:
                return project.id
        return (await self._client.accounts.create_project(self.id, title)).id

    async def group_id(self, name: str) -> str | None:
        """Return the id of a participant group; None: there is none of that name."""
        groups = await self._client.people.groups(self.id)
        return next((group.id for group in groups if group.name == name and not group.is_deleted), None)

    async def block_group_id(self) -> str:
        """Return the id of the participant group of blocked workers, which is created if it does not exist."""
        return await self.own_group_id(str(self._args.provider.prolific_block_list_group_name))

    async def allow_group_id(self) -> str | None:
        """Return the id of the group that may take part; None: everybody may. One that we keep is created."""
        name = str(self._args.provider.prolific_allow_list_group_name)
        is_ours = name in self._args.provider.prolific_qualification_groups.values()
        return await (self.own_group_id(name) if is_ours else self.group_id(name))

    async def own_group_id(self, name: str) -> str:
        """Return the id of a participant group that we keep, which is created if it does not exist."""
        return await self.group_id(name) or (await self._client.people.create_group(self.id, name)).id

    async def minimum_hourly_cents(self) -> int:
        """Return the least hourly pay that the site accepts; the table's figure if it does not tell."""
        balance = await self._client.accounts.balance(self.id)
        rates = await self._client.accounts.pay_advice(self.id, balance.currency_code)
        if rates is not None:
            return rates.minimum_cents
        return TERMS[CrowdSite.PROLIFIC].minimum_hourly_cents.get(balance.currency_code, 0)


async def find_workspace(client: ProlificClient, args: DictConfig) -> Workspace:
    """Return the workspace of a run.

    Raises:
        SiteError: the site cannot be asked.
        LaunchError: there is no workspace of that name.
    """
    wanted = str(args.provider.prolific_workspace_name)
    found = await client.accounts.workspaces()
    for workspace in found:
        if workspace.title.casefold() == wanted.casefold():
            return Workspace(client, workspace.id, workspace.title, args)
    names = ", ".join(repr(workspace.title) for workspace in found) or "none"
    raise LaunchError(
        "provider",
        f"the account has no workspace {wanted!r}: set mephisto.provider.prolific_workspace_name to one of {names}",
    )
