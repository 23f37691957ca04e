"""Webhooks of the fake, with all their bad habits, as the verifier sees them."""

from __future__ import annotations

import httpx
import pytest
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mephisto_es.adapters.asgi_server import serve_asgi
from mephisto_es.adapters.fakes.prolific.books import WORKSPACE
from mephisto_es.adapters.providers.api.errors import SiteRefusedError
from mephisto_es.adapters.providers.prolific.api.studies import StudyAction
from mephisto_es.adapters.providers.prolific.api.webhooks import (
    WebhookEvent,
    WebhookKind,
    WebhookRefusal,
    WebhookRefusedError,
    verify_webhook,
)

from ..fake_sites import Prolific, open_prolific, study_request


class Receiver:
    """A web server that believes what Prolific has signed."""

    def __init__(self, stage: Prolific) -> None:
        self.stage = stage
        self.secret = ""
        self.events: list[WebhookEvent] = []
        self.refused: list[WebhookRefusal] = []
        self.failures = 0
        self.arrived = trio.Event()
        self.app = Starlette(routes=[Route("/hook", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        if self.failures:
            self.failures -= 1
            return Response(status_code=503)
        try:
            now = self.stage.site.clock.now()
            self.events.append(verify_webhook(self.secret, dict(request.headers), await request.body(), now))
        except WebhookRefusedError as error:
            self.refused.append(error.reason)
            return Response(status_code=400)
        self.arrived.set()
        return Response(status_code=204)


async def connected(stage: Prolific, nursery: trio.Nursery) -> Receiver:
    """Subscribe a receiver to the submissions' events."""
    receiver = Receiver(stage)
    port = await nursery.start(serve_asgi, receiver.app, "127.0.0.1", 0)
    receiver.secret = await stage.client.hooks.replace_secret(WORKSPACE)
    assert await stage.client.hooks.secret(WORKSPACE) == receiver.secret
    target = f"http://127.0.0.1:{port}/hook"
    new = await stage.client.hooks.subscribe(WORKSPACE, "submission.status.change", target)
    assert not (await stage.client.hooks.subscriptions(WORKSPACE))[0].is_enabled
    assert (await stage.client.hooks.confirm(new)).is_enabled
    return receiver


async def deliver(stage: Prolific) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def post(address: str, body: bytes, headers: dict[str, str]) -> int | None:
            return (await client.post(address, content=body, headers=headers)).status_code

        return await stage.site.courier.deliver_due(post)


async def one_submission(stage: Prolific) -> str:
    study = await stage.client.studies.create(study_request())
    await stage.client.studies.transition(study.id, StudyAction.PUBLISH)
    return await stage.submission(study.id, "anna")


async def test_events_arrive_doubled_and_out_of_order(nursery: trio.Nursery) -> None:
    async with open_prolific() as stage:
        receiver = await connected(stage, nursery)
        stage.site.courier.habits.is_doubled = stage.site.courier.habits.is_out_of_order = True
        submission = await one_submission(stage)
        assert await deliver(stage) == 4
        assert [event.status for event in receiver.events] == ["AWAITING REVIEW"] * 2 + ["ACTIVE"] * 2
        assert len({event.event_id for event in receiver.events}) == 2
        assert {event.kind for event in receiver.events} == {WebhookKind.SUBMISSION_STATUS}
        assert {(event.resource_id, event.participant_id) for event in receiver.events} == {(submission, "anna")}
        # What happened first can be told by the time in the header.
        assert min(receiver.events, key=lambda event: event.happened_at or "").status == "ACTIVE"


async def test_old_and_forged_events_are_refused(nursery: trio.Nursery) -> None:
    async with open_prolific() as stage:
        receiver = await connected(stage, nursery)
        stage.site.courier.habits.is_stale = True
        await one_submission(stage)
        await deliver(stage)
        assert receiver.refused == [WebhookRefusal.OLD] * 2
        stage.site.courier.habits.is_stale = False
        receiver.secret = "another secret"
        stage.site.clock.advance(3600)
        await deliver(stage)
        assert receiver.refused[2:] == [WebhookRefusal.FORGED] * 2
        assert receiver.events == []


async def test_a_failed_delivery_is_tried_again_with_the_same_id(nursery: trio.Nursery) -> None:
    async with open_prolific() as stage:
        receiver = await connected(stage, nursery)
        receiver.failures = 2
        await one_submission(stage)
        assert await deliver(stage) == 2
        assert receiver.events == []
        stage.site.clock.advance(3600)
        assert await deliver(stage) == 2
        assert len({event.event_id for event in receiver.events}) == 2
        hook = (await stage.client.hooks.subscriptions(WORKSPACE))[0]
        words = [one.status for one in await stage.client.hooks.deliveries(hook.id)]
        assert words == ["FAILED", "FAILED", "SUCCEEDED", "SUCCEEDED"]
        await stage.client.hooks.unsubscribe(hook.id)
        assert await stage.client.hooks.subscriptions(WORKSPACE) == []


async def test_the_courier_delivers_by_itself(nursery: trio.Nursery) -> None:
    async with open_prolific() as stage, httpx.AsyncClient(trust_env=False) as client:
        receiver = await connected(stage, nursery)

        async def post(address: str, body: bytes, headers: dict[str, str]) -> int | None:
            return (await client.post(address, content=body, headers=headers)).status_code

        nursery.start_soon(stage.site.courier.run, post)
        await one_submission(stage)
        with trio.fail_after(120):
            await receiver.arrived.wait()
        nursery.cancel_scope.cancel()
    assert receiver.events[0].resource_id in stage.site.ledger.submissions


async def test_a_subscription_needs_a_secret_and_an_encrypted_address() -> None:
    async with open_prolific() as stage:
        hooks = stage.client.hooks
        assert await hooks.secret(WORKSPACE) is None
        with pytest.raises(SiteRefusedError, match="no secret"):
            await hooks.subscribe(WORKSPACE, "study.status.change", "https://hooks.example/")
        await hooks.replace_secret(WORKSPACE)
        for event, address in (
            ("study.status.change", "http://hooks.example/"),
            ("study.explodes", "https://a.example"),
        ):
            with pytest.raises(SiteRefusedError, match="not valid"):
                await hooks.subscribe(WORKSPACE, event, address)
