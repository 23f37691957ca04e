"""Starts headless Chromium and speaks its DevTools protocol, so that no other tool is needed to look at pages."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from ...core.errors import MephistoError
from ..channels.dial import ConnectionFailedError, dial

#: Names under which systems have the browser.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
#: Seconds for the start of the browser, and for one of its answers.
START_SECONDS = 30.0
ANSWER_SECONDS = 30.0
_LISTENING = b"DevTools listening on "
_ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-extensions", "--disable-background-networking", "--mute-audio", "--remote-debugging-port=0"),
)


class BrowserError(MephistoError):
    """The browser does not start, does not answer, or refuses what it was told."""


class _Message(msgspec.Struct):
    """A message of the browser: the answer to a command, or an event."""

    id: int | None = None
    method: str = ""
    params: dict[str, Any] = {}
    result: dict[str, Any] = {}
    error: dict[str, Any] | None = None
    session: str | None = msgspec.field(default=None, name="sessionId")


_decode = msgspec.json.Decoder(_Message).decode

#: Takes an event of a page: its method and parameters.
OnEvent = Callable[[str, dict[str, Any]], None]


def find_chromium() -> str | None:
    """Return the path of an installed Chromium or Chrome; None if there is none."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class Chromium:
    """A running browser."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, tuple[trio.Event, list[_Message]]] = {}
        self._listeners: dict[str, OnEvent] = {}

    async def receive(self) -> None:
        """Take the browser's messages until it has gone."""
        try:
            while True:
                message = _decode(await self._socket.get_message())
                if message.id is not None and message.id in self._waiting:
                    answered, answers = self._waiting[message.id]
                    answers.append(message)
                    answered.set()
                elif message.session in self._listeners:
                    self._listeners[message.session](message.method, message.params)
        except ConnectionClosed:
            return

    async def call(self, method: str, session: str | None = None, **params: object) -> dict[str, Any]:
        """Issue a command and return its result.

        Raises:
            BrowserError: the browser refuses it, does not answer, or has gone.
        """
        number = next(self._numbers)
        answered, answers = self._waiting[number] = trio.Event(), []
        command = {"id": number, "method": method, "params": params}
        try:
            with trio.fail_after(ANSWER_SECONDS):
                await self._socket.send_message(
                    msgspec.json.encode(command | ({} if session is None else {"sessionId": session})).decode()
                )
                await answered.wait()
        except (trio.TooSlowError, ConnectionClosed) as error:
            raise BrowserError(f"the browser does not answer {method}") from error
        finally:
            del self._waiting[number]
        if answers[0].error is not None:
            raise BrowserError(f"the browser refuses {method}: {answers[0].error.get('message', '')}")
        return answers[0].result

    @asynccontextmanager
    async def open_tab(self, on_event: OnEvent) -> AsyncIterator[Tab]:
        """Open a tab with storage of its own; close it when the block ends.

        Args:
            on_event: called with each event of the tab, and must not wait.
        """
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = (await self.call("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        self._listeners[session] = on_event
        tab = Tab(self, session)
        try:
            for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
                await tab.call(f"{domain}.enable")
            yield tab
        finally:
            del self._listeners[session]
            with trio.move_on_after(1) as closing:
                closing.shield = True
                await self.call("Target.disposeBrowserContext", browserContextId=context)


class Tab:
    """A tab of the browser."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """Issue a command for the tab; see `Chromium.call`."""
        return await self._browser.call(method, self._session, **params)

    async def evaluate(self, code: str) -> Any:
        """Return the value of a JavaScript expression, awaited if it is a promise.

        Raises:
            BrowserError: it raises, or as `call`.
        """
        answer = await self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"the page raised: {answer['exceptionDetails'].get('text', '')}")
        return answer["result"].get("value")


@asynccontextmanager
async def open_chromium(program: str) -> AsyncIterator[Chromium]:
    """Run a browser for a block.

    Raises:
        BrowserError: it does not start.
    """
    with _profile() as profile:
        command = [program, *_ARGUMENTS, f"--user-data-dir={profile}", "about:blank"]
        async with trio.open_nursery() as nursery:
            start = partial(trio.run_process, command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, check=False)
            try:
                process: trio.Process = await nursery.start(partial(start, deliver_cancel=_kill))
                with trio.fail_after(START_SECONDS):
                    address = await _address(process)
                async with dial(address) as socket:
                    browser = Chromium(socket)
                    nursery.start_soon(browser.receive)
                    nursery.start_soon(_discard, process)
                    yield browser
            except (OSError, trio.TooSlowError, ConnectionFailedError) as error:
                raise BrowserError(f"{program} does not start ({type(error).__name__})") from error
            nursery.cancel_scope.cancel()


@contextmanager
def _profile() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mephisto-es-browser-"))
    try:
        yield folder
    finally:
        # The browser's children may still write while it ends.
        shutil.rmtree(folder, ignore_errors=True)


async def _kill(process: trio.Process) -> None:
    process.kill()
    await trio.lowlevel.checkpoint()


async def _address(process: trio.Process) -> str:
    """Return the address of the browser's protocol, which it prints when it has started.

    Raises:
        BrowserError: it ended instead.
    """
    said = b""
    while process.stderr is not None and (chunk := await process.stderr.receive_some()):
        said += chunk
        _, found, rest = said.partition(_LISTENING)
        if found and b"\n" in rest:
            return rest.partition(b"\n")[0].strip().decode()
    raise BrowserError("the browser ended at its start")


async def _discard(process: trio.Process) -> None:
    """Read what the browser prints, so that it never waits for a reader."""
    while process.stderr is not None and await process.stderr.receive_some():
        pass
