"""One form for the work at every site, for comparing a site's lists with the log.

A site acts by itself and people act on its pages, so an observation is a fact beside our verdict and never
overrides it. An unknown status means "look again".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Protocol

import msgspec

DAY_SECONDS = 24 * 3600


class SiteWorkStatus(Enum):
    """Statuses of a piece of work, whatever a site calls them."""

    RESERVED = "reserved"
    WORKING = "working"
    #: Completed, and nobody has decided.
    SUBMITTED = "submitted"
    APPROVED = "approved"
    #: A part of the reward was paid.
    PARTIALLY_APPROVED = "partially approved"
    REJECTED = "rejected"
    SCREENED_OUT = "screened out"
    RETURNED = "returned"
    TIMED_OUT = "timed out"
    #: Not finished, and the site does not tell if it ever will be.
    UNFINISHED = "unfinished"
    #: A status that the site's documentation does not have.
    UNKNOWN = "unknown"


class SiteWork(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work, as a site shows it. Its ids are personal values."""

    #: The site's id of the work: approvals and bonuses go to it.
    handle: str
    #: The site's id of the person; None: the site does not show it.
    participant: str | None
    status: SiteWorkStatus
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


class PlaceOffer(Protocol):
    """Places at a site for the units of a run, as absolute numbers."""

    async def set_places(self, wanted: int) -> int:
        """Bring the places at the site to a number, as far as the site allows.

        Returns:
            The places that the site has now; more than wanted where it cannot take any away.

        Raises:
            SiteError: the site could not be asked, or refused.
        """

    async def withdraw(self) -> None:
        """Offer no further place; people who are at work keep theirs. Twice is harmless.

        Raises:
            SiteError: the site could not be asked.
        """


class WorkObserver(Protocol):
    """Looks at all work of a run at a site. Webhooks only say when to look."""

    async def observe(self) -> Sequence[SiteWork]:
        """Return all work that the site shows.

        Raises:
            SiteError: the site could not be asked.
        """


def seconds_of(text: str | None) -> float | None:
    """Return a site's time in seconds since the epoch; None: there is none, or it cannot be read.

    Args:
        text: ISO 8601. Without a zone it is UTC, as both sites' documentation says.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def missing_from_log(seen: Sequence[SiteWork], known: Sequence[str]) -> list[SiteWork]:
    """Return submitted or decided work at the site whose handle the log does not have, ids compared without case.

    Args:
        seen: the work at the site.
        known: the handles in the log.
    """
    handles = {handle.casefold() for handle in known}
    finished = {SiteWorkStatus.SUBMITTED, SiteWorkStatus.APPROVED, SiteWorkStatus.PARTIALLY_APPROVED}
    return [work for work in seen if work.status in finished and work.handle.casefold() not in handles]
