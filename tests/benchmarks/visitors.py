"""Workers' browsers for load: as little as the wire needs, so that what is measured is not who measures.

Usage: visitors.py URL. Makes the visits it is told to make, and answers how they went.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import trio

from mephisto_es.tests.benchmarks.processes import answer, standard_input

PROGRAM = Path(__file__)
CLIENT_VERSION = "2.0.4"
#: Only tells a hang, also on a machine that is busy with other things.
REQUEST_SECONDS = 120
#: What a worker hands in, in characters.
SUBMISSION_LENGTH = 200


class VisitsRequest(msgspec.Struct):
    """Visits to make: each by a new worker, who asks for a unit and hands it in at once."""

    visits: int
    #: So many visits at a time.
    workers: int


class VisitsReply(msgspec.Struct):
    """The measurements of the visits."""

    seconds: float = 0
    request_agent_seconds: list[float] = []
    submit_task_seconds: list[float] = []


class _Details(msgspec.Struct):
    agent_id: str | None
    failure_reason: str | None = None


class _Answer(msgspec.Struct):
    data: _Details


_decode_answer = msgspec.json.Decoder(_Answer).decode


class Browser:
    """One connection to a router."""

    def __init__(self, url: str, headers: str = "") -> None:
        """Connect with the first request.

        Args:
            url: the router's.
            headers: lines that are added to each request.
        """
        parts = urlsplit(url)
        self._headers = headers
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._stream: trio.SocketStream | None = None
        self._rest = b""

    async def request(self, method: str, path: str, body: object = None) -> bytes:
        """Send a request and return the body of its answer.

        Raises:
            AssertionError: it was answered with something else than 200.
        """
        content = b"" if body is None else msgspec.json.encode(body)
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{self._headers}"
        if content:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        with trio.fail_after(REQUEST_SECONDS):
            if self._stream is None:
                self._stream = await trio.open_tcp_stream(self._host, self._port)
            await self._stream.send_all(f"{head}\r\n".encode() + content)
            return await self._answer(self._stream)

    async def _answer(self, stream: trio.SocketStream) -> bytes:
        """The body of an answer; routers send none without its length."""
        while b"\r\n\r\n" not in self._rest:
            await self._receive(stream)
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        status, *headers = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in headers)}
        length = int(fields["content-length"])
        while len(self._rest) < length:
            await self._receive(stream)
        body, self._rest = self._rest[:length], self._rest[length:]
        if " 200 " not in f"{status} ":
            raise AssertionError(f"the router answered {status}: {body[:200]!r}")
        return body

    async def _receive(self, stream: trio.SocketStream) -> None:
        some = await stream.receive_some()
        if not some:
            raise AssertionError("the router closed the connection")
        self._rest += some

    async def close(self) -> None:
        """Close the connection."""
        if self._stream is not None:
            await trio.aclose_forcefully(self._stream)


async def visit(browser: Browser, worker: str, reply: VisitsReply) -> None:
    """One worker's whole visit."""
    await browser.request("GET", f"/task_config.json?mephisto_task_version={CLIENT_VERSION}")
    agent = await ask_for_agent(browser, worker, reply)
    began = time.perf_counter()
    final_data = {"rating": 3, "comment": "x" * SUBMISSION_LENGTH}
    submission = {"USED_AGENT_ID": agent, "final_data": final_data, "client_timestamp": time.time()}
    await browser.request("POST", "/submit_task", submission)
    reply.submit_task_seconds.append(time.perf_counter() - began)


async def ask_for_agent(browser: Browser, worker: str, reply: VisitsReply) -> str:
    """Ask for an agent.

    Raises:
        AssertionError: there is none to be had.
    """
    began = time.perf_counter()
    registration = {
        "worker_name": worker,
        "assignment_id": worker,
        "agent_registration_id": f"{worker}-{worker}",
        "provider_type": "mock",
    }
    question = {"provider_data": registration, "client_timestamp": time.time()}
    details = _decode_answer(await browser.request("POST", "/request_agent", question)).data
    reply.request_agent_seconds.append(time.perf_counter() - began)
    if details.agent_id is None:
        raise AssertionError(f"no agent: {details.failure_reason}")
    return details.agent_id


async def _make_visits(url: str, request: VisitsRequest) -> VisitsReply:
    reply = VisitsReply()
    name = uuid.uuid4().hex
    names = (f"{name}-{number}" for number in range(request.visits))

    async def come(names: Iterator[str]) -> None:
        # Who comes is new, and so is the browser.
        for worker in names:
            browser = Browser(url)
            await visit(browser, worker, reply)
            await browser.close()

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(request.workers):
            nursery.start_soon(come, names)
    reply.seconds = time.perf_counter() - began
    return reply


async def _serve(url: str) -> None:
    async for line in standard_input():
        answer(await _make_visits(url, msgspec.json.decode(line, type=VisitsRequest)))


if __name__ == "__main__":
    trio.run(_serve, sys.argv[1])
