"""Switches for what no document says about Connect; `GUESSES.md` beside this file shows the same table to people."""

from __future__ import annotations

from ..guesses import Guess, GuessEnum


class ConnectGuess(GuessEnum):
    """Guesses about Connect."""

    STATUS_IS_SHOWN = Guess(
        "a project's answer has no status; the lists by status tell",
        "it has one",
        "the unofficial client's types have none; the vendor's reference was not at hand",
    )
    RETURNED_STAYS = Guess(
        "a returned or timed out assignment vanishes from the list",
        "it stays, Pending and without a completion time",
        "the API's statuses are Pending, Approved, Rejected; the web pages show Returned and Timed Out",
    )
    REPEATED_TOKEN_IS_CONFLICT = Guess(
        "a token that was seen before is answered with 400",
        "with 409",
        "only 400 and 401 are described",
    )
    APPROVED_TWICE_IS_REFUSED = Guess(
        "approving an approved assignment changes nothing",
        "it is refused",
        "no document",
    )
    THROTTLED_TOKEN_IS_SEEN = Guess(
        "a request that is put off with 429 has not used its token",
        "its token is seen, and a repeat is refused",
        "429 is not described; a token of a failed request is refused",
    )
    COMPLETED_IS_FINAL = Guess(
        "more places make a completed project live again",
        "a completed project cannot be changed",
        "edits are described for unpublished, live and paused projects",
    )
    IDS_IN_UPPER_CASE = Guess(
        "ids are in lower case",
        "ids in addresses are in upper case, and in lower case in the API",
        "both were seen in public experiments",
    )
    VALIDATION_IS_A_LIST = Guess(
        "the check of participants' ids answers with an object",
        "with a list",
        "the answer was never observed",
    )
    LAUNCH_TAKES_NOTHING = Guess(
        "a launch takes the whole cost from the balance, and what is not used comes back",
        "money is taken when work is approved",
        "a launch without money is refused and a rejection credits the balance; the rest is inferred",
    )
    REJECTED_REOPENS = Guess(
        "a rejected assignment keeps its place used",
        "its place comes free, and costs again when somebody takes it",
        "a rejection credits the balance; nothing is said about the place",
    )
    FEES_HAVE_FRACTIONS = Guess(
        "fees are rounded to whole cents",
        "costs and balances show fractions of a cent",
        "no document",
    )
