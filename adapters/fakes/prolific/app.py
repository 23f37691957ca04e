"""The web application of a fake Prolific: API, pages, administration."""

from __future__ import annotations

import hmac
from decimal import Decimal

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..admin import admin_routes
from ..gateway import Gateway
from ..wire import Endpoint, FakeRefusalError, api_route, read_body
from .api_accounts import AccountsApi
from .api_studies import StudiesApi
from .people import PeopleSite
from .replies import ErrorForms
from .site import FakeProlific

API_PREFIX = "/api/"


class _ProlificSettings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of a fake Prolific that an administrator can change while it runs; None: as it was."""

    new_id_lag_seconds: float | None = None
    bulk_lag_seconds: float | None = None
    bonus_lag_seconds: float | None = None
    has_gated_features: bool | None = None
    webhooks_doubled: bool | None = None
    webhooks_out_of_order: bool | None = None
    webhooks_stale: bool | None = None
    balance_cents: int | None = None


def prolific_app(site: FakeProlific) -> Gateway:
    """Return the application of a site."""
    forms = ErrorForms()
    api: list[BaseRoute] = [
        api_route(method, path, _guarded(site, endpoint), forms)
        for method, path, endpoint in (*AccountsApi(site).endpoints(), *StudiesApi(site).endpoints())
    ]
    inner = Starlette(routes=[*api, *PeopleSite(site).routes()])
    # A path without its slash is a mistake of the client's.
    inner.router.redirect_slashes = False
    gateway = Gateway(inner, site.agenda, site.faults, (API_PREFIX,))
    inner.router.routes.append(Route("/fake/settings", _settings_endpoint(site), methods=["POST"]))
    inner.router.routes.append(admin_routes(site, gateway))
    return gateway


def _guarded(site: FakeProlific, endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that demands the token."""
    expected = f"Token {site.token}".encode()

    async def checked(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            raise FakeRefusalError(401, "Invalid token.")
        return await endpoint(request)

    return checked


def _settings_endpoint(site: FakeProlific) -> Endpoint:
    async def change(request: Request) -> Response:
        try:
            settings = await read_body(request, _ProlificSettings)
        except FakeRefusalError as error:
            return Response(str(error), 400)
        for owner, name, value in (
            (site.submissions, "new_id_lag_seconds", settings.new_id_lag_seconds),
            (site.submissions, "bulk_lag_seconds", settings.bulk_lag_seconds),
            (site.bonuses, "lag_seconds", settings.bonus_lag_seconds),
            (site.studies, "has_gated_features", settings.has_gated_features),
            (site.courier.habits, "is_doubled", settings.webhooks_doubled),
            (site.courier.habits, "is_out_of_order", settings.webhooks_out_of_order),
            (site.courier.habits, "is_stale", settings.webhooks_stale),
            (site.ledger, "balance", None if settings.balance_cents is None else Decimal(settings.balance_cents)),
        ):
            if value is not None:
                setattr(owner, name, value)
        return Response(status_code=204)

    return change
