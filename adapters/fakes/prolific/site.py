"""A fake Prolific: its parts, put together."""

from __future__ import annotations

from collections.abc import Callable

from ..clock import START_SECONDS, Agenda, FakeClock
from ..faults import FaultPlan, Faults
from ..guesses import Guesses
from .bonuses import BonusRules
from .books import ProlificBooks
from .courier import Courier
from .guesses import ProlificGuess
from .studies import StudyRules
from .submissions import SubmissionRules

DEFAULT_BALANCE_CENTS = 1_000_000
DEFAULT_TOKEN = "fake-prolific-token"


class FakeProlific:
    """One researcher's workspace at a simulated Prolific.

    Attributes:
        clock: the site's time.
        agenda: what happens by itself.
        faults: disturb the API.
        guesses: the ways of what nobody knows.
        ledger: all that the site knows.
        studies: the rules of studies.
        submissions: the rules of submissions.
        bonuses: the rules of bonuses.
        courier: sends webhooks.
        token: the API token that is accepted.
    """

    def __init__(
        self,
        source: Callable[[], float],
        *,
        token: str = DEFAULT_TOKEN,
        balance_cents: int = DEFAULT_BALANCE_CENTS,
        plan: FaultPlan | None = None,
        flipped: tuple[str, ...] = (),
        seed: int = 0,
        start_seconds: float = START_SECONDS,
    ) -> None:
        """Open the site.

        Args:
            source: a clock in seconds that never falls.
            token: the API token.
            balance_cents: the workspace's money.
            plan: disturbances.
            flipped: names of guesses that are to go the other way.
            seed: ids and lags are drawn from it.
            start_seconds: the site's time at first, in seconds since the epoch.

        Raises:
            ConfigError: a guess does not exist.
        """
        self.token = token
        self.clock = FakeClock(source, start_seconds)
        self.agenda = Agenda(self.clock)
        self.faults = Faults(plan)
        self.guesses = Guesses(ProlificGuess, flipped)
        self.ledger = ProlificBooks(balance_cents, seed)
        self.courier = Courier(self.ledger, self.clock, self.guesses)
        self.studies = StudyRules(
            self.ledger, self.clock, self.guesses, self.courier.announce, self.faults.list_lag_seconds
        )
        self.submissions = SubmissionRules(
            self.ledger, self.studies, self.clock, self.agenda, self.guesses, self.courier.announce
        )
        self.bonuses = BonusRules(self.ledger, self.agenda, self.guesses)

    def books(self) -> object:
        """Return money and work."""
        return self.ledger.as_json()

    def wake(self) -> None:
        """React to a clock that was moved."""
        self.agenda.run_due()
        self.courier.wake()
