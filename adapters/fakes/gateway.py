"""Stands between the network and a fake site: lets planned effects happen, applies faults, counts calls.

A broken connection is an exception that the server and the carrier, which works in the same process without a network,
turn into one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..asgi_server import ConnectionDroppedError
from .clock import Agenda
from .faults import Fault, Faults

#: Fates in which the site does what it was asked.
_CARRIED_OUT = frozenset({Fault.NONE, Fault.LOST_AFTER, Fault.THROTTLED_AFTER, Fault.FAILED_AFTER})
_BUSY = b'{"error":{"status":429,"title":"Too many requests","detail":"Request was throttled."}}'
_FAILURE = b"<html><body><h1>Server Error (500)</h1></body></html>"


class Gateway:
    """The ASGI application of a fake, in front of its site."""

    def __init__(
        self,
        site: ASGIApp,
        agenda: Agenda,
        faults: Faults,
        disturbed_prefixes: tuple[str, ...],
        on_throttled: Callable[[Scope], None] | None = None,
    ) -> None:
        """Take the parts.

        Args:
            site: the application that answers.
            agenda: planned effects, which happen before each call.
            faults: disturb calls.
            disturbed_prefixes: beginnings of the paths that belong to the site's API; pages are not disturbed.
            on_throttled: called for a request that is put off; None: the site does not remember it.
        """
        self._site = site
        self._agenda = agenda
        self._faults = faults
        self._prefixes = disturbed_prefixes
        self._on_throttled = on_throttled
        #: Calls to the API by `METHOD fate`.
        self.calls: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            ConnectionDroppedError: the fault of this call breaks the connection.
        """
        self._agenda.run_due()
        if scope["type"] != "http" or not scope["path"].startswith(self._prefixes):
            await self._site(scope, receive, send)
            return
        fault = self._faults.draw(f"{scope['method']} {scope['path']}")
        self.calls[f"{scope['method']} {fault.value}"] += 1
        if fault is Fault.NONE:
            await self._site(scope, receive, send)
            return
        if fault in _CARRIED_OUT:
            await self._site(scope, receive, _nowhere)
        elif fault is Fault.THROTTLED and self._on_throttled is not None:
            self._on_throttled(scope)
        await _answer_fault(fault, send)


async def _answer_fault(fault: Fault, send: Send) -> None:
    match fault:
        case Fault.LOST_BEFORE | Fault.LOST_AFTER:
            raise ConnectionDroppedError
        case Fault.THROTTLED | Fault.THROTTLED_AFTER:
            await _respond(send, 429, b"application/json", _BUSY)
        case _:
            await _respond(send, 500, b"text/html", _FAILURE)


async def _respond(send: Send, status: int, kind: bytes, body: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _nowhere(message: Message) -> None:
    """Throw away what the site answers."""


class FakeCarrier(httpx.AsyncBaseTransport):
    """An httpx transport whose other end is an application; broken connections are read errors, as on a network."""

    def __init__(self, app: ASGIApp) -> None:
        """Keep the application."""
        self._inner = httpx.ASGITransport(app=app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Have the application answer.

        Raises:
            httpx.ReadError: the connection broke.
        """
        try:
            return await self._inner.handle_async_request(request)
        except ConnectionDroppedError as error:
            raise httpx.ReadError("the connection was dropped", request=request) from error
