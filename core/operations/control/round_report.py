"""Reports a round of reconciliation between a run and its crowd site."""

from __future__ import annotations

from enum import Enum

import msgspec

from ....events.ids import WorkerId
from ...abstractions.crowd.differences import SiteDifference


class RoundOutcome(Enum):
    """Result of a round for one difference."""

    SETTLED = "settled"
    #: The next round tries again.
    PENDING = "pending"
    #: The site, or its rules, do not allow it.
    REFUSED = "refused"
    FOR_PERSON = "a person has to decide"


class DifferenceReport(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between site and log after a round; `handle` and `note` may be personal values."""

    difference: SiteDifference
    outcome: RoundOutcome
    #: None: the log does not know the worker.
    worker: WorkerId | None = None
    #: The agent's or onboarding agent's stream; None: there is none.
    stream: str | None = None
    #: Why it is not settled.
    reason: str = ""
    #: The site's id of work that nobody asked for here, such as a survey code; None: the log knows the work.
    handle: str | None = None
    #: The reason that a person gave for paying by other means; None: nobody did, or without a reason.
    note: str | None = None


def unknown_work(handle: str) -> DifferenceReport:
    """Return the difference that is finished work which nobody asked for here."""
    return DifferenceReport(difference=SiteDifference.UNKNOWN_HERE, outcome=RoundOutcome.FOR_PERSON, handle=handle)


class ListReport(msgspec.Struct, frozen=True, kw_only=True):
    """A list of workers at the site after a round, without personal values."""

    #: The name of the qualification; None: the list of blocked workers.
    qualification: str | None
    outcome: RoundOutcome
    #: Why it is not settled.
    reason: str = ""
    #: Workers whom the site has put into the list on our request.
    told: int = 0
    #: Workers whom somebody has put in, or taken out, on the site's pages.
    put_in_there: tuple[WorkerId, ...] = ()
    taken_out_there: tuple[WorkerId, ...] = ()


class RoundReport(msgspec.Struct, frozen=True, kw_only=True):
    """A round of reconciliation."""

    #: Places that the run wants in all; None: it offers nothing.
    wanted: int | None
    #: Places that the site has; None: it was not asked for any.
    offered: int | None
    #: Pieces of work that the site showed; None: it was not asked.
    observed: int | None
    differences: tuple[DifferenceReport, ...]
    #: Pieces of work without a verdict that the site approves by itself, and the first time at which it does so, in
    #: seconds since the epoch; None: there are none.
    unreviewed: int = 0
    approved_by_site_at: int | None = None
    #: Pieces of work that were taken in from the site, and the reasons for which others were not.
    taken_in: int = 0
    not_taken_in: tuple[str, ...] = ()
    #: True if somebody, or the site itself, has paused the offer there.
    is_paused_there: bool = False
    #: The lists of workers that the site keeps after ours.
    lists: tuple[ListReport, ...] = ()
    #: One sentence for each difference between the log's payments and the site's, of work without another difference,
    #: and what to do about wrong decisions among them. Only for rounds that somebody asked for.
    money: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()

    #: Seconds until a list of the site shows work for certain that it did not show now; None: it showed all of it.
    look_again_seconds: float | None = None

    @property
    def open(self) -> tuple[DifferenceReport, ...]:
        """The differences that are still there."""
        return tuple(one for one in self.differences if one.outcome is not RoundOutcome.SETTLED)

    @property
    def is_settled(self) -> bool:
        """True if log and site agree, as far as this round could tell."""
        return not (self.open or self.money) and all(one.outcome is RoundOutcome.SETTLED for one in self.lists)


class BooksReport(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of the log's payments with the site's, without personal values."""

    #: Pieces of work that were compared.
    compared: int
    #: One sentence for each difference.
    faults: tuple[str, ...]
    #: One sentence for each piece of work that a person has paid by other means, and that the site does not pay.
    settled: tuple[str, ...] = ()
    #: One sentence for each piece of work whose payments were perhaps settled wrongly.
    next_steps: tuple[str, ...] = ()
