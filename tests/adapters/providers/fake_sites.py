"""Fakes that are served on a free port of this machine, with a client and people who take part."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, NamedTuple

import httpx
import trio

from mephisto_es.adapters.asgi_server import serve_asgi
from mephisto_es.adapters.fakes.connect.app import connect_app
from mephisto_es.adapters.fakes.connect.site import DEFAULT_KEY, FakeConnect
from mephisto_es.adapters.fakes.faults import Fault, FaultPlan
from mephisto_es.adapters.fakes.prolific.app import prolific_app
from mephisto_es.adapters.fakes.prolific.site import DEFAULT_TOKEN, FakeProlific
from mephisto_es.adapters.fakes.sona.app import sona_app
from mephisto_es.adapters.fakes.sona.site import FakeSona
from mephisto_es.adapters.providers.api.transport import TransportLimits
from mephisto_es.adapters.providers.connect.client import ConnectClient
from mephisto_es.adapters.providers.connect.project_request import (
    CompletionKind,
    CompletionSettings,
    ProjectRequest,
    dollars,
)
from mephisto_es.adapters.providers.prolific.api.client import ProlificClient
from mephisto_es.adapters.providers.prolific.api.study_request import (
    CodeActor,
    CompletionCode,
    FixedScreenOutAction,
    PlainAction,
    SimpleAction,
    StudyRequest,
    arrival_url,
)
from mephisto_es.adapters.providers.sona.client import SonaClient
from mephisto_es.adapters.providers.sona.study import SonaStudy, read_completion_url

#: Of clients that are answered in the end, on a busy machine too.
LIMITS = TransportLimits(connect_seconds=60, attempt_seconds=60, patience_seconds=60)
#: Of a client that is not answered, since tests wait in real time.
IMPATIENT = LIMITS._replace(patience_seconds=0.2)
GIVE_UP_SECONDS = 300
DAY = 24 * 3600
DONE, BY_SERVER, SCREENED = "DONE1", "SERVER1", "SCREEN1"


class Person:
    """Somebody who takes part at a fake site, through its pages."""

    def __init__(self, base_url: str, name: str) -> None:
        self.name = name
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"accept": "application/json"},
            cookies={"fake_person": name},
            trust_env=False,
        )

    async def __aenter__(self) -> Person:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> Any:
        answer = await self._client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **fields: str) -> Any:
        answer = await self._client.post(path, data=fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, path: str, **fields: str) -> str:
        answer = await self._client.post(path, data=fields)
        assert answer.status_code == 409, answer.text
        return answer.text


class Prolific(NamedTuple):
    """A served fake with its client."""

    site: FakeProlific
    client: ProlificClient
    url: str

    def person(self, name: str) -> Person:
        return Person(self.url, name)

    async def submission(self, study: str, name: str, code: str | None = DONE, minutes: float = 5) -> str:
        """Have somebody take part; the id of the submission."""
        async with self.person(name) as person:
            taken = await person.post(f"/studies/{study}/reserve")
            await person.post(f"/submissions/{taken['id']}/open")
            self.site.clock.advance(60 * minutes)
            if code is not None:
                await person.get(f"/submissions/complete?cc={code}")
        found: str = taken["id"]
        return found

    def disturb(self, *script: Fault, only: str = "POST") -> None:
        self.site.faults.follow(FaultPlan(script=script, only=only))


@asynccontextmanager
async def open_prolific(*flipped: str, **settings: Any) -> AsyncIterator[Prolific]:
    """Serve a fake Prolific."""
    with trio.fail_after(GIVE_UP_SECONDS):
        site = FakeProlific(trio.current_time, flipped=flipped, **settings)
        async with trio.open_nursery() as nursery:
            port = await nursery.start(serve_asgi, prolific_app(site), "127.0.0.1", 0)
            url = f"http://127.0.0.1:{port}"
            async with ProlificClient(DEFAULT_TOKEN, Random(0).random, base_url=url, limits=LIMITS) as client:
                yield Prolific(site, client, url)
            nursery.cancel_scope.cancel()


def study_request(places: int = 3, **changes: Any) -> StudyRequest:
    """A study with a code for the participant and one for the server."""
    fields: dict[str, Any] = {
        "name": "Rate sentences",
        "description": "Read ten sentences and rate them.",
        "internal_name": "token-1",
        "reward": 150,
        "total_available_places": places,
        "estimated_completion_time": 6,
        "external_study_url": arrival_url("https://tasks.example/?a=1"),
        "completion_codes": (
            CompletionCode(code=DONE, actions=(PlainAction(action=SimpleAction.MANUALLY_REVIEW),)),
            CompletionCode(
                code=BY_SERVER,
                actor=CodeActor.RESEARCHER,
                actions=(PlainAction(action=SimpleAction.MANUALLY_REVIEW),),
            ),
        ),
    }
    return StudyRequest(**{**fields, **changes})


def screen_out_code(reward: int = 20, slots: int = 2) -> CompletionCode:
    """A code that ends a visit with a fixed reward."""
    action = FixedScreenOutAction(fixed_screen_out_reward=reward, slots=slots)
    return CompletionCode(code=SCREENED, code_type="FIXED_SCREENOUT", actor=CodeActor.RESEARCHER, actions=(action,))


class Connect(NamedTuple):
    """A served fake Connect with its client."""

    site: FakeConnect
    client: ConnectClient
    url: str

    def person(self, name: str) -> Person:
        return Person(self.url, name)

    async def assignment(self, project: str, name: str, *, completed: bool = True) -> str:
        """Have somebody take part; the id of the assignment."""
        async with self.person(name) as person:
            taken = await person.post(f"/projects/{project}/accept")
            self.site.clock.advance(300)
            if completed:
                await person.get(f"/participant/project/{project}/complete")
        found: str = taken["id"]
        return found

    def disturb(self, *script: Fault, only: str = "POST") -> None:
        self.site.faults.follow(FaultPlan(script=script, only=only))


@asynccontextmanager
async def open_connect(*flipped: str, **settings: Any) -> AsyncIterator[Connect]:
    """Serve a fake Connect."""
    with trio.fail_after(GIVE_UP_SECONDS):
        site = FakeConnect(trio.current_time, flipped=flipped, **settings)
        async with trio.open_nursery() as nursery:
            port = await nursery.start(serve_asgi, connect_app(site), "127.0.0.1", 0)
            url = f"http://127.0.0.1:{port}"
            async with ConnectClient(DEFAULT_KEY, Random(0).random, base_url=url, limits=LIMITS) as client:
                yield Connect(site, client, url)
            nursery.cancel_scope.cancel()


def project_request(places: int = 3, **changes: Any) -> ProjectRequest:
    """A project that pays 1.50 dollars for six minutes."""
    fields: dict[str, Any] = {
        "name": "Rate sentences",
        "payment": dollars(150),
        "estimated_time_in_minutes": 6,
        "participants": places,
        "project_url": "https://tasks.example/?a=1",
        "internal_name": "token-1",
        "completion_settings": CompletionSettings(project_completion_type=CompletionKind.REDIRECT_URL),
    }
    return ProjectRequest(**{**fields, **changes})


class Sona(NamedTuple):
    """A served fake SONA with a study and its client."""

    site: FakeSona
    client: SonaClient
    url: str
    study: SonaStudy

    async def code(self, name: str) -> str:
        """Sign a student up; the survey code."""
        async with Person(self.url, name) as person:
            signed_up = await person.post(f"/studies/{self.study.experiment_id}/sign-up")
        found: str = signed_up["code"]
        return found

    def disturb(self, *script: Fault) -> None:
        self.site.faults.follow(FaultPlan(script=script))


@asynccontextmanager
async def open_sona(*flipped: str, token: str | None = None) -> AsyncIterator[Sona]:
    """Serve a fake SONA with one study; the client's token may be another one."""
    with trio.fail_after(GIVE_UP_SECONDS):
        site = FakeSona(trio.current_time, flipped=flipped)
        async with trio.open_nursery() as nursery:
            port = await nursery.start(serve_asgi, sona_app(site), "127.0.0.1", 0)
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, trust_env=False) as admin:
                made = await admin.post("/fake/studies", json={"url": "https://tasks.example/?id=%SURVEY_CODE%"})
            study = read_completion_url(made.json()["server_url"])
            study = study if token is None else study._replace(credit_token=token)
            async with SonaClient(study, Random(0).random, limits=LIMITS) as client:
                yield Sona(site, client, url, study)
            nursery.cancel_scope.cancel()
