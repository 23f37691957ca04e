"""Reads requests and writes answers of a fake by its written schema; what the schema does not have is an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BodyType = TypeVar("BodyType")

Endpoint = Callable[[Request], Awaitable[Response]]

_encode = msgspec.json.Encoder(decimal_format="number").encode


class FakeRefusalError(Exception):
    """A fake site says no.

    Attributes:
        status: the HTTP status.
        detail: the site's words, or a JSON value in the site's form.
    """

    def __init__(self, status: int, detail: object) -> None:
        self.status = status
        self.detail = detail
        super().__init__(f"{status}: {detail}")


class SchemaError(Exception):
    """A fake wrote an answer that its own schema does not have: a mistake in the fake."""


async def read_body(request: Request, schema: type[BodyType]) -> BodyType:
    """Return the body of a request.

    Raises:
        FakeRefusalError: it is not of the schema; unknown fields are errors too.
    """
    try:
        return msgspec.json.decode(await request.body(), type=schema)
    except msgspec.DecodeError as error:
        raise FakeRefusalError(400, str(error)) from error


def write_answer(answer: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer after a check against the schema of its type.

    Raises:
        SchemaError: a field has a value that the schema does not allow.
    """
    body = _encode(answer)
    try:
        msgspec.json.decode(body, type=type(answer))
    except msgspec.DecodeError as error:
        raise SchemaError(f"{type(answer).__name__}: {error}") from error
    return Response(body, status, headers, "application/json")


def api_route(method: str, path: str, endpoint: Endpoint, explain: Callable[[FakeRefusalError], Response]) -> Route:
    """Return a route whose refusals are answered in the site's form.

    Args:
        method: the HTTP method.
        path: the path, with Starlette's placeholders.
        endpoint: answers a request, or raises `FakeRefusalError`.
        explain: makes an answer of a refusal.
    """

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except FakeRefusalError as error:
            return explain(error)

    return Route(path, guarded, methods=[method])


def number_in(request: Request, name: str, default: int, most: int) -> int:
    """Return a whole number of the query.

    Raises:
        FakeRefusalError: it is none, or out of range.
    """
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdecimal() or int(text) > most:
        raise FakeRefusalError(400, f"{name} is not a number from 0 to {most}")
    return int(text)


def needs(request: Request, names: Iterable[str]) -> list[str]:
    """Return parameters of the query that a call demands.

    Raises:
        FakeRefusalError: one is missing.
    """
    found = []
    for name in names:
        value = request.query_params.get(name)
        if not value:
            raise FakeRefusalError(400, f"{name} is missing")
        found.append(value)
    return found


def refuse_page(status: int, text: str) -> HTTPException:
    """Return an error for people."""
    return HTTPException(status, text)
