"""What a provider's site sends is believed if it is signed, recorded once, and kept until the operator has it."""

import base64
import hashlib
import hmac
import time

import httpx

from mephisto_es.adapters.providers.prolific.api.webhooks import sign_webhook

from .conftest import MakeHarness, MakeRouter
from .harness import OperatorLink, RouterHarness, error_of

SECRET = "the workspace's secret"
TERMS = {
    "secret": SECRET,
    "signature_header": "x-prolific-request-signature",
    "timestamp_header": "x-prolific-request-timestamp",
    "event_header": "x-event-id",
}
BODY = b'{"event_type": "submission.status.change", "resource_id": "s1", "status": "AWAITING REVIEW"}'


def signed(event: str, secret: str = SECRET, body: bytes = BODY, *, age: float = 0) -> dict[str, str]:
    stamp = str(int(time.time() - age))
    return {
        "content-type": "application/json",
        "x-prolific-request-timestamp": stamp,
        "x-prolific-request-signature": sign_webhook(secret, stamp, body),
        "x-event-id": event,
    }


async def send(harness: RouterHarness, headers: dict[str, str], body: bytes = BODY) -> httpx.Response:
    return await harness.http.post("/provider_webhook", content=body, headers=headers)


def test_a_signature_is_that_of_the_documentation() -> None:
    digest = hmac.new(b"k", b"123" + BODY, hashlib.sha256).digest()
    assert sign_webhook("k", "123", BODY) == base64.b64encode(digest).decode()


async def test_an_event_reaches_the_operator_once(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.send("webhooks", "mephisto", TERMS)
    await operator.settled()
    for event in ("one", "one", "two"):
        answer = await send(harness, signed(event))
        assert (answer.status_code, answer.json()) == (200, {"status": "Recorded"})
    first, second = [await operator.expect("provider_event") for _ in range(2)]
    assert (first.data, second.data, first.subject_id) == ({"event_id": "one"}, {"event_id": "two"}, "mephisto")
    assert first.seq is not None
    await operator.settled()
    assert len(operator.inbox.of_type("provider_event")) == 2


async def test_an_event_waits_for_an_operator_that_is_away(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.send("webhooks", "mephisto", TERMS)
    await operator.settled()
    await operator.close()
    assert (await send(harness, signed("while-away"))).status_code == 200
    back = await harness.operator(after=operator)
    assert (await back.expect("provider_event")).data == {"event_id": "while-away"}


async def test_nobody_but_the_site_is_believed(make_router: MakeRouter, make_harness: MakeHarness) -> None:
    router = make_router()
    router.start()
    harness = make_harness(router)
    operator = await harness.operator({})
    assert (await send(harness, signed("early"))).status_code == 404
    for missing in TERMS:
        await operator.send("webhooks", "mephisto", {name: value for name, value in TERMS.items() if name != missing})
        assert (await operator.expect("router_report")).data["what"] == "malformed_packet"
    assert (await send(harness, signed("early"))).status_code == 404
    await operator.send("webhooks", "mephisto", TERMS)
    await operator.settled()
    good = signed("one")
    refused = {
        "another key": (403, signed("one", "another"), BODY),
        "another body": (403, good, BODY + b" "),
        "no signature": (403, {**good, "x-prolific-request-signature": ""}, BODY),
        "an old one": (403, signed("one", age=3600), BODY),
        "an early one": (403, signed("one", age=-3600), BODY),
        "no time": (403, {**good, "x-prolific-request-timestamp": "soon"}, BODY),
        "no id": (400, signed(""), BODY),
        "a long id": (400, signed("x" * 201), BODY),
        "a large body": (413, signed("one", body=b" " * 70_000), b" " * 70_000),
    }
    for why, (status, headers, body) in refused.items():
        answer = await send(harness, headers, body)
        assert answer.status_code == status, why
        assert SECRET not in error_of(answer)
    await operator.settled()
    assert not operator.inbox.of_type("provider_event")
    assert (await harness.counters())["dropped"]["refused_webhook"] == len(refused) + 2
