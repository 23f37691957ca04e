"""The web application of a fake Connect: API with tokens, pages, administration."""

from __future__ import annotations

import hmac
from itertools import count

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from ..admin import admin_routes
from ..gateway import Gateway
from ..wire import Endpoint, FakeRefusalError, api_route, read_body
from .api import ConnectApi
from .guesses import ConnectGuess
from .people import ConnectPeopleSite
from .site import FakeConnect

API_PREFIX = "/api/"
TOKEN_HEADER = "idempotency-token"


class _ConnectSettings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of a fake Connect that an administrator can change while it runs; None: as it was."""

    returns_until_pause: int | None = None
    balance_cents: int | None = None


def connect_app(site: FakeConnect) -> Gateway:
    """Return the application of a site."""
    numbers = count(1)

    def explain(error: FakeRefusalError) -> Response:
        """Write an error in the site's form, with the id that its support asks for."""
        fields = {"type": "about:blank", "title": "Bad request", "status": error.status, "detail": str(error.detail)}
        body = msgspec.json.encode({"error": {**fields, "instance": "/"}})
        headers = {"X-TRACE-ID": f"trace-{next(numbers)}"}
        return Response(body, error.status, headers, "application/json")

    api: list[BaseRoute] = [
        api_route(method, path, _guarded(site, endpoint), explain)
        for method, path, endpoint in ConnectApi(site).endpoints()
    ]
    settings = Route("/fake/settings", _settings_endpoint(site), methods=["POST"])
    inner = Starlette(routes=[*api, *ConnectPeopleSite(site).routes(), settings])
    # A path with a slash at its end is a mistake of the client's.
    inner.router.redirect_slashes = False

    def on_throttled(scope: Scope) -> None:
        token = dict(scope["headers"]).get(TOKEN_HEADER.encode())
        if token is not None and site.guesses.is_flipped(ConnectGuess.THROTTLED_TOKEN_IS_SEEN):
            site.ledger.note_token(token.decode(), site.clock.now())

    gateway = Gateway(inner, site.agenda, site.faults, (API_PREFIX,), on_throttled)
    inner.router.routes.append(admin_routes(site, gateway))
    return gateway


def _guarded(site: FakeConnect, endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that demands the key, and refuses a token that was seen before."""

    async def checked(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("x-api-key", "").encode(), site.key.encode()):
            raise FakeRefusalError(401, "the API key is not valid")
        token = request.headers.get(TOKEN_HEADER)
        if request.method == "POST" and token and not site.ledger.note_token(token, site.clock.now()):
            is_conflict = site.guesses.is_flipped(ConnectGuess.REPEATED_TOKEN_IS_CONFLICT)
            raise FakeRefusalError(409 if is_conflict else 400, "a request with this idempotency token was seen before")
        return await endpoint(request)

    return checked


def _settings_endpoint(site: FakeConnect) -> Endpoint:
    async def change(request: Request) -> Response:
        try:
            settings = await read_body(request, _ConnectSettings)
        except FakeRefusalError as error:
            return Response(str(error), 400)
        if settings.returns_until_pause is not None:
            site.projects.returns_until_pause = settings.returns_until_pause
        if settings.balance_cents is not None:
            site.ledger.balance += settings.balance_cents - site.ledger.balance
        return Response(status_code=204)

    return change
