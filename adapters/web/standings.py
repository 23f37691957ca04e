"""How a worker stands, and what a reviewer may decide about it: block, unblock, grant, revoke, give a bonus."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ...core.errors import ConfigError, UnusableLogError
from ...core.operations.configuration.money import cents
from ...core.operations.services.reviewer import Reviewer
from ...core.ports import AppendResult
from ...events.ids import UnitId, WorkerId
from ...projections.queries.entity_ref import EntityRef
from ...projections.queries.worker_status import worker_status
from .rendering import query
from .site import BUSY, Site, form_of, worker_of

#: A reason is a sentence; a qualification's name is a few words.
MOST_REASON_CHARACTERS = 500
MOST_NAME_CHARACTERS = 100
#: Made anew for each page, so that a form which is sent twice owes one bonus.
BONUS_NAME = re.compile("[0-9a-f]{32}")
#: Values of qualifications reach so far to either side of zero.
MOST_VALUE = 10**9

#: What a button does, and what is said when it is done.
SAID: Mapping[str, str] = {
    "block": "{worker} is blocked, and gets no more work in any run.",
    "unblock": "{worker} may work again.",
    "grant": "The qualification is granted.",
    "revoke": "The qualification is revoked.",
    "bonus": "{worker} is owed the bonus. It is paid by mephisto-es pay.",
}


class Wish(NamedTuple):
    """Something that a reviewer wishes."""

    #: What the button is called: a key of `SAID`.
    action: str
    carry_out: Callable[[Reviewer], Awaitable[AppendResult]]


class StandingPages:
    """The page of a worker's standing."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            Route("/workers/{worker:int}", self.show, methods=["GET"]),
            Route("/workers/{worker:int}", self.decide, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """How the worker stands now."""
        said = SAID.get(request.query_params.get("done", ""), "")
        return await self._page(request, 200, said=said.format(worker=f"worker-{worker_of(request)}"))

    async def decide(self, request: Request) -> Response:
        """Record what a form of this page wishes."""
        fields = await form_of(request, self._site.sessions)
        try:
            wish = _wish(worker_of(request), fields)
            refused = await self._site.desk.decide(wish.carry_out)
        except ConfigError as error:
            return await self._page(request, 400, refused=f"Nothing was recorded: {error}.", fields=fields)
        except UnusableLogError as error:
            return await self._page(request, 409, refused=BUSY.format(error=error), fields=fields)
        if refused is not None:
            return await self._page(request, 409, refused=f"Nothing was recorded: {refused}.", fields=fields)
        return RedirectResponse(f"{request.url.path}{query(done=wish.action)}", 303)

    async def _page(
        self,
        request: Request,
        status_code: int,
        *,
        said: str = "",
        refused: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> Response:
        worker = worker_of(request)
        found = await self._site.desk.ask(lambda moment: worker_status(moment, worker))
        return self._site.pages.page(
            "standing.html",
            request,
            status_code,
            subject=EntityRef("worker", worker),
            standing=found,
            most_reason=MOST_REASON_CHARACTERS,
            most_name=MOST_NAME_CHARACTERS,
            most_value=MOST_VALUE,
            bonus_name=secrets.token_hex(16),
            said=said,
            refused=refused,
            fields=fields or {},
        )


def _wish(worker: WorkerId, fields: Mapping[str, str]) -> Wish:
    """What a form wishes.

    Raises:
        ConfigError: something is missing in it or cannot be meant.
        HTTPException: it is not a form of this page.
    """
    action = fields.get("action", "")
    match action:
        case "block":
            reason = _text(fields, "reason", MOST_REASON_CHARACTERS)
            return Wish(action, lambda reviewer: reviewer.block_worker(worker, reason))
        case "unblock":
            reason = _text(fields, "reason", MOST_REASON_CHARACTERS)
            return Wish(action, lambda reviewer: reviewer.unblock_worker(worker, reason))
        case "grant":
            name, value = _text(fields, "name", MOST_NAME_CHARACTERS), _value(fields)
            return Wish(action, lambda reviewer: reviewer.grant_qualification(worker, name, value))
        case "revoke":
            # As it is: a name that a script gave may have blanks at its ends.
            name = fields.get("name", "")
            return Wish(action, lambda reviewer: reviewer.revoke_qualification(worker, name))
        case "bonus":
            return Wish(action, _bonus(worker, fields))
        case _:
            raise HTTPException(400, f"{action!r} is nothing that can be decided about a worker")


def _bonus(worker: WorkerId, fields: Mapping[str, str]) -> Callable[[Reviewer], Awaitable[AppendResult]]:
    """The wish of a form that gives a bonus.

    Raises:
        ConfigError, HTTPException: as `_wish`.
    """
    name = fields.get("bonus_name", "")
    if not BONUS_NAME.fullmatch(name):
        raise HTTPException(400, "this bonus has no name: load the page again")
    amount_cents = cents(fields.get("amount", "").strip(), key="amount")
    written = fields.get("unit", "").strip()
    unit = UnitId(_number(written.removeprefix("unit-"), "unit")) if written else None
    reason = _text(fields, "reason", MOST_REASON_CHARACTERS)
    command_id = f"bonus-{worker}-{name}"
    return lambda reviewer: reviewer.bonus_worker(worker, amount_cents, reason, unit, command_id=command_id)


def _text(fields: Mapping[str, str], field: str, most: int) -> str:
    text = fields.get(field, "").strip()
    if not text:
        raise ConfigError(f"the {field} is missing", key=field)
    if len(text) > most:
        raise ConfigError(f"the {field} has {len(text):,} characters, and may have {most:,}", key=field)
    return text


def _value(fields: Mapping[str, str]) -> int:
    written = fields.get("value", "").strip() or "1"
    value = _number(written, "value")
    if abs(value) > MOST_VALUE:
        raise ConfigError(f"the value is {written}, which is beyond {MOST_VALUE:,}", key="value")
    return value


def _number(written: str, field: str) -> int:
    try:
        return int(written)
    except ValueError as error:
        raise ConfigError(f"the {field} is {written!r}, which is not a whole number", key=field) from error
