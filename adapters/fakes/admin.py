"""The administrator's side of a fake: `/fake/...` moves its clock, disturbs it, flips guesses and shows its books."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from ...core.errors import ConfigError
from .clock import FakeClock
from .faults import Fault, FaultPlan, Faults
from .gateway import Gateway
from .guesses import Guesses
from .wire import FakeRefusalError, read_body

PREFIX = "/fake"
_PLAN_FIELDS = ", ".join(FaultPlan.__struct_fields__)
_FAULTS = ", ".join(fault.value for fault in Fault)


class Administered(Protocol):
    """A fake, as its administrator sees it."""

    clock: FakeClock
    faults: Faults
    guesses: Guesses[Any]  # the kind of guesses differs from site to site

    def books(self) -> object:
        """Return all money and work at the site, as a JSON value."""

    def wake(self) -> None:
        """React to a clock that was moved."""


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    seconds: float


class _Flip(msgspec.Struct, forbid_unknown_fields=True):
    flipped: list[str]


def admin_routes(fake: Administered, gateway: Gateway) -> Mount:
    """Return the routes of the administrator.

    `GET /fake/state` shows time, guesses, calls and books. `POST /fake/clock` moves the time forward, `/fake/faults`
    takes a `FaultPlan`, and `/fake/guesses` the guesses that are to be flipped.
    """

    async def state(_: Request) -> Response:
        return _json(
            {
                "now": fake.clock.now(),
                "flipped": fake.guesses.names(),
                "calls": dict(gateway.calls),
                "books": fake.books(),
            }
        )

    async def clock(request: Request) -> Response:
        try:
            fake.clock.advance((await read_body(request, _Advance)).seconds)
        except (ValueError, FakeRefusalError) as error:
            return _json({"error": str(error)}, 400)
        fake.wake()
        return _json({"now": fake.clock.now()})

    async def faults(request: Request) -> Response:
        try:
            fake.faults.follow(await read_body(request, FaultPlan))
        except FakeRefusalError as error:
            return _json({"error": f"{error}. The fields are {_PLAN_FIELDS}; faults in a script are {_FAULTS}"}, 400)
        return _json({})

    async def guesses(request: Request) -> Response:
        try:
            fake.guesses.flip_only((await read_body(request, _Flip)).flipped)
        except (ConfigError, FakeRefusalError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"flipped": fake.guesses.names()})

    return Mount(
        PREFIX,
        routes=[
            Route("/state", state, methods=["GET"]),
            Route("/clock", clock, methods=["POST"]),
            Route("/faults", faults, methods=["POST"]),
            Route("/guesses", guesses, methods=["POST"]),
        ],
    )


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
