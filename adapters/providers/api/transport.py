"""Sends calls to a crowd site: timeouts, back-off, and a clear word on what is known of a call that failed.

A call that could do something twice is never sent again after its answer was lost: it raises `EffectUnknownError`, and
the caller looks at the site.

Credentials stand in headers and sometimes in a URL, so the lines that httpx and httpcore would log about these
calls are held back; this module logs its own, with the call's name and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import ip_address
from types import TracebackType
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
import trio

from ....core.errors import ConfigError
from ....core.operations.logger_core import get_logger
from ...channels.backoff import Backoff
from .calls import HttpAnswer, Repeat, SiteCall
from .errors import (
    EffectUnknownError,
    SiteCredentialsError,
    SiteError,
    SiteMissingError,
    SiteRefusedError,
    SiteThrottledError,
    SiteUnavailableError,
    SiteUnreachableError,
    harmless_text,
    ids_in,
    site_words,
)

Result = TypeVar("Result")
FailureType = TypeVar("FailureType", bound=SiteError)

logger = get_logger(__name__)

#: A longer answer is not kept.
MAX_ANSWER_BYTES = 32 * 1024 * 1024
#: Loggers of the libraries below, which would write URLs and headers.
LIBRARY_LOGGERS = ("httpx", *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))

_BUSY = 429
_SERVER_FAILURES = frozenset({408, *range(500, 600)})


class TransportLimits(NamedTuple):
    """Bounds of a call, in seconds."""

    #: Making a connection.
    connect_seconds: float = 10.0
    #: One attempt, from the first byte sent to the last byte received.
    attempt_seconds: float = 60.0
    #: All attempts together: from the first failure on no new attempt starts later than this.
    patience_seconds: float = 120.0


class _Attempt(NamedTuple):
    """One attempt that failed."""

    error: SiteError
    #: True if a further attempt may be made, as far as the site goes.
    may_pass: bool


class _QuietFilter(logging.Filter):
    """Drops what is logged while a call of ours is under way."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002  # the name is logging's
        """Return False during our calls."""
        return not _calling.get()


_calling: ContextVar[bool] = ContextVar("calling", default=False)
_quiet = _QuietFilter()


