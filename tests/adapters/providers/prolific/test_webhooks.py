from __future__ import annotations

import pytest

from mephisto_es.adapters.providers.prolific.api.webhooks import (
    MAX_AGE_SECONDS,
    MAX_BODY_BYTES,
    WebhookKind,
    WebhookRefusal,
    WebhookRefusedError,
    sign_webhook,
    verify_webhook,
)

SECRET = "a workspace's secret"
NOW = 1_790_000_000.0
# Spaces and order as a site may write them: the bytes are signed, not their meaning.
BODY = (
    b'{"event_type":"submission.status.change" , "resource_id":"s1","participant_id":"p1",'
    b'"status":"AWAITING REVIEW","new":1}'
)


def headers(body: bytes = BODY, at: float = NOW, secret: str = SECRET, event: str = "e1") -> dict[str, str]:
    timestamp = str(int(at))
    return {
        "x-prolific-request-timestamp": timestamp,
        "x-prolific-request-signature": sign_webhook(secret, timestamp, body),
        "x-event-id": event,
        "x-timestamp": "2026-11-01T10:00:00Z",
    }


def refusal(headers: dict[str, str], body: bytes = BODY, now: float = NOW) -> WebhookRefusal:
    with pytest.raises(WebhookRefusedError) as caught:
        verify_webhook(SECRET, headers, body, now)
    return caught.value.reason


def test_a_signed_event_is_read() -> None:
    event = verify_webhook(SECRET, headers(), BODY, NOW + 60)
    assert (event.event_id, event.kind, event.resource_id, event.status, event.participant_id, event.happened_at) == (
        "e1",
        WebhookKind.SUBMISSION_STATUS,
        "s1",
        "AWAITING REVIEW",
        "p1",
        "2026-11-01T10:00:00Z",
    )


def test_the_signature_is_that_of_the_documentation() -> None:
    # base64(hmac_sha256("secret", "1690000000" + body)), computed with openssl.
    assert sign_webhook("secret", "1690000000", b'{"a":1}') == "qdfxz36yu1KwqOzyQVt08h+8HTqw7Kwi9KbjzpnoV8c="


def test_a_kind_that_nobody_knows_is_an_event_too() -> None:
    body = b'{"event_type":"study.exploded","resource_id":"s"}'
    assert verify_webhook(SECRET, headers(body), body, NOW).kind is WebhookKind.UNKNOWN


def test_what_is_not_believed() -> None:
    assert refusal({}) is WebhookRefusal.UNSIGNED
    assert refusal({**headers(), "x-prolific-request-timestamp": ""}) is WebhookRefusal.UNSIGNED
    assert refusal({**headers(), "x-prolific-request-timestamp": "é"}) is WebhookRefusal.UNSIGNED
    assert refusal(headers(secret="another")) is WebhookRefusal.FORGED
    assert refusal({**headers(), "x-prolific-request-signature": "é"}) is WebhookRefusal.FORGED
    assert refusal(headers(), BODY.replace(b"s1", b"s2")) is WebhookRefusal.FORGED
    assert refusal(headers(), b'{"event_type": "submission.status.change"}') is WebhookRefusal.FORGED
    # The timestamp is signed: a recorded request cannot be made younger.
    assert refusal({**headers(), "x-prolific-request-timestamp": str(int(NOW) + 999)}) is WebhookRefusal.FORGED
    assert refusal(headers(), now=NOW + MAX_AGE_SECONDS + 1) is WebhookRefusal.OLD
    assert refusal(headers(), now=NOW - 61) is WebhookRefusal.EARLY
    assert refusal(headers(event="")) is WebhookRefusal.UNREADABLE
    assert refusal(headers(event="e" * 201)) is WebhookRefusal.UNREADABLE
    assert refusal(headers(b"[]"), b"[]") is WebhookRefusal.UNREADABLE
    large = b" " * (MAX_BODY_BYTES + 1)
    assert refusal(headers(large), large) is WebhookRefusal.TOO_LARGE
