"""The rules of a fake Prolific for bonuses: two steps, the second of which pays as often as it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, DecimalException

from ..clock import Agenda
from ..guesses import Guesses
from .books import FakeSetup, FakeStudy, FakeSubmission, ProlificBooks, RuleError, with_fees
from .guesses import ProlificGuess

MAX_LINES = 200


class BonusRules:
    """Decides about bonuses."""

    def __init__(self, books: ProlificBooks, agenda: Agenda, guesses: Guesses[ProlificGuess]) -> None:
        """Take the parts; see `StudyRules`."""
        self._books = books
        self._agenda = agenda
        self._guesses = guesses
        #: Longest time until a bonus is paid after it was asked for.
        self.lag_seconds = 0.0

    def set_up(self, study: FakeStudy, lines: str) -> FakeSetup:
        """Prepare bonuses; nobody is paid.

        Raises:
            RuleError: a line is malformed, or names somebody who did not take part.
        """
        read = [self._line(study, line) for line in lines.strip().splitlines()]
        if len(read) > MAX_LINES and self._guesses.is_flipped(ProlificGuess.MORE_THAN_200_BONUSES_ARE_REFUSED):
            raise RuleError(f"at most {MAX_LINES} bonuses")
        missing = [name for name, submission, _ in read if submission is None]
        if missing:
            raise RuleError(f"these did not take part in the study: {', '.join(missing)}")
        bonuses = [(submission, cents) for _, submission, cents in read if submission is not None]
        setup = FakeSetup(self._books.new_id(), study, bonuses)
        self._books.setups[setup.id] = setup
        return setup

    def pay(self, setup: FakeSetup) -> None:
        """Pay everyone of a set-up, **once more** each time this is asked for.

        Raises:
            RuleError: there is no money.
        """
        if sum((with_fees(cents) for _, cents in setup.lines), Decimal(0)) > self._books.available:
            raise RuleError("your balance is not sufficient")
        setup.payments += 1
        for submission, cents in setup.lines:
            # Charging the wallet at once keeps the next request from overdrawing it.
            self._books.pay(cents)
            self._agenda.after(self._books.uniform(self.lag_seconds), _show(submission, cents))
        self._agenda.run_due()

    def _line(self, study: FakeStudy, line: str) -> tuple[str, FakeSubmission | None, int]:
        name, _, amount = (part.strip() for part in line.partition(","))
        try:
            exact = Decimal(amount)
            cents = int(exact * 100)
        except (DecimalException, ValueError, OverflowError) as error:
            raise RuleError(f"the amount of {name} is not a number") from error
        if cents <= 0 or Decimal(cents) / 100 != exact:
            raise RuleError(f"the amount of {name} is not a positive number with two decimals")
        mine = [one for one in self._books.submissions_of(study) if name in {one.id, one.participant}]
        return name, mine[-1] if mine else None, cents


def _show(submission: FakeSubmission, cents: int) -> Callable[[float], None]:
    """Return an effect that lets a bonus show on its submission."""
    return lambda _: submission.bonuses.append(cents)
