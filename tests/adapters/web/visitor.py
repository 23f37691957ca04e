"""Acts as a browser without a screen: keeps cookies, follows redirects, submits the forms it was shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path

import httpx

from mephisto_es.adapters.composition.clock_and_ids import SystemClock
from mephisto_es.adapters.web.access import Access, Sessions
from mephisto_es.adapters.web.app import make_app
from mephisto_es.adapters.web.changes import Changes
from mephisto_es.adapters.web.log_access import FEW_EVENTS, LogAccess

#: Author of what is decided in the pages.
AUTHOR = "user/tester"
PORT = 8000
#: Seconds that a click waits for another process.
WAIT_SECONDS = 0.2
KEY = b"k" * 32
NOW = 1_800_000_000.0
_TOKEN = re.compile(r'name="form_token" value="(\w+)"')
_LINKS = re.compile(r"</?a\b[^>]*>")
_TAGS = re.compile(r"<[^>]+>")


class Visitor:
    """A visitor of the pages of a log.

    Attributes:
        client: the HTTP client.
        now: the time of the sessions' clock, in seconds.
        log: access to the log; to be closed.
    """

    def __init__(
        self,
        database: Path,
        access: Access,
        host: str,
        wait_seconds: float = WAIT_SECONDS,
        few_events: int = FEW_EVENTS,
    ) -> None:
        self.now = NOW
        sessions = Sessions(KEY, lambda: self.now)
        self.log = LogAccess(database, AUTHOR, wait_seconds, few_events)
        app = make_app(self.log, access, sessions, Changes(database), SystemClock(), PORT)
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        self.client = httpx.AsyncClient(transport=transport, base_url=f"http://{host}:{PORT}")

    async def get(self, address: str, *, status: int = 200, **headers: str) -> httpx.Response:
        """Load a page, following redirects."""
        response = await self.client.get(address, headers=headers, follow_redirects=True)
        assert response.status_code == status, response.text
        return response

    async def read(self, address: str, *, status: int = 200) -> str:
        """Return the text of a page."""
        return words_of(await self.get(address, status=status))

    async def send(self, address: str, fields: Mapping[str, str], *, status: int = 200) -> httpx.Response:
        """Load a page and submit its form with some fields."""
        page = await self.get(address)
        found = _TOKEN.search(page.text)
        token = {"form_token": found[1]} if found else {}
        return await self.post(address, {**token, **fields}, status=status)

    async def post(self, address: str, fields: Mapping[str, str], *, status: int = 200) -> httpx.Response:
        """Submit a form."""
        response = await self.client.post(address, data=dict(fields), follow_redirects=True)
        assert response.status_code == status, response.text
        return response


def words_of(page: httpx.Response) -> str:
    """Return the text of a page without tags, on one line."""
    return " ".join(unescape(_TAGS.sub(" ", _LINKS.sub("", page.text))).split())
