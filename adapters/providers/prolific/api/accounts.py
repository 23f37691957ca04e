"""Prolific's calls about the account: who the token belongs to, its workspaces, projects, money and pay advice."""

from __future__ import annotations

import msgspec

from ...api.calls import Repeat, SiteCall, json_as, path_id
from ...api.transport import SiteTransport
from .answers import ProlificBalance, ProlificCost, ProlificProject, ProlificRates, ProlificUser, ProlificWorkspace
from .listing import all_items

_read_user = json_as(ProlificUser)
_read_balance = json_as(ProlificBalance)
_read_workspace = json_as(ProlificWorkspace)
_read_project = json_as(ProlificProject)
_read_cost = json_as(ProlificCost)
_read_rates = json_as(list[ProlificRates])


class ProlificAccounts:
    """Account, workspaces and projects."""

    def __init__(self, transport: SiteTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    async def me(self) -> ProlificUser:
        """Return the account of the token (`users/get-user`): proves that the token is valid."""
        return await self._transport.call(
            SiteCall(
                operation="read the account",
                method="GET",
                path="/api/v1/users/me/",
                read=_read_user,
                repeat=Repeat.READ,
            )
        )

    async def workspaces(self) -> list[ProlificWorkspace]:
        """Return the workspaces of the account (`workspaces/get-workspaces`)."""
        return await all_items(self._transport, "list workspaces", "/api/v1/workspaces/", ProlificWorkspace)

    async def create_workspace(self, title: str) -> ProlificWorkspace:
        """Make a workspace (`workspaces/create-workspace`).

        Raises:
            EffectUnknownError: look for the title among the workspaces before making it again.
        """
        return await self._transport.call(
            SiteCall(
                operation="create a workspace",
                method="POST",
                path="/api/v1/workspaces/",
                body=msgspec.json.encode({"title": title}),
                read=_read_workspace,
                repeat=Repeat.THROTTLED,
            )
        )

    async def balance(self, workspace_id: str) -> ProlificBalance:
        """Return a workspace's money (`workspaces/get-workspace-balance`)."""
        return await self._transport.call(
            SiteCall(
                operation="read the balance",
                method="GET",
                path=f"/api/v1/workspaces/{path_id(workspace_id)}/balance/",
                read=_read_balance,
                repeat=Repeat.READ,
            )
        )

    async def projects(self, workspace_id: str) -> list[ProlificProject]:
        """Return a workspace's projects (`projects/get-projects`)."""
        path = f"/api/v1/workspaces/{path_id(workspace_id)}/projects/"
        return await all_items(self._transport, "list projects", path, ProlificProject)

    async def create_project(self, workspace_id: str, title: str) -> ProlificProject:
        """Make a project in a workspace (`projects/create-project`).

        Raises:
            EffectUnknownError: look for the title among the projects before making it again.
        """
        return await self._transport.call(
            SiteCall(
                operation="create a project",
                method="POST",
                path=f"/api/v1/workspaces/{path_id(workspace_id)}/projects/",
                body=msgspec.json.encode({"title": title}),
                read=_read_project,
                repeat=Repeat.THROTTLED,
            )
        )

    async def calculate_cost_cents(self, reward_cents: int, places: int) -> int:
        """Return the cents that a study costs with fees and VAT (`studies/calculate-study-cost`)."""
        cost = await self._transport.call(
            SiteCall(
                operation="calculate a study's cost",
                method="POST",
                path="/api/v1/study-cost-calculator/",
                body=msgspec.json.encode({"reward": reward_cents, "total_available_places": places}),
                read=_read_cost,
                repeat=Repeat.READ,
            )
        )
        return cost.total_cents

    async def pay_advice(
        self, workspace_id: str, currency: str, filter_ids: tuple[str, ...] = ()
    ) -> ProlificRates | None:
        """Return the newest hourly rates for a workspace (`reward-recommendations`); None: the site gives none.

        Args:
            workspace_id: the workspace.
            currency: USD or GBP.
            filter_ids: filters that the study will use.
        """
        query = {"workspace_id": workspace_id, "currency": currency}
        if filter_ids:
            query["screener_ids"] = ",".join(filter_ids)
        rates = await self._transport.call(
            SiteCall(
                operation="read the recommended pay",
                method="GET",
                path="/api/v1/reward-recommendations/",
                query=query,
                read=_read_rates,
                repeat=Repeat.READ,
            )
        )
        return rates[0] if rates else None
