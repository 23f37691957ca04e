"""Claims on work under review, so that two reviewers do not look at the same work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ...events.ids import UnitId

#: The time that a claim lasts after the page with the work was last loaded.
CLAIM_SECONDS = 300.0


class Claimant(NamedTuple):
    """A reviewer in one browser."""

    session: str
    #: The name under which the reviewer decides; empty for whoever started the server, which may be several people.
    author: str

    def is_same_person(self, other: Claimant) -> bool:
        """Return whether another session is certainly the same person's."""
        return self.session == other.session or bool(self.author and self.author == other.author)


class Claims:
    """The units that reviewers have open. They are only in memory: a claim decides nothing, it avoids double work."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Take a function that returns the time in seconds."""
        self._now = now
        self._held: dict[UnitId, tuple[Claimant, float]] = {}

    def claim(self, claimant: Claimant, unit: UnitId, *, takes_over: bool = False) -> bool:
        """Claim a unit, in place of the unit that the session had claimed.

        Args:
            claimant: who opens the unit.
            unit: the unit.
            takes_over: take it from another session that decides under the same name.

        Returns:
            False if somebody else holds it.
        """
        if self.is_held_by_other(claimant, unit) and not (takes_over and self._is_under_same_name(claimant, unit)):
            return False
        self.release(claimant)
        self._held[unit] = (claimant, self._now() + CLAIM_SECONDS)
        return True

    def release(self, claimant: Claimant) -> None:
        """Release what a session holds, and all claims that have expired."""
        now = self._now()
        self._held = {
            unit: (holder, until)
            for unit, (holder, until) in self._held.items()
            if holder.session != claimant.session and until > now
        }

    def is_held_by_other(self, claimant: Claimant, unit: UnitId) -> bool:
        """Return whether somebody else holds a unit, or may: a session that decides under no name is anybody's."""
        holder, until = self._held.get(unit, (claimant, 0.0))
        return until > self._now() and not claimant.is_same_person(holder)

    def first_free(self, claimant: Claimant, units: Iterable[UnitId]) -> UnitId | None:
        """Return the first unit that nobody else holds, or else the first to take over; None if there is none."""
        held = list[UnitId]()
        for unit in units:
            if not self.is_held_by_other(claimant, unit):
                return unit
            held.append(unit)
        return next((unit for unit in held if self._is_under_same_name(claimant, unit)), None)

    def _is_under_same_name(self, claimant: Claimant, unit: UnitId) -> bool:
        return self._held[unit][0].author == claimant.author
