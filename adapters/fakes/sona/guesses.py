"""Switches for what no document says about SONA; `GUESSES.md` beside this file shows the same table to people."""

from __future__ import annotations

from ..guesses import Guess, GuessEnum


class SonaGuess(GuessEnum):
    """Guesses about SONA."""

    ERRORS_COME_WITH_500 = Guess(
        "errors of the server's call come with status 200",
        "with status 500",
        "`server-side-completion-url-responses` shows the body only",
    )
    TEXTS_ARE_CODES = Guess(
        "errors of the server's call have the texts that browsers show",
        "they are words in capitals",
        "the texts are documented for browsers only",
    )
    CODE_IS_LOOKED_AT_FIRST = Guess(
        "a wrong experiment_id or credit_token is noticed before a blank survey_code",
        "a blank survey_code is noticed first, and a check with a blank one proves nothing",
        "no document",
    )
    ONE_CODE_FOR_ALL_STUDIES = Guess(
        "a student has another survey_code in each study",
        "a student has one survey_code",
        "no document",
    )
    DEADLINES_ARE_UTC = Guess(
        "the deadline of a timeslot is in the school's time zone",
        "it is in UTC",
        "no document",
    )
    LATE_CREDIT_IS_REFUSED = Guess(
        "credit can be granted after the deadline of the timeslot",
        "it is refused with an error of no special kind",
        "no document",
    )
