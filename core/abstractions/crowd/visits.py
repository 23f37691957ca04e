"""Defines what a crowd provider says of a page that asks for work, before anybody is looked up or registered.

A provider whose address anybody may open says nothing. One whose address is personal, or that admits a number of
people, gives terms, which the run's ledger then decides on.
"""

from __future__ import annotations

from typing import NamedTuple

from ....events.engagement import RefusalReason
from ...errors import MephistoError
from ...packet_data import ProviderData


class VisitRefusedError(MephistoError):
    """A page may not be let in: its address is not one that lets people in.

    Attributes:
        reason: the reason that the page is given.
    """

    def __init__(self, reason: RefusalReason) -> None:
        self.reason = reason
        super().__init__(f"a page may not be let in: {reason.value}")


class VisitTerms(NamedTuple):
    """A page that may be let in, and the limits under which."""

    #: What the page says, corrected by what the provider knows for certain.
    page: ProviderData
    #: The id of a pass that one browser may use, for instance a personal invitation; None: the page needs none.
    invitation: str | None = None
    #: The number of people who may be let into the run; None: there is no limit.
    max_people: int | None = None

    @property
    def is_limited(self) -> bool:
        """True if not everybody is let in."""
        return self.invitation is not None or self.max_people is not None
