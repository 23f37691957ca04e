"""Offers places of a run's projects at Connect as one absolute number, and withdraws them.

A project whose places are full completes itself. Nobody knows if such a project takes more places; where it does not,
a follow-up project is needed, which excludes the people of the earlier ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import trio

from ....core.decisions.settlement import LIST_LAG_SECONDS
from ..api.errors import SiteMissingError, SiteRefusedError, SiteUnavailableError
from ..effects import LOOK_AGAIN_SECONDS
from .answers import ConnectProject, ConnectProjectStatus
from .client import SITE, ConnectClient
from .project_request import ProjectChange

_S = ConnectProjectStatus
#: Statuses of a project that offers nothing, now or ever again.
_ENDED = frozenset({_S.CLOSED, _S.ARCHIVED})
#: Statuses of a project that admits nobody although it has free places.
NOT_OFFERING = _ENDED | {_S.PAUSED}


class PlacesAtConnect(NamedTuple):
    """The places of a run's projects."""

    #: Without those at an ended project whose people may yet leave: then the number has to be set again.
    total: int
    #: Places that only a follow-up project can have.
    missing: int = 0
    #: True if the last project is paused, and not by us.
    is_paused_there: bool = False


async def set_places(
    client: ConnectClient, project_ids: Sequence[str], wanted: int, *, may_start: bool
) -> PlacesAtConnect:
    """Raise the places of the last project so that all projects have a number, and launch it.

    Args:
        client: the site.
        project_ids: the run's projects, the present one last.
        wanted: places of all projects together.
        may_start: False to leave a project as it is that the site or a person has paused or closed.

    Raises:
        SiteError: the site refuses, or could not be asked.
    """
    used = [await _places_used(client, one) for one in project_ids[:-1]]
    earlier, for_good = sum(one.taken for one in used), sum(one.for_good for one in used)
    present = project_ids[-1]
    project, status = await client.projects.get(present), await _status(client, present)
    need = wanted - earlier
    if status in _ENDED:
        ended = await _places_used(client, present)
        missing = max(need - ended.taken, 0) if may_start else 0
        return PlacesAtConnect(for_good + ended.for_good, missing, is_paused_there=not may_start)
    if need > project.participants:
        try:
            project = await client.projects.change(present, ProjectChange(participants=need))
        except SiteRefusedError:
            if status is not _S.COMPLETED:
                raise
            return PlacesAtConnect(for_good + project.participants, need - project.participants)
    if status is _S.UNPUBLISHED or (status is _S.PAUSED and may_start):
        await client.projects.move(present, _S.LIVE)
    is_paused = status is _S.PAUSED and not may_start
    return PlacesAtConnect(for_good + project.participants, is_paused_there=is_paused)


class _Used(NamedTuple):
    """The places of an earlier project."""

    taken: int = 0
    #: Those whose work is completed.
    for_good: int = 0


async def _places_used(client: ConnectClient, project_id: str) -> _Used:
    """Return the places of an earlier project: all of one that is full, and those that were taken of one that ended.

    Raises:
        SiteError: the site refuses, or could not be asked.
    """
    with suppress(SiteMissingError):
        if await _status(client, project_id) not in _ENDED:
            places = (await client.projects.get(project_id)).participants
            return _Used(places, places)
        listed = await client.assignments.of_project(project_id)
        return _Used(len(listed), sum(one.completion_time is not None for one in listed))
    # A project that was never launched is archived when it is released, and may be gone.
    return _Used()


async def _status(client: ConnectClient, project_id: str) -> ConnectProjectStatus:
    """Return a project's status; the lists by status show a new project late.

    Raises:
        SiteUnavailableError: no list shows it within the lag of lists.
        SiteError: the site could not be asked.
    """
    for _ in range(int(LIST_LAG_SECONDS / LOOK_AGAIN_SECONDS)):
        status = await client.projects.status(project_id)
        if status is not _S.UNKNOWN:
            return status
        await trio.sleep(LOOK_AGAIN_SECONDS)
    raise SiteUnavailableError(SITE, "read a project's status", detail="no list shows the project")


async def pause(client: ConnectClient, project_id: str) -> None:
    """Pause a live project. Twice is harmless.

    Raises:
        SiteError: the site refuses, or could not be asked.
    """
    if await _status(client, project_id) is _S.LIVE:
        await client.projects.move(project_id, _S.PAUSED)


async def close(client: ConnectClient, project: ConnectProject) -> None:
    """End a project for good: a live one is paused first, and one that was never launched is archived.

    Raises:
        SiteError: the site refuses, or could not be asked.
    """
    status = await _status(client, project.project_id)
    if status is _S.UNPUBLISHED:
        await client.projects.move(project.project_id, _S.ARCHIVED)
        return
    if status is _S.LIVE:
        await client.projects.move(project.project_id, _S.PAUSED)
    if status in {_S.LIVE, _S.PAUSED}:
        await client.projects.move(project.project_id, _S.CLOSED)
