"""Lets a few simulated workers do their work in a real browser, and notes what the pages do."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import trio

from .chromium import BrowserError, Chromium, Tab, open_chromium
from .page_look import quoted

DRIVER = Path(__file__).parent / "page_driver.js"
#: Workers with a browser, and units that each of them does.
VISITORS = 2
UNITS_EACH = 2
#: Milliseconds after which a page that shows nothing stays blank, and in which it follows a press of a button.
BLANK_MS = 4_000
SETTLE_MS = 3_000
#: Presses of buttons for one unit.
ROUNDS = 12
#: Seconds that one unit may take in the browser.
UNIT_SECONDS = 30.0
#: Part of the browser's errors about a server that does not run any more.
SERVER_GONE = "ERR_CONNECTION"
#: Distinct errors that are kept.
MAX_ERRORS = 20

_FORM_DATA = re.compile(r'name="final_string_data"\r\n\r\n(.*?)\r\n--', re.DOTALL)


class BrowserNotes(msgspec.Struct, kw_only=True):
    """Notes on what the pages did in the browser."""

    #: Pages that showed nothing, by what they were for.
    blank: dict[str, int] = {}
    #: Errors on the console and exceptions that nobody caught, by their text.
    console_errors: Counter[str] = msgspec.field(default_factory=Counter)
    #: Pages on which the work could not be submitted, by what they said.
    stuck: Counter[str] = msgspec.field(default_factory=Counter)
    #: Fields that were filled in, each with whether a submission had its answer.
    fields: dict[str, bool] = {}
    #: The work that was submitted.
    submitted: list[Any] = []
    #: Why there was no browser, or why it ended early.
    failure: str | None = None

    @property
    def unsent_fields(self) -> list[str]:
        """Fields that were filled in, and whose answer was in no submission."""
        return [name for name, was_sent in self.fields.items() if not was_sent] if self.submitted else []


async def visit_in_browser(program: str, url: str, notes: BrowserNotes, has_sample: trio.Event) -> None:
    """Do some units of a run in a browser.

    Args:
        program: the browser.
        url: the address of the run's server.
        notes: what happened is noted here.
        has_sample: set as soon as work was submitted, or nothing more is to be expected.
    """
    try:
        async with open_chromium(program) as browser:
            await _look_at_preview(browser, url, notes)
            for number, unit in product(range(1, VISITORS + 1), range(1, UNITS_EACH + 1)):
                address = f"{url}/?worker_id=browser-{number}&assignment_id=b{unit}"
                if not await _do_unit(browser, address, f"rehearsal {number}{unit}", notes):
                    break
                has_sample.set()
    except BrowserError as error:
        notes.failure = str(error)
    finally:
        has_sample.set()


async def _look_at_preview(browser: Chromium, url: str, notes: BrowserNotes) -> None:
    visit = _Visit(notes, "preview")
    async with browser.open_tab(visit.on_event) as tab:
        await visit.open(tab, url)


async def _do_unit(browser: Chromium, address: str, text: str, notes: BrowserNotes) -> bool:
    """Do one unit; return whether it was submitted."""
    visit = _Visit(notes, "task")
    with trio.move_on_after(UNIT_SECONDS):
        async with browser.open_tab(visit.on_event) as tab, trio.open_nursery() as nursery:
            nursery.start_soon(visit.accept_dialogs, tab)
            if await visit.open(tab, address):
                await visit.work(tab, text)
            nursery.cancel_scope.cancel()
    return visit.was_submitted


class _Visit:
    """One load of a page."""

    def __init__(self, notes: BrowserNotes, page: str) -> None:
        self._notes = notes
        self._page = page
        self._dialogs, self._next_dialog = trio.open_memory_channel[None](100)
        self._bodies: dict[str, str | None] = {}
        self._filled: dict[str, str | None] = {}
        #: What the page sent over its socket.
        self._frames: list[str] = []
        self.was_submitted = False
        #: True once the run has ended during the visit, which is no fault of the page.
        self._is_server_gone = False

    def on_event(self, method: str, params: dict[str, Any]) -> None:
        """Take an event of the tab."""
        match method:
            case "Page.javascriptDialogOpening":
                self._dialogs.send_nowait(None)
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self._note_error(details.get("exception", {}).get("description") or details.get("text", ""))
            case "Runtime.consoleAPICalled" if params.get("type") == "error":
                self._note_error(" ".join(str(one.get("value", "")) for one in params.get("args", [])))
            case "Log.entryAdded" if params["entry"].get("level") == "error":
                entry = params["entry"]
                path = urlsplit(entry.get("url", "")).path
                if path != "/favicon.ico":  # browsers ask for it by themselves
                    self._note_error(f"{entry.get('text', '')} {path}")
            case "Network.requestWillBeSent":
                request = params["request"]
                if request["method"] == "POST" and urlsplit(request["url"]).path == "/submit_task":
                    self._bodies[params["requestId"]] = request.get("postData")
            case "Network.webSocketFrameSent":
                self._frames.append(params["response"].get("payloadData", ""))
            case "Network.responseReceived" if params["requestId"] in self._bodies:
                self.was_submitted = self.was_submitted or params["response"]["status"] < 300

    def _note_error(self, text: str) -> None:
        if SERVER_GONE in text:
            self._is_server_gone = True
        elif len(self._notes.console_errors) < MAX_ERRORS:
            self._notes.console_errors[quoted(text)] += 1

    async def accept_dialogs(self, tab: Tab) -> None:
        """Accept each dialog that the page opens; it waits for that."""
        async for _ in self._next_dialog:
            await tab.call("Page.handleJavaScriptDialog", accept=True)

    async def open(self, tab: Tab, address: str) -> bool:
        """Load the page; return whether anything appears on it."""
        code = await trio.Path(DRIVER).read_text(encoding="utf-8")
        await tab.call("Page.addScriptToEvaluateOnNewDocument", source=code)
        answer = await tab.call("Page.navigate", url=address)
        if SERVER_GONE in answer.get("errorText", "") or await tab.evaluate(f"rehearsal.appears({BLANK_MS})"):
            return not answer.get("errorText")
        if self._is_server_gone:
            return False
        self._notes.blank[self._page] = self._notes.blank.get(self._page, 0) + 1
        return False

    async def work(self, tab: Tab, text: str) -> None:
        """Fill in and press buttons until the work is submitted."""
        for _ in range(ROUNDS):
            await tab.evaluate(f"rehearsal.settle({SETTLE_MS})")
            if self.was_submitted:
                break
            await self._choose_files(tab)
            self._filled |= await tab.evaluate(f"rehearsal.fill({msgspec.json.encode(text).decode()})")
            pressed = await tab.evaluate("rehearsal.press()")
            if not pressed:
                await trio.sleep(1)
        if self.was_submitted:
            await self._read_submission(tab)
        elif not self._is_server_gone:
            self._notes.stuck[quoted(str(await tab.evaluate("rehearsal.text()")))] += 1

    async def _choose_files(self, tab: Tab) -> None:
        for number in range(await tab.evaluate("rehearsal.fileInputs()")):
            expression = f"document.querySelectorAll('input[type=file]')[{number}]"
            found = await tab.call("Runtime.evaluate", expression=expression)
            await tab.call("DOM.setFileInputFiles", files=[str(DRIVER)], objectId=found["result"]["objectId"])

    async def _read_submission(self, tab: Tab) -> None:
        for request, known in self._bodies.items():
            body = known
            if body is None:
                body = (await tab.call("Network.getRequestPostData", requestId=request)).get("postData", "")
            work = _work_in(body)
            self._notes.submitted.append(work)
            for name, mark in self._filled.items():
                was_sent = _has_key(work, name) or bool(mark and any(mark in sent for sent in (body, *self._frames)))
                self._notes.fields[name] = self._notes.fields.get(name, False) or was_sent


def _work_in(body: str) -> Any:
    form = _FORM_DATA.search(body)
    try:
        return msgspec.json.decode(form[1]) if form else msgspec.json.decode(body).get("final_data")
    except (msgspec.DecodeError, AttributeError):
        return None


def _has_key(value: Any, name: str) -> bool:
    if isinstance(value, dict):
        return value.get(name) is not None or any(_has_key(part, name) for part in value.values())
    return isinstance(value, list) and any(_has_key(part, name) for part in value)
