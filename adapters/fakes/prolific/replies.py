"""Answers of a fake Prolific in its forms: lists by page, errors in three shapes, studies and submissions."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..clock import iso_time
from ..guesses import Guesses
from ..wire import FakeRefusalError, number_in, write_answer
from .books import FakeStudy, FakeSubmission, fee_of, vat_of, with_fees
from .documents import (
    WireBonusCost,
    WireList,
    WireListedSubmission,
    WireMeta,
    WireMoney,
    WireRewardCost,
    WireStudy,
    WireStudyCost,
    WireSubmission,
)
from .guesses import ProlificGuess

Item = TypeVar("Item")

DEFAULT_PAGE, MAX_PAGE = 20, 1000
#: Seconds for which a changed submission shows PROCESSING, if that guess is flipped.
PROCESSING_SECONDS = 5


def paged(request: Request, items: Sequence[Item], form: type[WireList[Item]]) -> Response:
    """Return a page of a list, by `limit` and `offset` of the query (`introduction`).

    Raises:
        FakeRefusalError: the window is no window.
    """
    limit = number_in(request, "limit", DEFAULT_PAGE, MAX_PAGE)
    offset = number_in(request, "offset", 0, 10**9)
    following = offset + limit if offset + limit < len(items) else None
    links = {"next": {"href": None if following is None else f"?limit={limit}&offset={following}"}}
    return write_answer(form(list(items[offset : offset + limit]), WireMeta(len(items)), links))


class ErrorForms:
    """Writes errors in the three shapes that clients have seen, in turn."""

    def __init__(self) -> None:
        """Begin with the first."""
        self._numbers = count()

    def __call__(self, error: FakeRefusalError) -> Response:
        """Return the answer for a refusal."""
        detail = error.detail if isinstance(error.detail, str) else str(error.detail)
        forms: tuple[object, ...] = (
            {"error": {"status": error.status, "title": "Error", "error_code": 140000, "detail": detail}},
            {"message": "Error", "detail": detail},
            {"non_field_errors": [detail]},
        )
        form = forms[next(self._numbers) % len(forms)]
        return Response(msgspec.json.encode(form), error.status, media_type="application/json")


def study_answer(study: FakeStudy, places_taken: int, site_url: str) -> WireStudy:
    """Return a study as the API shows it."""
    body = study.body
    first_code = body.completion_codes[0].code
    return WireStudy(
        id=study.id,
        name=body.name,
        internal_name=study.internal_name,
        description=body.description,
        status=study.status,
        external_study_url=body.external_study_url,
        total_available_places=study.places,
        places_taken=places_taken,
        reward=float(body.reward),
        estimated_completion_time=body.estimated_completion_time,
        maximum_allowed_time=study.maximum_minutes,
        total_cost=study.places * with_fees(body.reward),
        currency_code="USD",
        date_created=iso_time(study.created_at),
        published_at=None if study.published_at is None else iso_time(study.published_at),
        completion_url=f"{site_url}/submissions/complete?cc={first_code}",
    )


def cost_answer(submissions: Sequence[FakeSubmission]) -> WireStudyCost:
    """Return what a study has cost so far."""
    rewards = [one.reward_paid for one in submissions if one.reward_paid]
    bonuses = [cents for one in submissions for cents in one.bonuses]

    def money(amount: Decimal | int) -> WireMoney:
        return WireMoney(Decimal(amount), "USD")

    def fees(paid: list[int]) -> WireMoney:
        return money(sum(map(fee_of, paid), Decimal(0)))

    def tax(paid: list[int]) -> WireMoney:
        return money(sum(map(vat_of, paid), Decimal(0)))

    return WireStudyCost(
        WireRewardCost(money(sum(rewards)), fees(rewards), tax(rewards)),
        WireBonusCost(money(sum(bonuses)), fees(bonuses), tax(bonuses)),
    )


def shown_status(submission: FakeSubmission, now: float, guesses: Guesses[ProlificGuess]) -> str:
    """Return the status that the API shows."""
    is_fresh = now - submission.changed_at < PROCESSING_SECONDS
    if is_fresh and guesses.is_flipped(ProlificGuess.PROCESSING_IS_SHOWN):
        return "PROCESSING"
    return submission.status


def listed_answer(submission: FakeSubmission, status: str) -> WireListedSubmission:
    """Return a submission as a list shows it."""
    started, completed = submission.started_at or submission.created_at, submission.completed_at
    return WireListedSubmission(
        id=submission.id,
        participant_id=submission.participant,
        status=status,
        started_at=iso_time(started),
        completed_at=None if completed is None else iso_time(completed),
        is_complete=completed is not None,
        time_taken=None if completed is None else int(completed - started),
        reward=submission.study.body.reward,
        study_code=submission.entered_code,
        bonus_payments=[float(cents) for cents in submission.bonuses],
        return_requested=_time(submission.return_requested_at),
    )


def single_answer(submission: FakeSubmission, status: str) -> WireSubmission:
    """Return a submission as it is shown alone."""
    return WireSubmission(
        id=submission.id,
        participant=submission.participant,
        study_id=submission.study.id,
        status=status,
        started_at=iso_time(submission.started_at or submission.created_at),
        completed_at=_time(submission.completed_at),
        entered_code=submission.entered_code,
        bonus_payments=[float(cents) for cents in submission.bonuses],
        return_requested=_time(submission.return_requested_at),
    )


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso_time(seconds)
