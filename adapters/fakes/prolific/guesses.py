"""Switches for what no document says about Prolific; `GUESSES.md` beside this file shows the same table to people."""

from __future__ import annotations

from ..guesses import Guess, GuessEnum


class ProlificGuess(GuessEnum):
    """Guesses about Prolific."""

    UNREJECT_IS_REFUSED = Guess(
        "the transition UNREJECT brings a rejected submission back to AWAITING REVIEW",
        "it is refused: a status cannot be restored",
        "the official client sends it; `submissions/transition-submission` says that nothing is restored",
    )
    REJECTION_ANSWERS_ERROR = Guess(
        "a rejection answers with the submission",
        "it answers with an error although the submission is rejected",
        "a note in Mephisto's provider of 2023",
    )
    REOPENED_STUDY_PAUSES = Guess(
        "a study that awaits review stays so when a place comes free, and START reopens it",
        "it is paused",
        "`studies/the-study-object` and the help page on pausing differ",
    )
    PLACES_DO_NOT_REOPEN = Guess(
        "more places make a study that awaits review, or is completed, active again",
        "it needs START as well",
        "Mephisto's notes on Prolific of 2023",
    )
    PROCESSING_IS_SHOWN = Guess(
        "a submission shows its new status at once",
        "for a few seconds after a change it shows PROCESSING, which no document has",
        "Mephisto's notes on Prolific of 2023",
    )
    THROTTLED_BONUS_IS_PAID = Guess(
        "a request to pay that is answered with 429 has paid nobody",
        "the site may have started to pay",
        "`managing-high-loads` calls 429 transient and says nothing about effects",
    )
    RETURN_REQUEST_RETURNS = Guess(
        "a request for a return leaves the status alone until the person acts",
        "its answer shows RETURNED, although the person has not acted",
        "the sample answer of `submissions/request-submission-return`",
    )
    SUBSCRIPTION_COMES_IN_LIST = Guess(
        "a new subscription is the answer",
        "it stands in a list",
        "the sample answer of `webhooks/create-subscription`; the official client reads it alone",
    )
    PUBLISHING_TWICE_IS_REFUSED = Guess(
        "publishing an active study again changes nothing",
        "it is refused",
        "no document",
    )
    MORE_THAN_200_BONUSES_ARE_REFUSED = Guess(
        "one set-up can have any number of bonuses",
        "it can have 200",
        "reported by other projects only",
    )
    WEBHOOKS_ARE_TRIED_13_TIMES = Guess(
        "a delivery is tried 12 times within 24 hours",
        "it is tried 13 times within 48 hours",
        "`webhooks/event-delivery-and-retry-logic`; Potato's notes of 2026",
    )
