"""Connect's calls about projects: make, find, launch, pause, close, add places."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from ....core.errors import ConfigError
from ..api.calls import Repeat, SiteCall, json_as, no_content, path_id
from ..api.transport import SiteTransport
from .answers import ConnectProject, ConnectProjectStatus, ConnectStatistics
from .project_request import ProjectChange, ProjectRequest, check_project

TOKEN_HEADER = "idempotency-token"
#: The site allows no more.
PAGE_SIZE = 100
#: A list of more pages is an error of the site's: it would never end.
MAX_PAGES = 1000
#: The moves that people can make (`Update project status`); Completed is the site's own.
LEGAL_MOVES = {
    ConnectProjectStatus.UNPUBLISHED: {ConnectProjectStatus.LIVE, ConnectProjectStatus.ARCHIVED},
    ConnectProjectStatus.LIVE: {ConnectProjectStatus.PAUSED},
    ConnectProjectStatus.PAUSED: {ConnectProjectStatus.LIVE, ConnectProjectStatus.CLOSED},
}


class _One(msgspec.Struct, frozen=True):
    project: ConnectProject


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    projects: list[ConnectProject] | None = None
    next_token: str | None = None


_read_project = json_as(_One)
_read_page = json_as(_Page)
_read_statistics = json_as(ConnectStatistics)
_encode = msgspec.json.Encoder(decimal_format="number").encode


class ConnectProjects:
    """The projects of an account."""

    def __init__(self, transport: SiteTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    async def create(self, project: ProjectRequest, token: str | None = None) -> ConnectProject:
        """Make an unpublished project (`Create a project`).

        Args:
            project: the project.
            token: an idempotency token that was never sent before.

        Raises:
            ConfigError: a field is out of the site's bounds.
            SiteRefusedError: the site does not take it, for instance because it pays too little.
            EffectUnknownError: look for its internal name before making it again.
        """
        check_project(project)
        made = await self._transport.call(
            SiteCall(
                operation="create a project",
                method="POST",
                path="/api/v1/project",
                body=_encode(project),
                headers=token_header(token),
                read=_read_project,
            )
        )
        return made.project

    async def iterate(self, status: ConnectProjectStatus | None = None) -> AsyncGenerator[ConnectProject]:
        """Yield the projects, newest first (`List projects`); a page's token is good for one hour.

        Args:
            status: only those in this status.

        Raises:
            SiteError: a page could not be had.
        """
        query = {"Size": str(PAGE_SIZE)} | ({"Status": status.value} if status else {})
        for _ in range(MAX_PAGES):
            page = await self._transport.call(
                SiteCall(
                    operation="list projects",
                    method="GET",
                    path="/api/v1/project",
                    query=query,
                    read=_read_page,
                    repeat=Repeat.READ,
                )
            )
            for project in page.projects or ():
                yield project
            if not page.next_token or not page.projects:
                return
            query = {**query, "NextToken": page.next_token}

    async def find(self, internal_name: str) -> list[ConnectProject]:
        """Return the projects of this internal name: tells if a project whose answer was lost had been made."""
        async with aclosing(self.iterate()) as projects:
            return [project async for project in projects if project.internal_name == internal_name]

    async def get(self, project_id: str) -> ConnectProject:
        """Return a project (`Retrieve a project`)."""
        got = await self._transport.call(
            SiteCall(
                operation="read a project",
                method="GET",
                path=f"/api/v1/project/{path_id(project_id)}",
                read=_read_project,
                repeat=Repeat.READ,
            )
        )
        return got.project

    async def status(self, project_id: str) -> ConnectProjectStatus:
        """Return a project's status; where the project itself does not say, the lists by status are searched."""
        project = await self.get(project_id)
        if project.status is not None:
            return project.status
        for status in ConnectProjectStatus:
            if status is ConnectProjectStatus.UNKNOWN:
                continue
            async with aclosing(self.iterate(status)) as projects:
                async for listed in projects:
                    if listed.project_id == project_id:
                        return status
        return ConnectProjectStatus.UNKNOWN

    async def change(self, project_id: str, change: ProjectChange, token: str | None = None) -> ConnectProject:
        """Change a project (`Edit a project`); once it was launched, places can only grow.

        Raises:
            EffectUnknownError: read the project. Places are an absolute number, so setting them again is harmless.
        """
        changed = await self._transport.call(
            SiteCall(
                operation="change a project",
                method="POST",
                path=f"/api/v1/project/{path_id(project_id)}",
                body=_encode(change),
                headers=token_header(token),
                read=_read_project,
                repeat=Repeat.IDEMPOTENT if token is None else Repeat.NEVER,
            )
        )
        return changed.project

    async def move(self, project_id: str, status: ConnectProjectStatus, token: str | None = None) -> None:
        """Launch, pause, close or archive a project (`Update project status`). To close a live one, pause it first.

        Raises:
            ConfigError: people cannot bring a project into this status.
            SiteRefusedError: the present status does not allow it, or the balance is too small.
            EffectUnknownError: read the status before asking again.
        """
        if not any(status in targets for targets in LEGAL_MOVES.values()):
            raise ConfigError(f"nobody can make a project {status.value or 'that'}; the site does")
        await self._transport.call(
            SiteCall(
                operation=f"make a project {status.value.lower()}",
                method="POST",
                path=f"/api/v1/project/{path_id(project_id)}/update-status",
                body=_encode({"status": status}),
                headers=token_header(token),
                read=no_content,
            )
        )

    async def statistics(self, project_id: str) -> ConnectStatistics:
        """Return counts of a project's assignments (`Retrieve project statistics`)."""
        return await self._transport.call(
            SiteCall(
                operation="read a project's statistics",
                method="GET",
                path=f"/api/v1/project/{path_id(project_id)}/statistics",
                read=_read_statistics,
                repeat=Repeat.READ,
            )
        )


def token_header(token: str | None) -> dict[str, str]:
    """Return the header of an idempotency token."""
    return {} if token is None else {TOKEN_HEADER: token}
