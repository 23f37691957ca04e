"""Shows Prolific's submissions as work at any site, and offers places of a study."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ....core.abstractions.crowd.site_work import DAY_SECONDS, SiteWork, seconds_of
from ....events.engagement import SiteWorkStatus
from ..api.errors import SiteMissingError, SiteRefusedError
from .api.answers import ProlificStudy, ProlificStudyStatus, ProlificSubmission, ProlificSubmissionStatus
from .api.client import ProlificClient
from .api.studies import StudyAction

#: Unreviewed work is approved by the site after this.
AUTO_APPROVAL_DAYS = 21

_STATUSES = {
    ProlificSubmissionStatus.RESERVED: SiteWorkStatus.RESERVED,
    ProlificSubmissionStatus.ACTIVE: SiteWorkStatus.WORKING,
    ProlificSubmissionStatus.TIMED_OUT: SiteWorkStatus.TIMED_OUT,
    ProlificSubmissionStatus.AWAITING_REVIEW: SiteWorkStatus.SUBMITTED,
    ProlificSubmissionStatus.APPROVED: SiteWorkStatus.APPROVED,
    ProlificSubmissionStatus.PARTIALLY_APPROVED: SiteWorkStatus.PARTIALLY_APPROVED,
    ProlificSubmissionStatus.SCREENED_OUT: SiteWorkStatus.SCREENED_OUT,
    ProlificSubmissionStatus.RETURNED: SiteWorkStatus.RETURNED,
    ProlificSubmissionStatus.REJECTED: SiteWorkStatus.REJECTED,
    ProlificSubmissionStatus.UNKNOWN: SiteWorkStatus.UNKNOWN,
}
#: Statuses of a study that admits nobody: its places are taken, or it was stopped.
_FULL_OR_STOPPED = frozenset({ProlificStudyStatus.AWAITING_REVIEW, ProlificStudyStatus.COMPLETED})


class ProlificStudyPlaces:
    """The places of one published study, and the work on them."""

    def __init__(self, client: ProlificClient, study_id: str, fixed_reward_cents: int | None = None) -> None:
        """Keep the study.

        Args:
            client: the site.
            study_id: the study.
            fixed_reward_cents: its fixed screen-out reward; None: it has none.
        """
        self._client = client
        self._study_id = study_id
        self._fixed_reward_cents = fixed_reward_cents

    async def set_places(self, wanted: int, *, may_start: bool = True) -> int | None:
        """Raise the places to a number, and publish or start a study that waits.

        Args:
            wanted: the number.
            may_start: False to leave a paused study as it is: the site or a person has paused it.

        Returns:
            The places that it has now; None if it was stopped and can only be followed by another one.

        Raises:
            SiteError: the site refuses, or could not be asked.
        """
        study = await self._client.studies.get(self._study_id)
        is_draft = study.status is ProlificStudyStatus.UNPUBLISHED
        if study.total_available_places < wanted or (is_draft and study.total_available_places > wanted):
            study = await self._client.studies.set_places(self._study_id, wanted)
        if is_draft:
            study = await self._client.studies.transition(self._study_id, StudyAction.PUBLISH)
        # A study that we have paused is started also if all its places are taken: somebody may return one.
        is_ours_to_start = study.status is ProlificStudyStatus.PAUSED and may_start
        if is_ours_to_start or _has_room(study, wanted):
            try:
                study = await self._client.studies.transition(self._study_id, StudyAction.START)
            except SiteRefusedError:
                # It may have been started by a call whose answer was lost.
                study = await self._client.studies.get(self._study_id)
                if _has_room(study, wanted) and may_start:
                    return None
                if study.status is not ProlificStudyStatus.ACTIVE:
                    raise
        return study.total_available_places

    async def exist(self) -> bool:
        """Return False if the study was deleted: a draft, by a person or by an operator that died just then."""
        try:
            await self._client.studies.get(self._study_id)
        except SiteMissingError:
            return False
        return True

    async def is_paused(self) -> bool:
        """Return whether the study is paused, or admits nobody although places are free: a person has stopped it."""
        study = await self._client.studies.get(self._study_id)
        return study.status is ProlificStudyStatus.PAUSED or _has_room(study, study.total_available_places)

    async def withdraw(self) -> None:
        """Pause the study."""
        study = await self._client.studies.get(self._study_id)
        if study.status is ProlificStudyStatus.ACTIVE:
            await self._client.studies.transition(self._study_id, StudyAction.PAUSE)

    async def stop(self) -> None:
        """Offer no place any more, and delete a study that was never published. Twice is harmless."""
        study = await self._client.studies.get(self._study_id)
        if study.status is ProlificStudyStatus.UNPUBLISHED:
            await self._client.studies.delete(self._study_id)
        elif study.status is not ProlificStudyStatus.COMPLETED:
            try:
                await self._client.studies.transition(self._study_id, StudyAction.STOP)
            except SiteRefusedError:
                # It may have been stopped by a call whose answer was lost.
                if (await self._client.studies.get(self._study_id)).status is not ProlificStudyStatus.COMPLETED:
                    raise

    async def observe(self) -> Sequence[SiteWork]:
        """Return the submissions."""
        submissions = await self._client.submissions.of_study(self._study_id)
        works = (site_work(submission, self._fixed_reward_cents) for submission in submissions)
        return [replace(work, study=self._study_id) for work in works]


def site_work(submission: ProlificSubmission, fixed_reward_cents: int | None = None) -> SiteWork:
    """Return a submission as work at any site."""
    completed = seconds_of(submission.completed_at)
    waits = submission.status is ProlificSubmissionStatus.AWAITING_REVIEW and completed is not None
    return SiteWork(
        handle=submission.id,
        participant=submission.participant,
        status=_STATUSES[submission.status],
        started_at=seconds_of(submission.started_at),
        completed_at=completed,
        code=submission.code,
        bonus_cents=submission.bonus_without_screen_out_cents(fixed_reward_cents),
        approved_by_site_at=(completed or 0) + AUTO_APPROVAL_DAYS * DAY_SECONDS if waits else None,
        return_requested=submission.return_requested is not None,
    )


def _has_room(study: ProlificStudy, wanted: int) -> bool:
    """Return True if a study admits nobody although places are free: it waits to be started, or was stopped."""
    return study.status in _FULL_OR_STOPPED and study.places_taken < wanted
