"""A fake Connect: its parts, put together."""

from __future__ import annotations

from collections.abc import Callable

from ..clock import START_SECONDS, Agenda, FakeClock
from ..faults import FaultPlan, Faults
from ..guesses import Guesses
from .assignments import AssignmentRules
from .books import ConnectBooks
from .guesses import ConnectGuess
from .projects import ProjectRules

DEFAULT_BALANCE_CENTS = 1_000_000
DEFAULT_KEY = "fake-connect-key"


class FakeConnect:
    """One researcher's account at a simulated Connect.

    Attributes:
        clock: the site's time.
        agenda: what happens by itself.
        faults: disturb the API.
        guesses: the ways of what nobody knows.
        ledger: all that the site knows.
        projects: the rules of projects.
        assignments: the rules of assignments.
        key: the API key that is accepted.
    """

    def __init__(
        self,
        source: Callable[[], float],
        *,
        key: str = DEFAULT_KEY,
        balance_cents: int = DEFAULT_BALANCE_CENTS,
        plan: FaultPlan | None = None,
        flipped: tuple[str, ...] = (),
        seed: int = 0,
        start_seconds: float = START_SECONDS,
    ) -> None:
        """Open the site.

        Args:
            source: a clock in seconds that never falls.
            key: the API key.
            balance_cents: the account's money.
            plan: disturbances.
            flipped: names of guesses that are to go the other way.
            seed: ids and lags are drawn from it.
            start_seconds: the site's time at first, in seconds since the epoch.

        Raises:
            ConfigError: a guess does not exist.
        """
        self.key = key
        self.clock = FakeClock(source, start_seconds)
        self.agenda = Agenda(self.clock)
        self.faults = Faults(plan)
        self.guesses = Guesses(ConnectGuess, flipped)
        self.ledger = ConnectBooks(
            balance_cents, seed, lambda: self.guesses.is_flipped(ConnectGuess.FEES_HAVE_FRACTIONS)
        )
        self.projects = ProjectRules(self.ledger, self.clock, self.guesses, self.faults.list_lag_seconds)
        self.assignments = AssignmentRules(self.ledger, self.projects, self.clock, self.agenda, self.guesses)

    def books(self) -> object:
        """Return money and work."""
        return self.ledger.as_json()

    def wake(self) -> None:
        """React to a clock that was moved."""
        self.agenda.run_due()
