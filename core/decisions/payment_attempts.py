"""Derives from the history of a payment what is known of its requests."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from ...events.envelope import RecordedEvent
from ...events.payment import (
    Answer,
    PaymentConfirmed,
    PaymentFailed,
    PaymentInDoubt,
    PaymentIntended,
    PaymentLooked,
    PaymentRequested,
    PaymentSent,
    PaymentSettledPaid,
    PaymentSettledUnpaid,
)
from .settlement import Attempts

_SECOND_US = 1_000_000


class PaymentAttempts(msgspec.Struct, frozen=True, kw_only=True):
    """The requests for one payment."""

    #: All that is known since the payment was last to be paid.
    attempts: Attempts = Attempts()
    #: The setup of the first request since then.
    setup: str | None = None
    #: Different tokens that were ever requested, and the last of them.
    tokens: tuple[str, ...] = ()


def attempts_of(history: Sequence[RecordedEvent]) -> PaymentAttempts:
    """Return what a payment's history tells; times are seconds since the epoch."""
    known = PaymentAttempts()
    for recorded in history:
        known = _after(known, recorded)
    return known


def _after(known: PaymentAttempts, recorded: RecordedEvent) -> PaymentAttempts:
    attempts, at = known.attempts, recorded.envelope.at / _SECOND_US
    match recorded.envelope.event:
        case PaymentIntended() | PaymentSettledUnpaid():
            return replace(known, attempts=Attempts(), setup=None)
        case PaymentRequested(token=token, setup=setup):
            keeps_token = bool(known.tokens) and known.tokens[-1] == token and attempts.token_since is not None
            sent = Attempts(answer=Answer.UNKNOWN, token_since=attempts.token_since if keeps_token else at, sent_at=at)
            tokens = (*(one for one in known.tokens if one != token), token)
            return replace(known, attempts=sent, setup=setup, tokens=tokens)
        case PaymentSent() | PaymentConfirmed() | PaymentSettledPaid():
            return replace(known, attempts=replace(attempts, answer=Answer.DONE))
        case PaymentInDoubt(answer=answer):
            return replace(known, attempts=replace(attempts, answer=answer))
        case PaymentLooked(sighting=sighting):
            return replace(known, attempts=replace(attempts, sighting=sighting, looked_at=at))
        case PaymentFailed():
            return replace(known, attempts=replace(attempts, answer=Answer.REFUSED))
        case _:
            return known
