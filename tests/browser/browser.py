"""Chromium for tests written in trio: one process of `driver/driver.mjs`, a page per worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE

import msgspec
import trio

from ..processes import kill

Value = str | int | float | bool | None


class BrowserError(AssertionError):
    """The page did not do what the test asked, or raised an error by itself."""


class PageLog(msgspec.Struct):
    """Messages and errors that a page reported."""

    dialogs: list[str]
    errors: list[str]


class _Answer(msgspec.Struct):
    value: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None


class Browser:
    """The browser of one test; a page opened here has cookies and storage of its own."""

    def __init__(self, commands: trio.abc.SendStream, answers: trio.abc.ReceiveStream, pictures: Path) -> None:
        self._commands = commands
        self._answers = _lines(answers)
        self._pictures = pictures
        self._turn = trio.Lock()
        self.pages: list[Page] = []

    async def open(self, name: str, **options: object) -> "Page":
        """Opens a page in a context of its own; `options` are playwright's for a new context."""
        await self.perform({"open": name, "options": options})
        page = Page(self, name, self._pictures)
        self.pages.append(page)
        return page

    async def perform(self, command: dict[str, object]) -> msgspec.Raw:
        """Sends one command to the driver and gives its answer's value."""
        async with self._turn:
            await self._commands.send_all(msgspec.json.encode(command) + b"\n")
            return await self.answer()

    async def answer(self) -> msgspec.Raw:
        """Return the driver's next line."""
        answer = msgspec.json.decode(await anext(self._answers), type=_Answer)
        if answer.error is not None:
            raise BrowserError(answer.error)
        return answer.value


class Page:
    """One worker's page."""

    def __init__(self, browser: Browser, name: str, pictures: Path) -> None:
        self._browser = browser
        self.name = name
        self._pictures = pictures

    async def call(self, method: str, *args: object) -> Value:
        """Calls a method of playwright's Page."""
        command: dict[str, object] = {"page": self.name, "call": method, "args": args}
        value: Value = msgspec.json.decode(await self._browser.perform(command), type=Value)
        return value

    async def visit(self, url: str) -> None:
        """Goes to an address and waits until it has loaded."""
        await self.call("goto", url)

    async def see(self, words: str) -> None:
        """Waits until these words are to be seen."""
        await self.call("waitForSelector", f"text={words}")

    async def press(self, button: str) -> None:
        """Presses the button with this label."""
        await self.call("click", f'role=button[name="{button}"]')

    async def fill(self, selector: str, words: str) -> None:
        """Types into a field."""
        await self.call("fill", selector, words)

    async def type_key(self, key: str) -> None:
        """Types a key, by its name, wherever the focus is."""
        await self.call("press", ":focus", key)

    async def text(self, selector: str) -> str:
        """Return the text of an element."""
        return str(await self.call("innerText", selector))

    async def heard(self) -> PageLog:
        """Dialogs that the page opened and errors that nobody caught, so far."""
        return msgspec.json.decode(await self._browser.perform({"page": self.name, "heard": True}), type=PageLog)

    async def barriers(self) -> list[str]:
        """Return the accessibility problems that axe finds in the page's current state."""
        found = await self._browser.perform({"page": self.name, "audit": True})
        return msgspec.json.decode(found, type=list[str])

    async def picture(self, step: str) -> None:
        """Keeps a screenshot among the artefacts."""
        path = self._pictures / f"{step}-{self.name}.png"
        await self.call("screenshot", {"path": str(path), "fullPage": True})


@asynccontextmanager
async def open_browser(driver: Path, chromium: str, pictures: Path) -> AsyncIterator[Browser]:
    """Run a browser during the block. An uncaught error in a page fails the test.

    Args:
        driver: folder of the driver with its packages installed.
        chromium: path of the browser.
        pictures: folder for screenshots.
    """
    async with trio.open_nursery() as nursery:
        command = ["node", str(driver / "driver.mjs"), chromium]
        start = partial(trio.run_process, command, stdin=PIPE, stdout=PIPE, deliver_cancel=kill)
        process: trio.Process = await nursery.start(start)
        if process.stdin is None or process.stdout is None:
            raise BrowserError("the driver was started without pipes")
        browser = Browser(process.stdin, process.stdout, pictures)
        await browser.answer()
        yield browser
        for page in browser.pages:
            errors = (await page.heard()).errors
            if errors:
                raise BrowserError(f"uncaught in the page of {page.name}: {errors}")
        await process.stdin.aclose()


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    buffered = b""
    async for chunk in stream:
        *whole, buffered = (buffered + chunk).split(b"\n")
        for line in whole:
            yield line
    raise BrowserError("the driver has ended")
