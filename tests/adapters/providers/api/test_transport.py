"""Calls over a carrier that answers from a script: what is sent again, what is reported, what is never shown."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import httpx
import msgspec
import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.providers.api import transport as transport_module
from mephisto_es.adapters.providers.api.calls import Repeat, SiteCall, json_as, no_content
from mephisto_es.adapters.providers.api.errors import (
    EffectUnknownError,
    SiteCredentialsError,
    SiteError,
    SiteMissingError,
    SiteRefusedError,
    SiteThrottledError,
    SiteUnavailableError,
    SiteUnreachableError,
)
from mephisto_es.adapters.providers.api.transport import SiteTransport, TransportLimits, credential
from mephisto_es.core.errors import ConfigError

KEY = "s3cret-key-of-the-account"
LIMITS = TransportLimits(connect_seconds=1, attempt_seconds=5, patience_seconds=30)
Step = int | Exception | httpx.Response | None


class Script(httpx.AsyncBaseTransport):
    """Answers requests from a list: a status, an error to raise, a whole answer, or None for silence."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.requests: list[httpx.Request] = []
        self.times: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        self.times.append(trio.current_time())
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        match step:
            case None:
                await trio.sleep_forever()
                raise AssertionError
            case int():
                return httpx.Response(step, json={"id": 1} if step < 300 else {"error": {"detail": "no"}})
            case httpx.Response():
                return step
            case _:
                raise step


def client(script: Script, jitter: Callable[[], float] = lambda: 1.0) -> SiteTransport:
    return SiteTransport(
        "site",
        "https://site.example/base",
        headers={"x-api-key": KEY},
        secrets=[KEY],
        jitter=jitter,
        limits=LIMITS,
        carrier=script,
    )


async def made(script: Script, repeat: Repeat) -> tuple[SiteError | None, int]:
    """Make a call; the error, if there was one, and how often it was sent."""
    call = SiteCall(operation="do it", method="POST", path="/it", read=no_content, body=b"{}", repeat=repeat)
    async with client(script) as transport:
        try:
            await transport.call(call)
        except SiteError as error:
            return error, len(script.requests)
    return None, len(script.requests)


LOST: Sequence[Step] = (
    httpx.ReadError("gone"),
    httpx.ReadTimeout("slow"),
    httpx.WriteError("gone"),
    httpx.RemoteProtocolError("half an answer"),
    None,
    500,
    502,
    503,
    408,
)
REFUSED: Sequence[tuple[int, type[SiteError]]] = (
    (400, SiteRefusedError),
    (401, SiteCredentialsError),
    (403, SiteCredentialsError),
    (404, SiteMissingError),
    (409, SiteRefusedError),
    (302, SiteRefusedError),
)


@pytest.mark.parametrize("lost", LOST, ids=str)
@pytest.mark.parametrize("repeat", [Repeat.NEVER, Repeat.THROTTLED])
async def test_a_lost_answer_is_reported_and_not_asked_again(
    lost: Step, repeat: Repeat, autojump_clock: MockClock
) -> None:
    error, sent = await made(Script(lost, 200), repeat)
    assert type(error) is EffectUnknownError
    assert sent == 1


@pytest.mark.parametrize("lost", LOST, ids=str)
@pytest.mark.parametrize("repeat", [Repeat.READ, Repeat.IDEMPOTENT])
async def test_a_harmless_call_is_made_again(lost: Step, repeat: Repeat, autojump_clock: MockClock) -> None:
    assert await made(Script(lost, lost, 200), repeat) == (None, 3)


@pytest.mark.parametrize(
    ("repeat", "kind"), [(Repeat.READ, SiteUnavailableError), (Repeat.IDEMPOTENT, EffectUnknownError)]
)
async def test_patience_ends(repeat: Repeat, kind: type[SiteError], autojump_clock: MockClock) -> None:
    script = Script(500)
    error, sent = await made(script, repeat)
    assert type(error) is kind
    assert sent == len(script.times)
    waits = [later - earlier for earlier, later in zip(script.times, script.times[1:], strict=False)]
    assert waits[:6] == [0.25, 0.5, 1, 2, 4, 8]
    assert script.times[-1] - script.times[0] == LIMITS.patience_seconds


@pytest.mark.parametrize(("status", "kind"), REFUSED)
@pytest.mark.parametrize("repeat", list(Repeat))
async def test_a_refusal_is_final(
    status: int, kind: type[SiteError], repeat: Repeat, autojump_clock: MockClock
) -> None:
    error, sent = await made(Script(status), repeat)
    assert type(error) is kind
    assert (error.status, sent) == (status, 1)


@pytest.mark.parametrize(
    ("repeat", "times"), [(Repeat.READ, 3), (Repeat.IDEMPOTENT, 3), (Repeat.THROTTLED, 3), (Repeat.NEVER, 1)]
)
async def test_a_busy_site_is_asked_again(repeat: Repeat, times: int, autojump_clock: MockClock) -> None:
    error, sent = await made(Script(429, 429, 200), repeat)
    assert sent == times
    assert type(error) is (SiteThrottledError if times == 1 else type(None))


async def test_the_site_says_when_to_come_back(autojump_clock: MockClock) -> None:
    script = Script(httpx.Response(429, headers={"retry-after": "7"}), 200)
    assert await made(script, Repeat.THROTTLED) == (None, 2)
    assert script.times[1] - script.times[0] == 7
    error, sent = await made(Script(httpx.Response(429, headers={"retry-after": "3600"})), Repeat.THROTTLED)
    assert isinstance(error, SiteThrottledError)
    assert (error.retry_after_seconds, sent) == (3600, 1)
    for odd in ("soon", "-1", "9" * 30, "٣"):
        response = httpx.Response(429, headers=[(b"retry-after", odd.encode())])
        assert (await made(Script(response, 200), Repeat.THROTTLED))[1] == 2


