"""Every way in which a crowd site and the log can differ about one piece of work."""

from __future__ import annotations

import pytest

from mephisto_es.core.abstractions.crowd.differences import SiteDifference, difference
from mephisto_es.core.lifecycles.agent import AgentRecord, AgentStatus
from mephisto_es.core.lifecycles.onboarding import OnboardingRecord, OnboardingStatus
from mephisto_es.events.base import PayloadRef
from mephisto_es.events.engagement import SiteWorkStatus
from mephisto_es.events.ids import AgentId, AssignmentId, OnboardingAgentId, UnitId, WorkerId

D, A, S = SiteDifference, AgentStatus, SiteWorkStatus
DONE = PayloadRef("0" * 64, 2)


def agent(status: AgentStatus, submission: PayloadRef | None = DONE) -> AgentRecord:
    return AgentRecord(status, AgentId(1), UnitId(1), AssignmentId(1), WorkerId(1), "t", "r", submission=submission)


@pytest.mark.parametrize(
    ("status", "shown", "expected"),
    [
        (A.COMPLETED, None, D.NOT_COMPLETED),
        (A.COMPLETED, S.WORKING, D.NOT_COMPLETED),
        (A.TIMEOUT, S.TIMED_OUT, D.NOT_COMPLETED),
        (A.COMPLETED, S.SUBMITTED, None),
        (A.COMPLETED, S.RETURNED, D.RETURNED_THERE),
        (A.REJECTED, S.RETURNED, None),
        (A.COMPLETED, S.APPROVED, D.DECIDED_THERE),
        (A.COMPLETED, S.REJECTED, D.DECIDED_THERE),
        (A.COMPLETED, S.SCREENED_OUT, None),
        (A.REJECTED, S.SUBMITTED, D.NOT_REJECTED),
        (A.REJECTED, S.REJECTED, None),
        (A.REJECTED, S.APPROVED, D.APPROVED_THERE),
        (A.APPROVED, S.REJECTED, D.STILL_REJECTED),
        (A.SOFT_REJECTED, S.REJECTED, D.STILL_REJECTED),
        (A.APPROVED, S.SUBMITTED, None),
        (A.APPROVED, S.APPROVED, None),
    ],
)
def test_submitted_work(status: AgentStatus, shown: SiteWorkStatus | None, expected: SiteDifference | None) -> None:
    assert difference(agent(status), shown) is expected


@pytest.mark.parametrize(
    ("status", "shown", "expected"),
    [
        (A.IN_TASK, None, None),
        (A.IN_TASK, S.WORKING, None),
        (A.IN_TASK, S.RETURNED, D.STILL_AT_WORK),
        (A.TIMEOUT, S.RETURNED, None),
        (A.IN_TASK, S.SUBMITTED, D.NOT_SUBMITTED),
        (A.RETURNED, S.APPROVED, D.NOT_SUBMITTED),
    ],
)
def test_work_without_a_submission(
    status: AgentStatus, shown: SiteWorkStatus | None, expected: SiteDifference | None
) -> None:
    assert difference(agent(status, None), shown) is expected


def test_people_who_were_not_admitted() -> None:
    failed = OnboardingRecord(OnboardingStatus.REJECTED, OnboardingAgentId(1), WorkerId(1), "t", "r")
    at_it = OnboardingRecord(OnboardingStatus.ONBOARDING, OnboardingAgentId(1), WorkerId(1), "t", "r")
    assert difference(failed, S.WORKING) is D.NOT_SCREENED_OUT
    assert difference(failed, S.SCREENED_OUT) is None
    assert difference(at_it, S.WORKING) is difference(None, S.WORKING) is None
    assert difference(at_it, S.SUBMITTED) is difference(None, S.SUBMITTED) is D.NOT_SUBMITTED
