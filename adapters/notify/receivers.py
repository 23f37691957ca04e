"""Sends notices to those who want them: to a signed webhook, to Slack, by mail.

Addresses and keys that grant access are named by environment variables, because a run's configuration is recorded. They
never appear in an error or a log line.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import smtplib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from email.message import EmailMessage
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec
import trio

from ...core.errors import ConfigError, MephistoError
from ...core.operations.hydra_config import NotifyArgs
from ...core.ports import WallClock
from .notice import Notice

#: Seconds that a receiver has for one notice.
SEND_SECONDS = 15.0
#: Hosts that may be sent to without encryption.
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_SECTION = "mephisto.notify"


class NotDeliveredError(MephistoError):
    """A receiver did not take a notice; it is to be sent again."""


class Receiver(ABC):
    """One place that notices are sent to.

    Attributes:
        name: names it in the data folder and in log lines.
    """

    name: str

    @abstractmethod
    async def deliver(self, notice: Notice) -> None:
        """Send a notice, and return when it was taken.

        Raises:
            NotDeliveredError: it was not, or nobody knows.
        """


class WebhookReceiver(Receiver):
    """A program that takes notices as JSON, signed as in the specification Standard Webhooks."""

    name = "webhook"

    def __init__(self, url: str, key: str | None, clock: WallClock) -> None:
        """Keep the parameters.

        Args:
            url: the address.
            key: signs requests; None for none.
            clock: the wall clock, whose time is signed too.
        """
        self._url = url
        self._key = key
        self._clock = clock

    async def deliver(self, notice: Notice) -> None:
        """Send a notice, and return when it was taken."""
        body = msgspec.json.encode(notice)
        stamp = str(self._clock.now_us() // 1_000_000)
        headers = {"content-type": "application/json", "webhook-id": notice.id, "webhook-timestamp": stamp}
        if self._key is not None:
            headers["webhook-signature"] = signature(self._key, notice.id, stamp, body)
        await _post(self._url, body, headers)


class SlackReceiver(Receiver):
    """A channel in Slack, or in a chat that takes the same format."""

    name = "slack"

    def __init__(self, url: str) -> None:
        self._url = url

    async def deliver(self, notice: Notice) -> None:
        """Send a notice, and return when it was taken."""
        body = msgspec.json.encode({"text": f"mephisto-es: {notice.text} ({notice.at} UTC, seq {notice.seq})"})
        await _post(self._url, body, {"content-type": "application/json"})


class MailArgs(NamedTuple):
    """Addresses and access for mail."""

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    user: str | None
    password: str | None
    encrypts: bool


class MailReceiver(Receiver):
    """People who are sent mail."""

    name = "mail"

    def __init__(self, args: MailArgs) -> None:
        self._args = args

    async def deliver(self, notice: Notice) -> None:
        """Send a notice, and return when the mail server has taken it. A cancelled call may still send it."""
        try:
            await trio.to_thread.run_sync(partial(self._send, notice), abandon_on_cancel=True)
        except (OSError, smtplib.SMTPException) as error:
            raise NotDeliveredError(f"the mail server did not take it ({type(error).__name__})") from error

    def _send(self, notice: Notice) -> None:
        args = self._args
        mail = EmailMessage()
        mail["From"], mail["To"] = args.sender, ", ".join(args.recipients)
        mail["Subject"] = f"mephisto-es: {notice.kind}" + ("" if notice.run is None else f" (run {notice.run})")
        # The same each time, so that a mail program shows a repeated mail once.
        mail["Message-ID"] = f"<{notice.id}.{hashlib.sha256(notice.text.encode()).hexdigest()[:16]}@mephisto-es>"
        mail.set_content(f"{notice.text}\n\n{notice.at} UTC, position {notice.seq} of the log\n")
        with smtplib.SMTP(args.host, args.port, timeout=SEND_SECONDS) as server:
            if args.encrypts:
                server.starttls()
            if args.user is not None and args.password is not None:
                server.login(args.user, args.password)
            server.send_message(mail)


def signature(key: str, notice_id: str, stamp: str, body: bytes) -> str:
    """Return the value of the header `webhook-signature`.

    Args:
        key: the key, as in Standard Webhooks with the prefix `whsec_` and in base64, or any text.
        notice_id: the header `webhook-id`.
        stamp: the header `webhook-timestamp`.
        body: the body of the request.
    """
    secret = base64.b64decode(key.removeprefix("whsec_")) if key.startswith("whsec_") else key.encode()
    digest = hmac.new(secret, f"{notice_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


async def _post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    try:
        async with httpx.AsyncClient(timeout=SEND_SECONDS) as client:
            answer = await client.post(url, content=body, headers=dict(headers))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotDeliveredError(f"it cannot be reached ({type(error).__name__})") from error
    if not answer.is_success:
        raise NotDeliveredError(f"it answered with status {answer.status_code}")


def receivers_of(args: NotifyArgs, environment: Mapping[str, str], clock: WallClock) -> list[Receiver]:
    """Return the receivers that a configuration names.

    Args:
        args: the section `mephisto.notify`.
        environment: the environment variables, which hold what grants access.
        clock: the wall clock.

    Raises:
        ConfigError: an address is not usable, or a variable is not set.
    """
    receivers: list[Receiver] = []
    if args.webhook_url is not None:
        url = _checked_url(args.webhook_url, f"{_SECTION}.webhook_url")
        receivers.append(
            WebhookReceiver(url, _variable(args.webhook_signed_with, "webhook_signed_with", environment), clock)
        )
    slack = _variable(args.slack_url_from, "slack_url_from", environment)
    if slack is not None:
        receivers.append(SlackReceiver(_checked_url(slack, f"{_SECTION}.slack_url_from")))
    if args.smtp_host is not None:
        receivers.append(MailReceiver(_mail_args(args, args.smtp_host, environment)))
    return receivers


def _mail_args(args: NotifyArgs, host: str, environment: Mapping[str, str]) -> MailArgs:
    if args.smtp_from is None or not args.smtp_to:
        raise ConfigError(
            f"{_SECTION}.smtp_host is set, but not who writes to whom",
            key=f"{_SECTION}.smtp_to",
            hint=f"Set {_SECTION}.smtp_from to an address, and {_SECTION}.smtp_to to a list of addresses",
        )
    return MailArgs(
        host,
        args.smtp_port,
        args.smtp_from,
        tuple(args.smtp_to),
        args.smtp_user,
        _variable(args.smtp_login_from, "smtp_login_from", environment),
        args.smtp_encrypts,
    )


def _variable(name: str | None, setting: str, environment: Mapping[str, str]) -> str | None:
    """Return the value of the environment variable that a setting names; None if it names none.

    Raises:
        ConfigError: it is not set.
    """
    if name is None:
        return None
    if not environment.get(name):
        raise ConfigError(
            f"{_SECTION}.{setting} names the environment variable {name}, which is not set",
            key=f"{_SECTION}.{setting}",
            hint=f"Set it before you start the script: export {name}=...",
        )
    return environment[name]


def _checked_url(url: str, key: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS:
        return url
    raise ConfigError(
        f"the address of {key} cannot be used", key=key, hint="It starts with https://, or with http:// on this machine"
    )