@pytest.mark.parametrize("repeat", list(Repeat))
@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full")]
)
async def test_a_call_that_reached_nobody_is_made_again(
    repeat: Repeat, error: Exception, autojump_clock: MockClock
) -> None:
    assert await made(Script(error, error, 200), repeat) == (None, 3)
    failed, sent = await made(Script(error), repeat)
    assert type(failed) is SiteUnreachableError
    assert sent > 3


async def test_a_refusal_after_a_lost_answer_settles_nothing(autojump_clock: MockClock) -> None:
    """The first request may have done it, and the refusal may mean just that."""
    for last in (409, 404, httpx.ConnectError("down")):
        error, _ = await made(Script(httpx.ReadError("gone"), last), Repeat.IDEMPOTENT)
        assert type(error) is EffectUnknownError


async def test_jitter_shortens_waits_by_up_to_half(autojump_clock: MockClock) -> None:
    script = Script(500, 500, 200)
    async with client(script, lambda: 0.0) as transport:
        await transport.call(SiteCall(operation="r", method="GET", path="/", read=no_content, repeat=Repeat.READ))
    assert [later - script.times[0] for later in script.times] == [0, 0.125, 0.375]


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"id": "not a number"}', b"\xff"])
@pytest.mark.parametrize(("repeat", "kind"), [(Repeat.READ, SiteUnavailableError), (Repeat.NEVER, EffectUnknownError)])
async def test_an_answer_that_makes_no_sense(
    body: bytes, repeat: Repeat, kind: type[SiteError], autojump_clock: MockClock
) -> None:
    class Answer(msgspec.Struct):
        id: int

    async with client(Script(httpx.Response(200, content=body))) as transport:
        with pytest.raises(kind, match="not of the documented form"):
            await transport.call(SiteCall(operation="r", method="GET", path="/", read=json_as(Answer), repeat=repeat))


async def test_an_endless_answer_is_not_read(monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock) -> None:
    monkeypatch.setattr(transport_module, "MAX_ANSWER_BYTES", 100)
    async with client(Script(httpx.Response(200, content=b"a" * 101))) as transport:
        with pytest.raises(EffectUnknownError, match="too long"):
            await transport.call(SiteCall(operation="r", method="POST", path="/", read=no_content))


async def test_the_request_is_what_the_call_says(autojump_clock: MockClock) -> None:
    script = Script(200)
    call = SiteCall(
        operation="r",
        method="PATCH",
        path="/a/b",
        query={"q": "ä&b"},
        body=b'{"x":1}',
        headers={"idempotency-token": "t"},
        read=no_content,
    )
    async with client(script) as transport:
        await transport.call(call)
    (request,) = script.requests
    assert str(request.url) == "https://site.example/base/a/b?q=%C3%A4%26b"
    assert (request.method, request.content) == ("PATCH", b'{"x":1}')
    for name, value in (("x-api-key", KEY), ("idempotency-token", "t"), ("content-type", "application/json")):
        assert request.headers[name] == value


async def test_nothing_secret_is_shown(caplog: pytest.LogCaptureFixture, autojump_clock: MockClock) -> None:
    caplog.set_level(logging.DEBUG)
    echo = httpx.Response(
        400, json={"error": {"detail": f"bad key {KEY}, token=abcdefgh"}}, headers={"x-trace-id": KEY}
    )
    errors = []
    for step in (echo, httpx.LocalProtocolError(f"Illegal header value b'{KEY}'"), httpx.ConnectError(KEY)):
        async with client(Script(step)) as transport:
            call = SiteCall(operation="r", method="GET", path="/", query={"credit_token": KEY}, read=no_content)
            with pytest.raises(SiteError) as caught:
                await transport.call(call)
            errors.append(caught.value)
    for error in errors:
        assert KEY not in f"{error!r} {error} {error.__cause__!r} {vars(error)}"
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
    assert KEY not in caplog.text
    assert "credit_token" not in caplog.text


def test_a_credential_can_stand_in_a_header() -> None:
    assert credential(f" {KEY}\n", "api_key") == KEY
    for text in ("", "  ", "two words", "line\nbreak", "käse", "\x00"):
        with pytest.raises(ConfigError, match="api_key is empty or has characters") as caught:
            credential(text, "api_key")
        assert text.strip() == "" or text not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://site.example", "site.example", "ftp://a.example", "https://me:pw@a.example", ""]
)
def test_a_key_does_not_travel_unencrypted(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SiteTransport("site", url, headers={}, secrets=[], jitter=lambda: 0.5)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:8000", "https://site.example"]
)
def test_a_fake_on_this_machine_needs_no_certificate(url: str) -> None:
    SiteTransport("site", url, headers={}, secrets=[], jitter=lambda: 0.5)


async def test_a_caller_that_gives_up_is_obeyed(autojump_clock: MockClock) -> None:
    script = Script(None)
    async with client(script) as transport:
        with trio.move_on_after(2) as scope:
            await transport.call(SiteCall(operation="r", method="GET", path="/", read=no_content, repeat=Repeat.READ))
    assert scope.cancelled_caught
    assert len(script.requests) == 1
