"""What receivers get, and which configurations name none."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import msgspec
import pytest
import trio

from mephisto_es.adapters.composition.clock_and_ids import SystemClock
from mephisto_es.adapters.notify.notice import Notice
from mephisto_es.adapters.notify.position import NotifyPosition
from mephisto_es.adapters.notify.receivers import NotDeliveredError, Receiver, receivers_of
from mephisto_es.adapters.notify.service import checked_receivers
from mephisto_es.core.errors import ConfigError, UnusableLogError
from mephisto_es.core.operations.hydra_config import NotifyArgs

from .webhook import open_webhook

NOTICE = Notice(id="7-paused", seq=7, kind="paused", run=1, at="2026-01-31 14:00:00", text="run 1 is paused")
KEY = "whsec_" + base64.b64encode(b"a key that nobody knows").decode()


def only(args: NotifyArgs, **environment: str) -> Receiver:
    [receiver] = receivers_of(args, environment, SystemClock())
    return receiver


async def test_a_webhook_gets_json_with_a_signature() -> None:
    async with open_webhook() as webhook:
        receiver = only(NotifyArgs(webhook_url=webhook.url, webhook_signed_with="KEY"), KEY=KEY)
        await receiver.deliver(NOTICE)
    [taken] = webhook.taken
    assert taken.notice == NOTICE
    assert taken.headers["webhook-id"] == "7-paused"
    signed = f"7-paused.{taken.headers['webhook-timestamp']}.".encode() + taken.body
    expected = hmac.new(b"a key that nobody knows", signed, hashlib.sha256).digest()
    # The header was read in lower case.
    assert taken.headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}".lower()


async def test_slack_gets_its_own_format_and_an_unsigned_webhook_no_signature() -> None:
    async with open_webhook() as webhook:
        await only(NotifyArgs(slack_url_from="SLACK"), SLACK=webhook.url).deliver(NOTICE)
        await only(NotifyArgs(webhook_url=webhook.url)).deliver(NOTICE)
    slack, plain = webhook.taken
    assert msgspec.json.decode(slack.body) == {"text": "mephisto-es: run 1 is paused (2026-01-31 14:00:00 UTC, seq 7)"}
    assert "webhook-signature" not in plain.headers


async def test_mail_goes_to_everybody_once() -> None:
    said: list[str] = []

    async def serve(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 here\r\n")
        text, in_data = b"", False
        while piece := await stream.receive_some():
            text += piece
            while b"\r\n" in text:
                line, _, text = text.partition(b"\r\n")
                said.append(line.decode())
                if in_data and line != b".":
                    continue
                in_data = line.upper() == b"DATA"
                answer = b"354 go on\r\n" if in_data else b"221 bye\r\n" if line.upper() == b"QUIT" else b"250 yes\r\n"
                await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        args = NotifyArgs(
            smtp_host="127.0.0.1",
            smtp_port=listener.socket.getsockname()[1],
            smtp_encrypts=False,
            smtp_from="lab@example.org",
            smtp_to=["ann@example.org", "bob@example.org"],
        )
        await only(args).deliver(NOTICE)
        nursery.cancel_scope.cancel()
    assert [line for line in said if line.startswith("rcpt")] == [
        "rcpt TO:<ann@example.org>",
        "rcpt TO:<bob@example.org>",
    ]
    assert "Subject: mephisto-es: paused (run 1)" in said
    assert any(line.startswith("Message-ID: <7-paused.") for line in said)


@pytest.mark.parametrize("kind", ["refuses", "is not there"])
async def test_what_was_not_taken_is_an_error_without_the_address(kind: str) -> None:
    async with open_webhook() as webhook:
        webhook.status = lambda: 503
        url = webhook.url if kind == "refuses" else "http://127.0.0.1:1/secret"
        with pytest.raises(NotDeliveredError) as caught:
            await only(NotifyArgs(slack_url_from="SLACK"), SLACK=url).deliver(NOTICE)
        args = NotifyArgs(smtp_host="127.0.0.1", smtp_port=1, smtp_from="a@example.org", smtp_to=["b@example.org"])
        with pytest.raises(NotDeliveredError, match=r"did not take it \(ConnectionRefusedError\)"):
            await only(args).deliver(NOTICE)
    said = "it answered with status 503" if kind == "refuses" else "it cannot be reached (ConnectError)"
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (NotifyArgs(events=["pausd"]), "has 'pausd'.*Did you mean 'paused'"),
        (NotifyArgs(webhook_url="http://example.org/x"), "webhook_url cannot be used.*starts with https://"),
        (NotifyArgs(webhook_url="http://[::1"), "webhook_url cannot be used"),
        (NotifyArgs(slack_url_from="SLACK"), "names the environment variable SLACK, which is not set.*export SLACK="),
        (NotifyArgs(smtp_host="mail.example.org"), "smtp_host is set, but not who writes to whom"),
    ],
)
def test_a_wrong_setting_is_named(args: NotifyArgs, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        checked_receivers(args, {}, SystemClock())


def test_nobody_is_notified_unless_told_to() -> None:
    assert checked_receivers(NotifyArgs(), {}, SystemClock()) == []


def test_a_position_is_kept_and_does_not_fall(tmp_path: Path) -> None:
    path = tmp_path / "notices" / "webhook.json"
    position = NotifyPosition(path)
    position.begin(5, 60)
    position.advance(9)
    position.advance(7)
    position.remind(80)
    position.remind(70)
    again = NotifyPosition(path)
    again.begin(100, 100)
    assert (again.seq, again.reminded_until_us) == (9, 80)
    path.write_text("nonsense")
    with pytest.raises(UnusableLogError, match="remove it to start from now"):
        NotifyPosition(path)
