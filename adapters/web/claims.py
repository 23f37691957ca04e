"""Claims on work under review, so that two reviewers do not look at the same work."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...events.ids import UnitId

#: The time that a claim lasts after the page with the work was last loaded.
CLAIM_SECONDS = 300.0


class Claims:
    """The units that reviewers have open. They are only in memory: a claim decides nothing, it avoids double work."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Take a function that returns the time in seconds."""
        self._now = now
        self._held: dict[UnitId, tuple[str, float]] = {}

    def claim(self, session: str, unit: UnitId) -> bool:
        """Claim a unit for a session, in place of the unit that it had claimed; False if another session holds it."""
        if self.is_held_by_other(session, unit):
            return False
        self.release(session)
        self._held[unit] = (session, self._now() + CLAIM_SECONDS)
        return True

    def release(self, session: str) -> None:
        """Release what a session holds, and all claims that have expired."""
        now = self._now()
        self._held = {
            unit: (holder, until) for unit, (holder, until) in self._held.items() if holder != session and until > now
        }

    def is_held_by_other(self, session: str, unit: UnitId) -> bool:
        """Return whether another session holds a unit."""
        holder, until = self._held.get(unit, ("", 0.0))
        return holder not in {"", session} and until > self._now()

    def first_free(self, session: str, units: Iterable[UnitId]) -> UnitId | None:
        """Return the first unit that no other session holds; None if there is none."""
        return next((unit for unit in units if not self.is_held_by_other(session, unit)), None)
