"""Simulates one person on a simulated crowd site: finds a place, does the work on the task's page, and completes it."""

from __future__ import annotations

import time
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import trio

from ...core.errors import ProtocolError
from ..fakes.pages import PERSON_COOKIE
from .page_client import AgentReply, PageClient, Visit
from .page_socket import RouterUnreachableError
from .sentence_rating import rate

#: Seconds between two looks at the site's list of places.
LOOK_SECONDS = (0.5, 1.5)
THINK_SECONDS = (0.5, 2.0)
REQUEST_SECONDS = 30.0

#: Where the site lists its offers, takes a person in, and names the ids of a visit in the page's address.
_PATHS = {
    "prolific": ("studies", "/studies/{}/reserve", "/submissions/{}/open", "/submissions/{}/return"),
    "connect": ("projects", "/projects/{}/accept", None, "/assignments/{}/return"),
}
_PARAMETERS = {
    "prolific": ("PROLIFIC_PID", "SESSION_ID", "STUDY_ID"),
    "connect": ("participantId", "assignmentId", "projectId"),
    "sona": ("survey_code", "survey_code", None),
}

_decode = msgspec.json.Decoder(dict[str, Any]).decode  # a simulated site's facts, read field by field


class SiteVisitor:
    """A person with a browser, who takes part once.

    Attributes:
        has_submitted: True once the task's server has the work.
    """

    def __init__(self, kind: str, site_url: str, name: str, code: str, chance: Random) -> None:
        """Open nothing yet.

        Args:
            kind: prolific, connect or sona.
            site_url: the site's address.
            name: the person.
            code: the completion code that the page shows at the end; used at Connect.
            chance: the person's random numbers.
        """
        self._kind = kind
        self._code = code
        self._chance = chance
        self._site = httpx.AsyncClient(
            base_url=site_url,
            headers={"accept": "application/json"},
            cookies={PERSON_COOKIE: name},
            timeout=REQUEST_SECONDS,
            trust_env=False,
            verify=False,  # both servers are on this machine, without TLS
        )
        self.has_submitted = False

    async def take_part(self) -> None:
        """Look for a place until there is one, and do the work; return once it is submitted."""
        async with self._site:
            while not self.has_submitted:
                taken = await self._find_place()
                if taken is not None and not await self._work(taken) and self._kind != "sona":
                    await self._site.post(_PATHS[self._kind][3].format(taken["id"]))
                await trio.sleep(self._chance.uniform(*LOOK_SECONDS))

    async def _find_place(self) -> dict[str, Any] | None:
        """Take a place, and open the page; None: there is none."""
        if self._kind == "sona":
            return await self._sign_up()
        listed, take, start, _ = _PATHS[self._kind]
        offers = _decode((await self._site.get("/")).content)[listed]
        if not offers:
            return None
        answer = await self._site.post(take.format(offers[0]["id"]))
        if not answer.is_success:
            return None  # somebody was faster
        taken = _decode(answer.content)
        return taken if start is None else _decode((await self._site.post(start.format(taken["id"]))).content)

    async def _sign_up(self) -> dict[str, Any] | None:
        """Sign up for the study, unless the student has; None: there is no place."""
        home = _decode((await self._site.get("/")).content)
        if home["sign_ups"]:
            found: dict[str, Any] = home["sign_ups"][0]
            return found
        answer = await self._site.post(f"/studies/{home['studies'][0]}/sign-up")
        return _decode(answer.content) if answer.is_success else None

    async def _work(self, taken: dict[str, Any]) -> bool:
        """Do the work of a place; return False if there is none for the person."""
        address = urlsplit(taken["address"])
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        worker, work, study = _PARAMETERS[self._kind]
        visit = Visit(
            worker_name=query[worker],
            assignment_id=query[work],
            provider_type=self._kind,
            handle=query[work],
            study=None if study is None else query[study],
            session=f"browser of {query[worker]}",
        )
        async with httpx.AsyncClient(
            base_url=f"{address.scheme}://{address.netloc}",
            timeout=REQUEST_SECONDS,
            trust_env=False,
            verify=False,  # as above
        ) as browser:
            page = PageClient(browser, visit, time.time)
            try:
                await page.load()
                answer = await page.request_agent()
                if answer.agent_id is None:
                    return False
                await trio.sleep(self._chance.uniform(*THINK_SECONDS))
                await page.submit_task(answer.agent_id, self._rating(answer))
            except (RouterUnreachableError, ProtocolError):
                return False
        self.has_submitted = True
        if self._kind == "connect":
            await self._site.post(f"/assignments/{taken['id']}/code", data={"code": self._code})
        return True

    def _rating(self, answer: AgentReply) -> object:
        return rate(msgspec.json.decode(answer.init_task_data), self._chance)
