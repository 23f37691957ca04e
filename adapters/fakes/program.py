"""Runs a fake site as a program: listens, sends webhooks, and stops on a signal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import httpx
from starlette.types import ASGIApp

from ...core.errors import ConfigError
from ..asgi_server import run_asgi
from .connect.app import connect_app
from .connect.site import DEFAULT_KEY, FakeConnect
from .prolific.app import prolific_app
from .prolific.courier import Courier
from .prolific.site import DEFAULT_TOKEN, FakeProlific
from .sona.app import sona_app
from .sona.site import FakeSona

#: The fakes, by name.
SITES = ("prolific", "connect", "sona")
POST_SECONDS = 10.0


class FakeProgram(NamedTuple):
    """A fake, ready to be served."""

    app: ASGIApp
    #: How a client gets in, in words.
    access: str
    #: Sends webhooks; None: the site has none.
    courier: Courier | None = None


def make_fake(
    name: str, source: Callable[[], float], flipped: Sequence[str], seed: int, start_seconds: float
) -> FakeProgram:
    """Return a fake by its name.

    Args:
        name: prolific, connect or sona.
        source: a clock in seconds that never falls.
        flipped: guesses that are to go the other way.
        seed: ids, lags and faults are drawn from it.
        start_seconds: the site's time at first, in seconds since the epoch.

    Raises:
        ConfigError: there is no such fake, or no such guess.
    """
    match name:
        case "prolific":
            prolific = FakeProlific(source, flipped=tuple(flipped), seed=seed, start_seconds=start_seconds)
            return FakeProgram(prolific_app(prolific), f"token {DEFAULT_TOKEN}", prolific.courier)
        case "connect":
            connect = FakeConnect(source, flipped=tuple(flipped), seed=seed, start_seconds=start_seconds)
            return FakeProgram(connect_app(connect), f"key {DEFAULT_KEY}")
        case "sona":
            sona = FakeSona(source, flipped=tuple(flipped), seed=seed, start_seconds=start_seconds)
            return FakeProgram(sona_app(sona), "studies are made by POST to /fake/studies")
        case _:
            raise ConfigError(f"there is no fake {name!r}", hint=f"Fakes are {', '.join(SITES)}")


async def run_fake(program: FakeProgram, host: str, port: int, on_open: Callable[[str], None]) -> None:
    """Serve a fake until SIGINT or SIGTERM.

    Args:
        program: the fake.
        host: the address to listen on.
        port: the port; 0: any free one.
        on_open: called with the address once it can be used.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    beside = None if program.courier is None else partial(_send_webhooks, program.courier)
    await run_asgi(program.app, host, port, on_open, beside=beside)


async def _send_webhooks(courier: Courier) -> None:
    async with httpx.AsyncClient(timeout=POST_SECONDS, trust_env=False) as client:
        await courier.run(partial(_post, client))


async def _post(client: httpx.AsyncClient, address: str, body: bytes, headers: dict[str, str]) -> int | None:
    try:
        answer = await client.post(address, content=body, headers=headers)
    except httpx.HTTPError:
        return None
    return answer.status_code
