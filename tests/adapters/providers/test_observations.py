"""Work at both sites in one form, and places as absolute numbers."""

from __future__ import annotations

import pytest

from mephisto_es.adapters.fakes.faults import Fault
from mephisto_es.adapters.providers.connect.answers import (
    ConnectAssignment,
    ConnectAssignmentStatus,
    ConnectProjectStatus,
)
from mephisto_es.adapters.providers.connect.observe import site_work as connect_work
from mephisto_es.adapters.providers.connect.offer import close, pause, set_places
from mephisto_es.adapters.providers.prolific.api.answers import ProlificStudyStatus, ProlificSubmission
from mephisto_es.adapters.providers.prolific.api.answers import ProlificSubmissionStatus as Status
from mephisto_es.adapters.providers.prolific.api.studies import StudyAction
from mephisto_es.adapters.providers.prolific.observe import ProlificStudyPlaces
from mephisto_es.adapters.providers.prolific.observe import site_work as prolific_work
from mephisto_es.core.abstractions.crowd.site_work import DAY_SECONDS, seconds_of
from mephisto_es.events.engagement import SiteWorkStatus

from .fake_sites import SCREENED, open_connect, open_prolific, project_request, screen_out_code, study_request


@pytest.mark.parametrize("status", list(Status))
def test_each_status_of_prolific_has_a_name(status: Status) -> None:
    work = prolific_work(ProlificSubmission(id="s", status=status, participant_field="p"))
    assert (work.handle, work.participant) == ("s", "p")
    assert (work.status is SiteWorkStatus.UNKNOWN) == (status is Status.UNKNOWN)


def test_times_are_read_and_odd_ones_are_unknown() -> None:
    assert seconds_of("1970-01-01T00:01:00Z") == seconds_of("1970-01-01T00:01:00") == 60
    assert seconds_of("1970-01-01T01:01:00.5+01:00") == 60.5
    assert seconds_of(None) is seconds_of("yesterday") is seconds_of("") is None


def test_an_assignment_without_an_id_is_left_out() -> None:
    assert connect_work(ConnectAssignment()) is None
    work = connect_work(ConnectAssignment(participant_id="p", status=ConnectAssignmentStatus.PENDING))
    assert work is not None
    assert (work.handle, work.status) == ("p", SiteWorkStatus.UNFINISHED)


async def test_prolific_is_observed() -> None:
    async with open_prolific() as stage:
        codes = (*study_request().completion_codes, screen_out_code(20))
        study = (await stage.client.studies.create(study_request(2, completion_codes=codes))).id
        await stage.client.studies.transition(study, StudyAction.PUBLISH)
        places = ProlificStudyPlaces(stage.client, study, fixed_reward_cents=20)
        submitted = await stage.submission(study, "anna")
        screened = await stage.submission(study, "bert", code=None)
        await stage.client.submissions.complete(screened, SCREENED)
        seen = {one.handle: one for one in await places.observe()}
        assert seen[submitted].status is SiteWorkStatus.SUBMITTED
        assert seen[submitted].completed_at is not None
        left = (seen[submitted].approved_by_site_at or 0) - (seen[submitted].completed_at or 0)
        assert left == 21 * DAY_SECONDS
        assert (seen[screened].status, seen[screened].bonus_cents) == (SiteWorkStatus.SCREENED_OUT, 0)
        assert seen[screened].approved_by_site_at is None
        assert [await places.set_places(wanted) for wanted in (2, 5, 5, 3)] == [2, 5, 5, 5]
        await places.withdraw()
        await places.withdraw()
        assert (await stage.client.studies.get(study)).status is ProlificStudyStatus.PAUSED
        assert await places.set_places(5) == 5
        assert (await stage.client.studies.get(study)).status is ProlificStudyStatus.ACTIVE


async def test_a_study_is_started_and_stopped_although_the_answer_is_lost() -> None:
    async with open_prolific() as stage:
        study = (await stage.client.studies.create(study_request(2))).id
        await stage.client.studies.transition(study, StudyAction.PUBLISH)
        places = ProlificStudyPlaces(stage.client, study)
        await places.withdraw()
        stage.disturb(Fault.THROTTLED_AFTER, only="/transition")
        assert await places.set_places(2) == 2
        assert (await stage.client.studies.get(study)).status is ProlificStudyStatus.ACTIVE
        stage.disturb(Fault.THROTTLED_AFTER, only="/transition")
        await places.stop()
        assert (await stage.client.studies.get(study)).status is ProlificStudyStatus.COMPLETED
        assert await places.set_places(2) is None, "a study that was stopped needs a follow-up"


async def test_connect_is_observed() -> None:
    for flipped in ([], ["returned_stays"], ["status_is_shown"]):
        async with open_connect(*flipped) as stage:
            project = (await stage.client.projects.create(project_request(3))).project_id
            await stage.client.projects.move(project, ConnectProjectStatus.LIVE)
            done = await stage.assignment(project, "anna")
            await stage.assignment(project, "bert", completed=False)
            stage.site.clock.advance(3600)
            listed = [connect_work(one) for one in await stage.client.assignments.of_project(project)]
            seen = {one.participant: one for one in listed if one is not None}
            assert (seen["anna"].handle, seen["anna"].status) == (done, SiteWorkStatus.SUBMITTED)
            assert (seen["anna"].approved_by_site_at or 0) - (seen["anna"].completed_at or 0) == 14 * DAY_SECONDS
            assert ("bert" in seen) == (flipped == ["returned_stays"])
            assert "bert" not in seen or seen["bert"].status is SiteWorkStatus.UNFINISHED


async def test_connects_places_are_an_absolute_number() -> None:
    async with open_connect() as stage:
        client = stage.client
        project = (await client.projects.create(project_request(3))).project_id
        totals = [(await set_places(client, [project], wanted, may_start=True)).total for wanted in (1, 4, 4)]
        assert totals == [3, 4, 4]
        await pause(client, project)
        await pause(client, project)
        assert await client.projects.status(project) is ConnectProjectStatus.PAUSED
        found = await set_places(client, [project], 5, may_start=False)
        assert (found.total, found.is_paused_there) == (5, True)
        assert not (await set_places(client, [project], 5, may_start=True)).is_paused_there
        assert await client.projects.status(project) is ConnectProjectStatus.LIVE
        for _ in range(2):
            await close(client, await client.projects.get(project))
        assert await client.projects.status(project) is ConnectProjectStatus.CLOSED
        assert (await set_places(client, [project], 7, may_start=True)).missing == 7, "nobody took one of its places"
        left_alone = await set_places(client, [project], 7, may_start=False)
        assert (left_alone.missing, left_alone.is_paused_there) == (0, True)
        follow_up = (await client.projects.create(project_request(2, internal_name="token-2"))).project_id
        assert (await set_places(client, [project, follow_up], 7, may_start=True)).total == 7
        draft = await client.projects.create(project_request(2, internal_name="token-3"))
        await close(client, draft)
        assert await client.projects.status(draft.project_id) is ConnectProjectStatus.ARCHIVED


async def test_a_completed_project_may_take_no_more_places() -> None:
    async with open_connect("completed_is_final") as stage:
        project = (await stage.client.projects.create(project_request(1))).project_id
        await stage.client.projects.move(project, ConnectProjectStatus.LIVE)
        await stage.assignment(project, "anna")
        found = await set_places(stage.client, [project], 3, may_start=True)
        assert (found.total, found.missing) == (1, 2)
