"""Compares a crowd site with the log about a piece of work, and derives what follows: pure."""

from __future__ import annotations

from enum import Enum

from ....events.engagement import PAID_THERE_STATUSES, SiteWorkStatus
from ...lifecycles.agent import AT_WORK_STATUSES, AgentRecord, AgentStatus
from ...lifecycles.onboarding import OnboardingRecord, OnboardingStatus
from .site_work import FILLED_STATUSES, FINISHED_STATUSES, WorkAction

_S = SiteWorkStatus

#: Statuses of work whose place somebody else may take.
TAKEN_BACK_STATUSES = frozenset({_S.RETURNED, _S.TIMED_OUT})
#: Statuses of work that its worker has not completed at the site.
UNFINISHED_STATUSES = frozenset({_S.RESERVED, _S.WORKING, _S.TIMED_OUT, _S.UNFINISHED, _S.UNKNOWN})
_UNFINISHED = UNFINISHED_STATUSES | {None}
_PAID_HERE = frozenset({AgentStatus.APPROVED, AgentStatus.SOFT_REJECTED})


class SiteDifference(Enum):
    """Ways in which a site and the log differ about one piece of work. The first five are removed by the reconciler.

    The last two are found by the payments of the work, and not by `difference`.
    """

    NOT_COMPLETED = "submitted here, and not completed at the provider"
    NOT_REJECTED = "rejected here, and waiting at the provider"
    STILL_REJECTED = "accepted here, and rejected at the provider"
    NOT_SCREENED_OUT = "not admitted here, and open at the provider"
    STILL_AT_WORK = "returned at the provider, and at work here"
    NOT_SUBMITTED = "completed at the provider, and nothing was submitted here"
    RETURNED_THERE = "submitted here, and returned at the provider: an approval is not possible there any more"
    APPROVED_THERE = "rejected here, and approved at the provider"
    DECIDED_THERE = "without a verdict here, and decided at the provider"
    PAID_ELSEWHERE = "paid by other means, and waiting at the provider, which will pay it too"
    PAID_TWICE = "paid by other means, and paid at the provider too"
    UNKNOWN_HERE = "completed at the provider, and its page never asked for work here"


#: What the reconciler asks the site for, to remove a difference.
ACTIONS = {
    SiteDifference.NOT_COMPLETED: WorkAction.COMPLETE,
    SiteDifference.NOT_REJECTED: WorkAction.REJECT,
    SiteDifference.STILL_REJECTED: WorkAction.REVERSE_REJECTION,
    SiteDifference.NOT_SCREENED_OUT: WorkAction.SCREEN_OUT,
}
#: The status of the work at the site once an action has been carried out.
STATUS_AFTER = {
    WorkAction.COMPLETE: _S.SUBMITTED,
    WorkAction.REJECT: _S.REJECTED,
    WorkAction.REVERSE_REJECTION: _S.SUBMITTED,
    WorkAction.SCREEN_OUT: _S.SCREENED_OUT,
}


def difference(work: AgentRecord | OnboardingRecord | None, shown: SiteWorkStatus | None) -> SiteDifference | None:
    """Return how the log and the site differ about one place; None: they agree, as far as anybody knows.

    Args:
        work: what the worker of the place does here; None: nothing, for instance because there was no work.
        shown: the status at the site; None: it has not been observed.
    """
    if isinstance(work, AgentRecord):
        return _of_agent(work, shown)
    if isinstance(work, OnboardingRecord) and work.status is OnboardingStatus.REJECTED and shown in _UNFINISHED:
        return SiteDifference.NOT_SCREENED_OUT
    return SiteDifference.NOT_SUBMITTED if shown in FILLED_STATUSES else None


def _of_agent(agent: AgentRecord, shown: SiteWorkStatus | None) -> SiteDifference | None:
    if agent.submission is None:
        if shown is _S.RETURNED and agent.status in AT_WORK_STATUSES:
            return SiteDifference.STILL_AT_WORK
        return SiteDifference.NOT_SUBMITTED if shown in FILLED_STATUSES else None
    if shown in _UNFINISHED:
        return SiteDifference.NOT_COMPLETED
    if shown is _S.RETURNED:
        return None if agent.status is AgentStatus.REJECTED else SiteDifference.RETURNED_THERE
    if agent.status is AgentStatus.REJECTED:
        return _of_rejected(shown)
    if agent.status in _PAID_HERE:
        return SiteDifference.STILL_REJECTED if shown is _S.REJECTED else None
    return SiteDifference.DECIDED_THERE if shown in PAID_THERE_STATUSES | {_S.REJECTED} else None


def _of_rejected(shown: SiteWorkStatus | None) -> SiteDifference | None:
    if shown is _S.SUBMITTED:
        return SiteDifference.NOT_REJECTED
    return SiteDifference.APPROVED_THERE if shown in PAID_THERE_STATUSES else None


def fills_place(shown: SiteWorkStatus) -> bool:
    """Return True if work in this status holds a place at the site for good."""
    return shown in FILLED_STATUSES


def is_news(shown: SiteWorkStatus) -> bool:
    """Return True if a status is worth an event: a worker who is at work is known to be."""
    return shown in FINISHED_STATUSES | TAKEN_BACK_STATUSES
