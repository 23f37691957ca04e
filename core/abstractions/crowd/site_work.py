"""Defines one form for the work at every crowd site, and the orders that a site carries out on it.

A site acts by itself and people act on its pages, so an observation is a fact beside our verdict and never
overrides it. An unknown status means "look again".
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum

import msgspec

from ....events.engagement import SiteWorkStatus
from ...errors import MephistoError

DAY_SECONDS = 24 * 3600

#: Statuses of work that its worker has finished, whatever was decided since.
FINISHED_STATUSES = frozenset(
    {
        SiteWorkStatus.SUBMITTED,
        SiteWorkStatus.APPROVED,
        SiteWorkStatus.PARTIALLY_APPROVED,
        SiteWorkStatus.REJECTED,
        SiteWorkStatus.SCREENED_OUT,
    }
)
#: Statuses of work that holds a place for good.
FILLED_STATUSES = frozenset({SiteWorkStatus.SUBMITTED, SiteWorkStatus.APPROVED, SiteWorkStatus.PARTIALLY_APPROVED})


class ListRefusedError(MephistoError):
    """The site does not change a list of workers, and will not if it is asked again."""


class ListFrozenError(ListRefusedError):
    """The site has closed a list of workers to changes for good: nothing is left to be done about it."""


class SiteWork(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work, as a site shows it. Its ids are personal values."""

    #: The site's id of the work: approvals and bonuses go to it.
    handle: str
    #: The site's id of the person; None: the site does not show it.
    participant: str | None
    status: SiteWorkStatus
    #: The site's id of its study or project; None: the site does not show it.
    study: str | None = None
    #: When the person started and completed it, in seconds since the epoch; None: unknown or not yet.
    started_at: float | None = None
    completed_at: float | None = None
    #: The completion code that was entered.
    code: str | None = None
    #: All bonuses so far, without a fixed reward for being screened out.
    bonus_cents: int = 0
    #: When the site approves it by itself; None: it does not, or it is decided.
    approved_by_site_at: float | None = None
    #: True if its return was requested.
    return_requested: bool = False


class WorkAction(Enum):
    """Actions on one piece of work beside paying for it."""

    #: The worker submitted it to us: mark it as finished at the site.
    COMPLETE = "complete"
    #: The worker was not admitted: end it with the site's fixed reward for that.
    SCREEN_OUT = "screen out"
    REJECT = "reject"
    #: Take a rejection back, so that it can be approved.
    REVERSE_REJECTION = "reverse the rejection"
    REQUEST_RETURN = "request the return"
    #: Send its worker a message.
    MESSAGE = "message"


class WorkOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An action on one piece of work at a site. Its ids and its text are personal values."""

    action: WorkAction
    #: The site's id of the work.
    handle: str
    #: The site's id of the study or project; None: that of the run.
    study: str | None = None
    #: The site's id of the person; None: unknown.
    participant: str | None = None
    #: The reason for a rejection or return, or the message.
    text: str = ""


class SiteAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that offers work, as its site describes it."""

    #: The account, in words that are no secret.
    name: str
    #: For instance USD; None: the site has no money.
    currency: str | None = None
    #: The money that is not set aside; None: the site does not tell.
    available_cents: int | None = None
    #: The cost of the order that was asked about, with fees and taxes; None: the site does not tell.
    cost_cents: int | None = None
    #: The least hourly pay that the site accepts, in cents; None: the site does not tell.
    minimum_hourly_cents: int | None = None
    #: Minutes that the work takes, as the run's configuration tells the site; None: it tells nothing.
    estimated_minutes: int | None = None


def seconds_of(text: str | None) -> float | None:
    """Return a site's time in seconds since the epoch; None: there is none, or it cannot be read.

    Args:
        text: ISO 8601. Without a zone it is UTC, as the sites' documentation says.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
