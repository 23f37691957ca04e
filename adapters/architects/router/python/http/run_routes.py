"""The requests of an operator on another machine: to whom the router belongs, and what page it serves."""

import os
import secrets
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import TypeVar

import anyio
import anyio.to_thread
import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import RefusalError
from ..json_text import encode, reader
from ..router import Router
from ..settings import Secret
from .bodies import BodyReader
from .body_pool import PooledBody
from .client_address import KnownAddresses
from .run_page import RunPage

JSON = "application/json; charset=utf-8"

T = TypeVar("T")


class ClaimBody(msgspec.Struct):
    """POST /run_page."""

    run: str
    #: The hash of each file, by its path in the page.
    files: dict[str, str]


class ReleaseBody(msgspec.Struct):
    """POST /release_run."""

    run: str


read_claim = reader(ClaimBody)
read_release = reader(ReleaseBody)


def check_operator(secret: Secret, request: HTTPConnection) -> None:
    """Refuse a request that does not prove to be the operator's.

    Raises:
        RefusalError: it does not.
    """
    scheme, _, offered = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.matches(offered):
        raise RefusalError(401, "Only the operator may ask for this.")


class RunRoutes:
    """The handlers.

    Args:
        secret: what the operator proves itself with.
        router: what is released.
        page: what is changed.
        known: learns where the operator is.
        bodies: reads JSON.
        files: reads files.
    """

    def __init__(
        self,
        secret: Secret,
        router: Router,
        page: RunPage,
        known: KnownAddresses,
        bodies: BodyReader,
        files: BodyReader,
    ) -> None:
        self._secret = secret
        self._known = known
        self._router = router
        self._page = page
        self._bodies = bodies
        self._files = files
        # A page is changed by one request at a time.
        self._changing = anyio.CapacityLimiter(1)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/run_page", self.claim, methods=["POST"]),
            Route("/run_page/{digest}", self.put_file, methods=["PUT"]),
            Route("/release_run", self.release, methods=["POST"]),
        ]

    async def claim(self, request: Request) -> Response:
        """POST /run_page: let the router belong to a run, and say which files of its page have yet to be sent."""
        self._check_operator(request)
        body = await self._bodies.read_body(request, read_claim)
        missing = await self._change(partial(self._page.claim, body.run, body.files))
        return Response(encode({"missing": missing}), media_type=JSON)

    async def put_file(self, request: Request) -> Response:
        """PUT /run_page/<hash>: keep a file of the page."""
        self._check_operator(request)
        digest = request.path_params["digest"]
        path = anyio.Path(self._page.file(digest))
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        found = sha256()
        try:
            async with await anyio.open_file(draft, "xb", opener=_open_private) as file:

                async def write(piece: bytes, _: PooledBody) -> None:
                    found.update(piece)
                    await file.write(piece)

                await self._files.read_pieces(request, write)
                await file.flush()
                await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
            if found.hexdigest() != digest:
                raise RefusalError(400, "The file is not the one that it is said to be.")
            await draft.replace(path)
        except OSError as error:
            raise RefusalError(503, f"The router cannot store a file of the page: {error.strerror}.") from error
        finally:
            with anyio.CancelScope(shield=True):
                await draft.unlink(missing_ok=True)
        return Response(b'{"status":"Stored"}', media_type=JSON)

    async def release(self, request: Request) -> Response:
        """POST /release_run: let the router belong to nobody; it serves a page that says so."""
        self._check_operator(request)
        body = await self._bodies.read_body(request, read_release)
        waiting = self._router.figures()["outbox_length"]
        if waiting and self._page.run == body.run:
            raise RefusalError(423, f"The run has yet to take {waiting} packets of workers from this router.")
        await self._change(partial(self._page.release, body.run))
        self._router.forget_run()
        return Response(b'{"status":"Released"}', media_type=JSON)

    def _check_operator(self, request: Request) -> None:
        check_operator(self._secret, request)
        self._known.note(request)

    async def _change(self, work: Callable[[], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._changing)
        except OSError as error:
            raise RefusalError(503, f"The router cannot store the page: {error.strerror}.") from error


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
