"""The pages of the fakes in a browser without scripts: sign in, take part, return, and nothing of a stranger's runs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import httpx
import pytest
import trio
from starlette.types import ASGIApp

from mephisto_es.adapters.fakes.connect.app import connect_app
from mephisto_es.adapters.fakes.connect.schema import ProjectBody
from mephisto_es.adapters.fakes.connect.site import FakeConnect
from mephisto_es.adapters.fakes.gateway import FakeCarrier
from mephisto_es.adapters.fakes.prolific.app import prolific_app
from mephisto_es.adapters.fakes.prolific.schema import CodeBody, CodeType, CreateStudyBody
from mephisto_es.adapters.fakes.prolific.site import FakeProlific
from mephisto_es.adapters.fakes.sona.app import next_week, sona_app
from mephisto_es.adapters.fakes.sona.site import FakeSona

EVIL = "<script>alert(1)</script>"
PAGE = "https://tasks.example/"


@asynccontextmanager
async def browser(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    carrier = FakeCarrier(app)
    async with httpx.AsyncClient(
        transport=carrier, base_url="http://site.test", headers={"accept": "text/html"}
    ) as one:
        yield one


async def press(one: httpx.AsyncClient, label: str, **fields: str) -> httpx.Response:
    """Press the first button of this label on the home page, as a person does."""
    home = (await one.get("/")).text
    found = re.search(rf'<form method="post" action="([^"]+)">(?:<input[^>]*>)*<button>{label}</button>', home)
    assert found, home
    return await one.post(found[1], data=fields)


async def test_a_person_at_prolific() -> None:
    site = FakeProlific(trio.current_time)
    body = CreateStudyBody(
        name=EVIL,
        description="d",
        reward=150,
        total_available_places=2,
        estimated_completion_time=6,
        completion_codes=[CodeBody("DONE1", CodeType.COMPLETED)],
        external_study_url=f"{PAGE}?p={{{{%PROLIFIC_PID%}}}}",
        prolific_id_option="url_parameters",
    )
    study = site.studies.create(body)
    site.studies.transition(study, "PUBLISH")
    async with browser(prolific_app(site)) as one:
        assert (await press(one, "Sign in", person=EVIL)).status_code == 303
        home = (await one.get("/")).text
        assert EVIL not in home
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in home
        assert (await press(one, "Reserve")).headers["location"] == "/"
        opened = await press(one, "Open")
        assert opened.headers["location"] == f"{PAGE}?p=%3Cscript%3Ealert%281%29%3C%2Fscript%3E"
        assert (await one.get("/submissions/complete?cc=DONE1")).headers["location"] == "/"
        (submission,) = site.ledger.submissions.values()
        assert (submission.status, submission.entered_code) == ("AWAITING REVIEW", "DONE1")
        assert (await one.get("/submissions/complete?cc=DONE1")).status_code == 404
        await press(one, "Return")
        assert submission.status == "RETURNED"
    async with browser(prolific_app(site)) as stranger:
        assert (await stranger.post(f"/submissions/{submission.id}/return")).status_code == 401
        await press(stranger, "Sign in", person="bert")
        assert (await stranger.post(f"/submissions/{submission.id}/return")).status_code == 404
        assert (await stranger.post("/studies/nothing/reserve")).status_code == 404
        assert (await stranger.post("/sign-in", data={"person": "x" * 101})).status_code == 400
        await press(stranger, "Reserve")
        await press(stranger, "Open")
        await press(stranger, "Enter code", code="WRONG")
    assert [one.status for one in site.ledger.submissions.values()] == ["RETURNED", "AWAITING REVIEW"]


async def test_a_person_at_connect() -> None:
    site = FakeConnect(trio.current_time)
    body = ProjectBody(
        name=EVIL, payment=Decimal("1.50"), estimated_time_in_minutes=6, participants=2, project_url=PAGE
    )
    project = site.projects.create(body)
    site.projects.move(project, "Live")
    async with browser(connect_app(site)) as one:
        await press(one, "Sign in", person="ANNA")
        assert EVIL not in (await one.get("/")).text
        accepted = await press(one, "Accept")
        (work,) = site.ledger.assignments.values()
        assert accepted.headers["location"].startswith(f"{PAGE}?participantId=anna&assignmentId={work.id}&projectId=")
        assert (await one.get(f"/assignments/{work.id}/open")).status_code == 303
        assert (await one.get(f"/participant/project/{project.id}/complete")).status_code == 303
        assert (await one.get(f"/participant/project/{project.id}/complete")).status_code == 409
    async with browser(connect_app(site)) as stranger:
        assert (await stranger.get(f"/participant/project/{project.id}/complete")).status_code == 401
        await press(stranger, "Sign in", person="bert")
        assert (await stranger.get(f"/participant/project/{project.id}/complete")).status_code == 404
        await press(stranger, "Accept")
        await press(stranger, "Return")
        assert (await stranger.post("/projects/nothing/accept")).status_code == 404
        assert (await stranger.get("/assignments/nothing/open")).status_code == 404
    assert [one.status for one in site.ledger.assignments.values()] == ["Pending", "Returned"]


async def test_a_student_at_sona() -> None:
    site = FakeSona(trio.current_time)
    study = site.add_study(EVIL, f"{PAGE}?id=%SURVEY_CODE%", 1, next_week(site.clock.now()))
    async with browser(sona_app(site)) as one:
        await press(one, "Sign in", person="anna")
        await press(one, "Sign up")
        home = (await one.get("/")).text
        assert EVIL not in home
        assert f'href="{PAGE}?id={site.sign_ups[-1].code}"' in home
        for wrong in ("/studies/nothing/sign-up", f"/studies/{study.experiment_id}/sign-up"):
            assert (await one.post(wrong)).status_code in {404, 409}
        assert (await one.post("/sign-in", data={"person": "x" * 101})).status_code == 400
        assert (await one.post("/fake/studies", json={"url": PAGE, "deadline": "soon"})).status_code == 400
        assert (await one.post("/fake/settings", json={"nothing": 1})).status_code == 400


@pytest.mark.parametrize(
    ("app", "settings"),
    [
        (
            prolific_app(FakeProlific(lambda: 0.0)),
            {"new_id_lag_seconds": 1, "webhooks_doubled": True, "has_gated_features": False, "balance_cents": 5},
        ),
        (connect_app(FakeConnect(lambda: 0.0)), {"returns_until_pause": 3, "balance_cents": 5}),
        (sona_app(FakeSona(lambda: 0.0)), {"maintenance_calls": 1}),
    ],
    ids=["prolific", "connect", "sona"],
)
async def test_settings_can_be_changed_while_it_runs(app: ASGIApp, settings: dict[str, object]) -> None:
    async with browser(app) as one:
        assert (await one.post("/fake/settings", json=settings)).status_code == 204
        assert (await one.post("/fake/settings", json={"nothing": 1})).status_code == 400
        assert (await one.post("/fake/guesses", json={"flipped": []})).json() == {"flipped": []}
        assert (await one.post("/fake/clock", content=b"x")).status_code == 400
        assert (await one.get("/fake/state")).json()["calls"] == {}
