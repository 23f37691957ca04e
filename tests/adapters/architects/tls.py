"""A web server that does TLS in front of a router, with a certificate of an authority of its own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
import trustme

HOST = "127.0.0.1"
PIECE_BYTES = 2**16


@asynccontextmanager
async def tls_in_front_of(port: int, ca_file: Path) -> AsyncIterator[str]:
    """Serve a port of this machine with TLS; yield the URL.

    Args:
        port: where the requests go.
        ca_file: gets the certificate of the authority.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    [plain] = await trio.open_tcp_listeners(0, host=HOST)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, partial(_forward, port), [trio.SSLListener(plain, context)])
        yield f"https://{HOST}:{plain.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def _forward(port: int, client: trio.SSLStream[trio.SocketStream]) -> None:
    try:
        async with client, await trio.open_tcp_stream(HOST, port) as server, trio.open_nursery() as nursery:
            nursery.start_soon(_pump, client, server, nursery.cancel_scope)
            nursery.start_soon(_pump, server, client, nursery.cancel_scope)
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


async def _pump(source: trio.abc.Stream, target: trio.abc.Stream, scope: trio.CancelScope) -> None:
    while piece := await source.receive_some(PIECE_BYTES):
        await target.send_all(piece)
    scope.cancel()
