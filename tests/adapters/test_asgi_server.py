"""The small HTTP server of fakes and witnesses, over real sockets."""

from __future__ import annotations

import httpx
import pytest
import trio
from starlette.types import Receive, Scope, Send

from mephisto_es.adapters.asgi_server import ConnectionDroppedError, serve_asgi
from mephisto_es.core.errors import ConfigError


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/drop":
        raise ConnectionDroppedError
    message = await receive()
    assert (await receive())["type"] == "http.disconnect"
    text = f"{scope['method']} {scope['path']}?{scope['query_string'].decode()} ".encode() + message["body"]
    await send({"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"b")]})
    await send({"type": "http.response.body", "body": text})


async def test_requests_are_answered_and_connections_kept(nursery: trio.Nursery) -> None:
    port = await nursery.start(serve_asgi, echo, "127.0.0.1", 0)
    with trio.fail_after(120):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            for body in (b"one", b"x" * 200_000, b""):
                answer = await client.post("/a%20b", params={"q": "1"}, content=body)
                assert answer.status_code == 201
                assert answer.headers["x-a"] == "b"
                assert answer.content == b"POST /a b?q=1 " + body
            assert (await client.head("/")).content == b""
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/drop")
            assert (await client.get("/again")).status_code == 201


async def test_what_is_not_http_is_hung_up_on(nursery: trio.Nursery) -> None:
    port = await nursery.start(serve_asgi, echo, "127.0.0.1", 0, 10)
    with trio.fail_after(120):
        for sent in (b"\x00\x01\n\n", b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n" + b"x" * 99):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            async with stream:
                await stream.send_all(sent)
                assert b"HTTP/1.1 2" not in await stream.receive_some()


async def test_a_port_that_is_taken_is_reported(nursery: trio.Nursery) -> None:
    port = await nursery.start(serve_asgi, echo, "127.0.0.1", 0)
    with pytest.raises(ConfigError, match=f"nothing can listen on port {port}"):
        await serve_asgi(echo, "127.0.0.1", port)
