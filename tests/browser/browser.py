"""Chromium for tests written in trio: one process of `driver/driver.mjs` for all of them, a page per worker."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO

import msgspec
import trio

Value = str | int | float | bool | None


#: What a browser may take to end, on a busy machine.
END_SECONDS = 60


class BrowserError(AssertionError):
    """The page did not do what the test asked, or raised an error by itself."""


class BrowserProcess:
    """A browser that tests use one after the other; starting one takes longer than many a test.

    Args:
        driver: folder of the driver with its packages installed.
        chromium: path of the browser.
    """

    def __init__(self, driver: Path, chromium: str) -> None:
        self._command = ["node", str(driver / "driver.mjs"), chromium]
        self._process: Popen[bytes] | None = None

    def start(self) -> tuple[IO[bytes], IO[bytes]]:
        """Return where commands go and where answers come from, of a process that is started if there is none."""
        if self._process is None:
            self._process = Popen(self._command, stdin=PIPE, stdout=PIPE, bufsize=0)
            _, answers = self._pipes()
            if not answers.readline():
                raise BrowserError("the driver did not start")
        return self._pipes()

    def kill(self) -> None:
        """End the process, whatever it does; the next test gets another one."""
        if self._process is not None:
            self._process.kill()
            self.close()

    def close(self) -> None:
        """End the process when it has done what it was told."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                if process.stdin is not None:
                    process.stdin.close()
                process.wait(END_SECONDS)

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            raise BrowserError("the driver was started without pipes")
        return self._process.stdin, self._process.stdout


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
async def open_browser(process: BrowserProcess, pictures: Path) -> AsyncIterator[Browser]:
    """Have a browser without pages during the block. An uncaught error in a page fails the test.

    Args:
        process: the browser; it ends if the block fails.
        pictures: folder for screenshots.
    """
    to_driver, from_driver = await trio.to_thread.run_sync(process.start)
    is_reset = False
    try:
        async with (
            trio.lowlevel.FdStream(os.dup(to_driver.fileno())) as commands,
            trio.lowlevel.FdStream(os.dup(from_driver.fileno())) as answers,
        ):
            browser = Browser(commands, answers, pictures)
            yield browser
            for page in browser.pages:
                errors = (await page.heard()).errors
                if errors:
                    raise BrowserError(f"uncaught in the page of {page.name}: {errors}")
            await browser.perform({"reset": True})
            is_reset = True
    finally:
        if not is_reset:
            process.kill()


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    buffered = b""
    async for chunk in stream:
        *whole, buffered = (buffered + chunk).split(b"\n")
        for line in whole:
            yield line
    raise BrowserError("the driver has ended")
