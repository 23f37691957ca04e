"""Prolific's calls about studies: make, find, publish, pause, stop, add places, test."""

from __future__ import annotations

from enum import Enum

import msgspec

from ...api.calls import Repeat, SiteCall, json_as, no_content, path_id
from ...api.transport import SiteTransport
from .answers import ProlificStudy, ProlificStudyCost, ProlificTestStudy
from .listing import all_items
from .study_request import StudyRequest

_read_study = json_as(ProlificStudy)
_read_cost = json_as(ProlificStudyCost)
_read_test_study = json_as(ProlificTestStudy)
_read_counts = json_as(dict[str, int])


class StudyAction(Enum):
    """Actions that change a study's status (`studies/transition-study`)."""

    PUBLISH = "PUBLISH"
    PAUSE = "PAUSE"
    START = "START"
    STOP = "STOP"


class ProlificStudies:
    """The studies of an account."""

    def __init__(self, transport: SiteTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    async def create(self, study: StudyRequest) -> ProlificStudy:
        """Make a draft of a study (`studies/create-study`).

        Raises:
            SiteRefusedError: a field is wrong, or the workspace does not have a feature that the study uses.
            EffectUnknownError, SiteThrottledError: look for its internal name before making it again.
        """
        return await self._transport.call(
            SiteCall(
                operation="create a study",
                method="POST",
                path="/api/v1/studies/",
                body=msgspec.json.encode(study),
                read=_read_study,
                repeat=Repeat.NEVER,
            )
        )

    async def list_all(self, project_id: str | None = None) -> list[ProlificStudy]:
        """Return the account's studies, or those of a project (`studies/get-studies`, `get-project-studies`)."""
        path = f"/api/v1/projects/{path_id(project_id)}/studies/" if project_id else "/api/v1/studies/"
        return await all_items(self._transport, "list studies", path, ProlificStudy)

    async def find(self, internal_name: str, project_id: str | None = None) -> list[ProlificStudy]:
        """Return the studies of this internal name: tells if a study whose answer was lost had been made."""
        return [study for study in await self.list_all(project_id) if study.internal_name == internal_name]

    async def get(self, study_id: str) -> ProlificStudy:
        """Return a study (`studies/get-study`)."""
        return await self._transport.call(
            SiteCall(
                operation="read a study",
                method="GET",
                path=f"/api/v1/studies/{path_id(study_id)}/",
                read=_read_study,
                repeat=Repeat.READ,
            )
        )

    async def set_places(self, study_id: str, places: int) -> ProlificStudy:
        """Set the number of places, an absolute number that can only grow once published (`studies/update-study`)."""
        return await self._update(study_id, "set the places of a study", {"total_available_places": places})

    async def rename(self, study_id: str, internal_name: str) -> ProlificStudy:
        """Set the name that participants do not see (`studies/update-study`)."""
        return await self._update(study_id, "rename a study", {"internal_name": internal_name})

    async def transition(self, study_id: str, action: StudyAction) -> ProlificStudy:
        """Publish, pause, start or stop a study (`studies/transition-study`).

        Raises:
            SiteRefusedError: the status does not allow it, or the balance is too small.
            EffectUnknownError: read the study's status before asking again.
        """
        return await self._transport.call(
            SiteCall(
                operation=f"{action.value.lower()} a study",
                method="POST",
                path=f"/api/v1/studies/{path_id(study_id)}/transition/",
                body=msgspec.json.encode({"action": action}),
                read=_read_study,
                repeat=Repeat.THROTTLED,
            )
        )

    async def delete(self, study_id: str) -> None:
        """Delete a study that was never published (`studies/delete-study`)."""
        await self._transport.call(
            SiteCall(
                operation="delete a study",
                method="DELETE",
                path=f"/api/v1/studies/{path_id(study_id)}/",
                read=no_content,
                repeat=Repeat.THROTTLED,
            )
        )

    async def counts(self, study_id: str) -> dict[str, int]:
        """Return how many submissions have which status (`studies/get-study-submissions-counts`): a cheap poll."""
        return await self._transport.call(
            SiteCall(
                operation="count a study's submissions",
                method="GET",
                path=f"/api/v1/studies/{path_id(study_id)}/submissions/counts/",
                read=_read_counts,
                repeat=Repeat.READ,
            )
        )

    async def cost(self, study_id: str) -> ProlificStudyCost:
        """Return what a study has cost so far (`studies/get-study-cost`)."""
        return await self._transport.call(
            SiteCall(
                operation="read a study's cost",
                method="GET",
                path=f"/api/v1/studies/{path_id(study_id)}/cost/",
                read=_read_cost,
                repeat=Repeat.READ,
            )
        )

    async def make_test(self, study_id: str) -> ProlificTestStudy:
        """Make a copy of a study for test participants (`studies/test-study`)."""
        return await self._transport.call(
            SiteCall(
                operation="make a test study",
                method="POST",
                path=f"/api/v1/studies/{path_id(study_id)}/test-study/",
                read=_read_test_study,
                repeat=Repeat.THROTTLED,
            )
        )

    async def _update(self, study_id: str, operation: str, fields: dict[str, object]) -> ProlificStudy:
        return await self._transport.call(
            SiteCall(
                operation=operation,
                method="PATCH",
                path=f"/api/v1/studies/{path_id(study_id)}/",
                body=msgspec.json.encode(fields),
                read=_read_study,
                repeat=Repeat.IDEMPOTENT,
            )
        )
