"""Verifies and reads requests of Prolific's webhooks; pure, for use before anything is stored.

Documentation: https://docs.prolific.com/api-reference/webhooks (`verifying`, `receiving`,
`idempotency-and-the-x-event-id-header`, `handling-event-order-with-x-timestamp`). The documentation's sample
serializes the body again before it checks; the signature is over the bytes that arrived, so these are checked here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from enum import Enum

import msgspec

from .....core.errors import ProtocolError
from ...api.calls import OpenEnum

SIGNATURE_HEADER = "x-prolific-request-signature"
TIMESTAMP_HEADER = "x-prolific-request-timestamp"
EVENT_ID_HEADER = "x-event-id"
EVENT_TIME_HEADER = "x-timestamp"

#: A request that was signed longer ago may be a recorded one that somebody sends again.
MAX_AGE_SECONDS = 300
#: Clocks differ: so far in the future a request may have been signed.
MAX_AHEAD_SECONDS = 60
MAX_BODY_BYTES = 64 * 1024
MAX_EVENT_ID_LENGTH = 200


class WebhookRefusal(Enum):
    """Reasons for not believing a request."""

    UNSIGNED = "it has no signature or no timestamp"
    FORGED = "its signature is not that of the workspace's secret"
    OLD = "it was signed too long ago"
    EARLY = "it was signed in the future"
    TOO_LARGE = "its body is too large"
    UNREADABLE = "its body or its event id cannot be read"


class WebhookRefusedError(ProtocolError):
    """A request to a webhook is not believed. Nothing of it may be kept.

    Attributes:
        reason: the reason.
    """

    def __init__(self, reason: WebhookRefusal) -> None:
        self.reason = reason
        super().__init__(f"a webhook's request is refused: {reason.value}")


class WebhookKind(OpenEnum):
    """Kinds of events (`webhooks/receiving`)."""

    STUDY_STATUS = "study.status.change"
    STUDY_PROGRESS = "study.progress.change"
    SUBMISSION_STATUS = "submission.status.change"
    HIGH_RETURN_RATE = "study.has_high_return_rate"
    #: A kind that the documentation does not have.
    UNKNOWN = ""


class _Body(msgspec.Struct, frozen=True):
    """The body of a request (`webhooks/receiving`)."""

    event_type: WebhookKind
    resource_id: str
    status: str | None = None
    participant_id: str | None = None


class WebhookEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that Prolific told of. It can come twice and out of order: it says where to look, not what is so."""

    #: The same for each delivery of one event.
    event_id: str
    kind: WebhookKind
    #: The study or submission.
    resource_id: str
    #: The new status, as the site wrote it.
    status: str | None
    #: The participant; personal.
    participant_id: str | None
    #: The time of the event, as the site wrote it; orders events of one object.
    happened_at: str | None


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes, now_seconds: float) -> WebhookEvent:
    """Return the event of a request that Prolific has signed.

    Args:
        secret: the workspace's secret.
        headers: the request's headers, names in lower case.
        body: the bytes that arrived.
        now_seconds: the wall clock, in seconds since the epoch.

    Raises:
        WebhookRefusedError: it is forged, too old, too large or unreadable.
    """
    if len(body) > MAX_BODY_BYTES:
        raise WebhookRefusedError(WebhookRefusal.TOO_LARGE)
    signature, timestamp = headers.get(SIGNATURE_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
    if not signature or not timestamp or not timestamp.isascii():
        raise WebhookRefusedError(WebhookRefusal.UNSIGNED)
    expected = sign_webhook(secret, timestamp, body)
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
        raise WebhookRefusedError(WebhookRefusal.FORGED)
    # Only a signed timestamp is looked at.
    age = now_seconds - _unix_time(timestamp)
    if age > MAX_AGE_SECONDS:
        raise WebhookRefusedError(WebhookRefusal.OLD)
    if age < -MAX_AHEAD_SECONDS:
        raise WebhookRefusedError(WebhookRefusal.EARLY)
    event_id = headers.get(EVENT_ID_HEADER, "")
    if not 0 < len(event_id) <= MAX_EVENT_ID_LENGTH or not event_id.isprintable():
        raise WebhookRefusedError(WebhookRefusal.UNREADABLE)
    try:
        read = msgspec.json.decode(body, type=_Body)
    except msgspec.DecodeError as error:
        raise WebhookRefusedError(WebhookRefusal.UNREADABLE) from error
    return WebhookEvent(
        event_id=event_id,
        kind=read.event_type,
        resource_id=read.resource_id,
        status=read.status,
        participant_id=read.participant_id,
        happened_at=headers.get(EVENT_TIME_HEADER),
    )


def sign_webhook(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a request: base64 of the HMAC-SHA256 over timestamp and body."""
    digest = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _unix_time(text: str) -> float:
    """Return the seconds of a timestamp.

    Raises:
        WebhookRefusedError: it is no number.
    """
    if not text or len(text) > 20 or not text.replace(".", "", 1).isdecimal():
        raise WebhookRefusedError(WebhookRefusal.UNSIGNED)
    return float(text)