class SiteTransport:
    """The connection to one site under one account; use it as an asynchronous context manager."""

    def __init__(
        self,
        site: str,
        base_url: str,
        *,
        headers: Mapping[str, str],
        secrets: Collection[str],
        jitter: Callable[[], float],
        limits: TransportLimits = TransportLimits(),  # noqa: B008  # immutable
        carrier: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            site: the site's name, for errors.
            base_url: where the paths of calls begin; https, except on this machine.
            headers: sent with each call, credentials among them.
            secrets: texts that must not appear in an error.
            jitter: gives numbers from 0 to 1, to spread the retries of many clients.
            limits: bounds in seconds.
            carrier: what carries requests in place of the network.

        Raises:
            ConfigError: the URL is not one that credentials may be sent to.
        """
        self.site = site
        self._secrets = tuple(secrets)
        self._jitter = jitter
        self._limits = limits
        is_local = _check_base_url(site, base_url)
        for name in LIBRARY_LOGGERS:
            logging.getLogger(name).addFilter(_quiet)  # a filter that is there already is not added again
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers=headers,
            timeout=httpx.Timeout(limits.attempt_seconds, connect=limits.connect_seconds),
            follow_redirects=False,  # credentials go to the configured site only
            trust_env=not is_local,
            transport=carrier,
        )

    async def __aenter__(self) -> SiteTransport:
        """Open the connection pool."""
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._client.__aexit__(kind, error, trace)

    async def call(self, call: SiteCall[Result]) -> Result:
        """Make a call, as often as it may be sent, and return its result.

        Cancelled, it leaves open whether the call had its effect.

        Raises:
            SiteRefusedError: the site said no, and nothing was changed.
            SiteThrottledError: the site stayed too busy; nothing was changed, as far as the site's word goes.
            SiteUnreachableError: no connection was made.
            SiteUnavailableError: a call that changes nothing got no usable answer.
            EffectUnknownError: the effect may have happened.
        """
        backoff = Backoff(self._limits.patience_seconds, self._jitter)
        first_doubt: SiteError | None = None
        attempt = 0
        while True:
            attempt += 1
            started = trio.current_time()
            try:
                result = await self._once(call)
            except _AttemptError as failed:
                error, may_pass = failed.attempt
            else:
                logger.debug("called", site=self.site, operation=call.operation, attempt=attempt)
                return result
            if isinstance(error, EffectUnknownError):
                first_doubt = first_doubt or error
            delay = backoff.next_delay(trio.current_time()) if may_pass else None
            logger.debug(
                "call failed",
                site=self.site,
                operation=call.operation,
                attempt=attempt,
                status=error.status,
                seconds=round(trio.current_time() - started, 3),
                again_in_seconds=delay,
            )
            wait = _wait_seconds(error, delay, self._limits.patience_seconds)
            if wait is None:
                # After an attempt whose effect is unknown, a refusal says nothing about that one.
                raise first_doubt or error
            await trio.sleep(wait)

    async def _once(self, call: SiteCall[Result]) -> Result:
        """Send once and read the answer.

        Raises:
            _AttemptError: it failed.
        """
        answer = await self._exchange(call)
        if call.reads_every_status or 200 <= answer.status < 300:
            try:
                return call.read(answer)
            except (ValueError, msgspec.DecodeError):
                if 200 <= answer.status < 300:
                    raise self._without_result(
                        call, answer.status, "the answer is not of the documented form"
                    ) from None
        raise self._refusal(call, answer)

    async def _exchange(self, call: SiteCall[Result]) -> HttpAnswer:
        """Send once and receive the whole answer.

        Raises:
            _AttemptError: no connection was made, or no whole answer came in time.
        """
        headers = dict(call.headers)
        if call.body is not None:
            headers["content-type"] = "application/json"
        answer: HttpAnswer | None = None
        # What httpx raises can hold a header or a URL, so its errors are named and not chained.
        with _no_library_lines(), trio.move_on_after(self._limits.attempt_seconds):
            try:
                async with self._client.stream(
                    call.method,
                    call.path.lstrip("/"),
                    params=dict(call.query) or None,
                    content=call.body,
                    headers=headers,
                ) as response:
                    body = await _bounded_body(response)
                    if body is None:
                        raise self._without_result(call, response.status_code, "the answer is too long")
                    answer = HttpAnswer(response.status_code, dict(response.headers), body)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                reason = type(error).__name__
                raise _AttemptError(SiteUnreachableError(self.site, call.operation, detail=reason), True) from None
            except httpx.HTTPError as error:
                raise self._without_result(call, None, type(error).__name__) from None
        if answer is None:
            raise self._without_result(call, None, f"no answer within {self._limits.attempt_seconds:g} seconds")
        return answer

    def _refusal(self, call: SiteCall[Result], answer: HttpAnswer) -> _AttemptError:
        """Return the error for an answer that is not a success."""
        status = answer.status
        if status in _SERVER_FAILURES:
            return self._without_result(call, status, self._words(answer))
        if status == _BUSY:
            throttled = self._error(SiteThrottledError, call, answer)
            throttled.retry_after_seconds = _seconds(answer.headers.get("retry-after"))
            return _AttemptError(throttled, call.repeat is not Repeat.NEVER)
        if status in {401, 403}:
            return _AttemptError(self._error(SiteCredentialsError, call, answer), False)
        if status == 404:
            return _AttemptError(self._error(SiteMissingError, call, answer), False)
        return _AttemptError(self._error(SiteRefusedError, call, answer), False)

    def _without_result(self, call: SiteCall[Result], status: int | None, detail: str) -> _AttemptError:
        """Return the error for an attempt that may have had its effect, if the call has any."""
        kind = SiteUnavailableError if call.repeat is Repeat.READ else EffectUnknownError
        error = kind(self.site, call.operation, status=status, detail=detail)
        return _AttemptError(error, call.repeat in {Repeat.READ, Repeat.IDEMPOTENT})

    def _error(self, kind: type[FailureType], call: SiteCall[Result], answer: HttpAnswer) -> FailureType:
        return kind(
            self.site,
            call.operation,
            status=answer.status,
            detail=self._words(answer),
            mentioned_ids=ids_in(site_words(answer.body)),
            trace=harmless_text(answer.headers.get("x-trace-id", ""), self._secrets) or None,
        )

    def _words(self, answer: HttpAnswer) -> str:
        return harmless_text(site_words(answer.body), self._secrets)


class _AttemptError(Exception):
    """Carries a failed attempt to the loop that decides about the next one."""

    def __init__(self, error: SiteError, may_pass: bool) -> None:
        self.attempt = _Attempt(error, may_pass)
        super().__init__()


def credential(text: str, key: str) -> str:
    """Return a credential that fits into a header.

    Args:
        text: the credential.
        key: the setting that it comes from; the error names it, and never the credential.

    Raises:
        ConfigError: it is empty or has characters that no credential has.
    """
    stripped = text.strip()
    if not stripped or not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise ConfigError(
            f"{key} is empty or has characters that cannot be sent",
            key=key,
            hint="Copy it again from the site's settings, without spaces or line breaks",
        )
    return stripped


@contextmanager
def _no_library_lines() -> Iterator[None]:
    token = _calling.set(True)
    try:
        yield
    finally:
        _calling.reset(token)


async def _bounded_body(response: httpx.Response) -> bytes | None:
    """Return the body; None if it is too long."""
    body = bytearray()
    size = 0
    # Reading to the end closes httpx's own generators; the attempt's time bounds it.
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size <= MAX_ANSWER_BYTES:
            body += piece
    return bytes(body) if size <= MAX_ANSWER_BYTES else None


def _wait_seconds(error: SiteError, delay: float | None, patience_seconds: float) -> float | None:
    """Return the seconds until the next attempt; None if there is none."""
    if delay is None:
        return None
    asked = error.retry_after_seconds if isinstance(error, SiteThrottledError) else None
    if asked is None:
        return delay
    return None if asked > patience_seconds else max(asked, delay)


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a `Retry-After` header; a date is not read."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 6:
        return None
    return float(text)


def _check_base_url(site: str, base_url: str) -> bool:
    """Return True if the URL is on this machine.

    Raises:
        ConfigError: it is no URL, or credentials would travel unencrypted.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    try:
        is_local = ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    if not host or parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        raise ConfigError(f"the address of {site} is not a URL", hint="Write it as https://host/path")
    if parts.scheme == "http" and not is_local:
        raise ConfigError(
            f"the address of {site} is not encrypted, and the key would be sent to it",
            hint="Use https; http is for a fake on this machine",
        )
    return is_local
