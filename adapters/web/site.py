"""What all pages share, and what is read from their addresses and forms."""

from __future__ import annotations

from contextlib import aclosing
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ...core.errors import UnknownEntityError
from ...core.ports import WallClock
from ...events.ids import TaskRunId, WorkerId
from .access import Access, Sessions
from .changes import Changes
from .guard import Cookie
from .log_access import LogAccess
from .rendering import Pages

#: The largest form that is taken, and its fields.
FORM_BYTES = 2**20
FORM_FIELDS = 1000
#: The field of every form that changes something.
FORM_TOKEN = "form_token"
#: What is said when an operator has the log.
BUSY = (
    "Nothing was recorded: {error}. While an operator is at work on this log only its own script can review; "
    "come back when the run has ended."
)
#: A position is no larger than SQLite's integers.
_MOST = 2**63 - 1


class Site(NamedTuple):
    """The parts that pages are made with."""

    desk: LogAccess
    pages: Pages
    changes: Changes
    access: Access
    sessions: Sessions
    cookie: Cookie
    clock: WallClock


def run_of(request: Request) -> TaskRunId:
    """The run that an address names."""
    return TaskRunId(_bounded("run", request.path_params["run"]))


def worker_of(request: Request) -> WorkerId:
    """The worker that an address names."""
    return WorkerId(_bounded("worker", request.path_params["worker"]))


def seq_of(request: Request) -> int | None:
    """The moment that an address names; None: the head.

    Raises:
        HTTPException: it is not a position.
    """
    text = request.query_params.get("seq")
    if not text:
        return None
    if not text.isdecimal():
        raise HTTPException(400, f"seq is {text!r}; it must be a position in the log, a whole number")
    return _bounded("seq", int(text))


def after_of(request: Request) -> int:
    """After which entity a page of a list begins.

    Raises:
        HTTPException: it is not a number.
    """
    text = request.query_params.get("after", "0")
    if not text.isdecimal():
        raise HTTPException(400, f"after is {text!r}; it must be the number of an entity")
    return _bounded("after", int(text))


async def form_of(request: Request, sessions: Sessions) -> dict[str, str]:
    """The fields of a form that changes something.

    Raises:
        HTTPException: it is too large, or not one that this visitor was shown.
    """
    fields = await fields_of(request)
    if not sessions.is_form_token(request.state.visitor.session, fields.get(FORM_TOKEN, "")):
        raise HTTPException(403, "This form was not made for your session. Load its page again; nothing was changed")
    return fields


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form, whoever sent it.

    Raises:
        HTTPException: it is too large.
    """
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > FORM_BYTES:
                raise HTTPException(413, f"A form holds at most {FORM_BYTES:,} bytes")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS)
    except ValueError as error:
        raise HTTPException(400, "This is not a form that can be read") from error
    return dict(pairs)


def _bounded(name: str, number: int) -> int:
    if number > _MOST:
        raise UnknownEntityError(f"{name} {number}")
    return number
