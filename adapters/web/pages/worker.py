"""The page of a worker: block or unblock them, grant or revoke qualifications, give a bonus."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....core.entity_ref import EntityRef, find_entity
from ....core.errors import CommandRefusedError, ConfigError
from ....core.operations.configuration.money import cents
from ....core.operations.control.requests import (
    AnyRequest,
    BlockRequest,
    BonusRequest,
    GrantRequest,
    RevokeRequest,
    UnblockRequest,
)
from ....core.operations.services.worker_page import page_address, page_token
from ....events.ids import UnitId, WorkerId
from ....projections.queries.entity_ref import ViewLookup
from ....projections.queries.worker_status import WorkerStatusReport, worker_status
from ...log.sqlite.as_of import LogAsOf
from ..forms import FormPage, FormRefusedError, check_may_pay
from ..site import worker_of

#: A reason is a sentence, the name of a qualification a few words.
MAX_REASON_CHARACTERS = 500
MAX_NAME_CHARACTERS = 100
#: A random name in each form, so that a form which is sent twice owes one bonus.
BONUS_NAME = re.compile("[0-9a-f]{32}")
#: The largest absolute value of a qualification.
MAX_VALUE = 10**9

#: What the page says after an action, by the action's name.
NOTICES: Mapping[str, str] = {
    "block": "{worker} is blocked and gets no more work in any run.",
    "unblock": "{worker} may work again.",
    "grant": "The qualification is granted.",
    "revoke": "The qualification is revoked.",
    "bonus": "{worker} is owed the bonus. The money page of its run pays it, or `mephisto-es pay`.",
}


class WorkerAction(NamedTuple):
    """A command that a reviewer gives with a button."""

    #: The value of the button, a key of `NOTICES`.
    name: str
    request: AnyRequest
    #: Idempotency key; None for a new one.
    key: str | None = None


class WorkerPages(FormPage):
    """Shows a worker's status and qualifications, and the forms that change them."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/workers/{worker:int}", self.show, methods=["GET"]),
            Route("/workers/{worker:int}", self.submit, methods=["POST"]),
        ]

    def _notice(self, request: Request) -> str:
        notice = NOTICES.get(request.query_params.get("done", ""), "")
        return notice.format(worker=f"worker-{worker_of(request)}")

    async def _apply(self, request: Request, fields: Mapping[str, str]) -> Mapping[str, object]:
        action = _action(worker_of(request), fields, await self._unit_of(fields))
        if action.name == "bonus":
            check_may_pay(request)
        author = request.state.visitor.reviewer.author
        refusal = await self._site.log.execute(action.request, action.key, author=author)
        if refusal is not None:
            raise FormRefusedError(409, f"Nothing was recorded: {refusal}.")
        return {"done": action.name}

    async def _unit_of(self, fields: Mapping[str, str]) -> UnitId | None:
        """Return the unit that a form names.

        Raises:
            ConfigError: it names something else.
        """
        written = fields.get("unit", "").strip()
        if not written:
            return None
        try:
            found = await self._site.log.query(lambda moment: find_entity(ViewLookup(moment.db), written, ("unit",)))
        except CommandRefusedError as error:
            raise ConfigError(f"the unit is {written!r}: {error}", key="unit") from error
        return UnitId(found.number)

    async def _render(
        self, request: Request, status_code: int, notice: str, *, refused: str, fields: Mapping[str, str]
    ) -> Response:
        worker = worker_of(request)

        def answer(moment: LogAsOf) -> tuple[WorkerStatusReport, str | None, str]:
            name = self._site.names_of(moment.db, [worker]).get(worker)
            return worker_status(moment, worker), name, page_token(moment.pseudonym_key, worker)

        found, name, token = await self._site.log.query(answer)
        return self._site.templates.page(
            "worker.html",
            request,
            status_code,
            subject=EntityRef("worker", worker),
            worker=found,
            own_page=page_address(token),
            name=name,
            max_reason=MAX_REASON_CHARACTERS,
            max_name=MAX_NAME_CHARACTERS,
            max_value=MAX_VALUE,
            bonus_name=secrets.token_hex(16),
            notice=notice,
            refused=refused,
            fields=fields,
        )


def _action(worker: WorkerId, fields: Mapping[str, str], unit: UnitId | None) -> WorkerAction:
    """Return the action that a form asks for; `unit` is the one that it names.

    Raises:
        ConfigError: a field is missing or makes no sense.
        HTTPException: it is not a form of this page.
    """
    name = fields.get("action", "")
    match name:
        case "block":
            reason = _text(fields, "reason", MAX_REASON_CHARACTERS)
            return WorkerAction(name, BlockRequest(worker=worker, reason=reason))
        case "unblock":
            reason = _text(fields, "reason", MAX_REASON_CHARACTERS)
            return WorkerAction(name, UnblockRequest(worker=worker, reason=reason))
        case "grant":
            qualification, value = _text(fields, "name", MAX_NAME_CHARACTERS), _value(fields)
            return WorkerAction(name, GrantRequest(worker=worker, qualification=qualification, value=value))
        case "revoke":
            # Not stripped: a name given by a script may start or end with a space.
            qualification = fields.get("name", "")
            return WorkerAction(
                name, RevokeRequest(worker=worker, qualification=qualification, reason="revoked by a reviewer")
            )
        case "bonus":
            return _bonus(worker, fields, unit)
        case _:
            raise HTTPException(400, f"{name!r} is not an action on a worker")


def _bonus(worker: WorkerId, fields: Mapping[str, str], unit: UnitId | None) -> WorkerAction:
    """Return the action of a form that gives a bonus.

    Raises:
        ConfigError, HTTPException: as `_action`.
    """
    name = fields.get("bonus_name", "")
    if not BONUS_NAME.fullmatch(name):
        raise HTTPException(400, "This bonus has no name; reload the page")
    amount_cents = cents(fields.get("amount", "").strip(), key="amount")
    reason = _text(fields, "reason", MAX_REASON_CHARACTERS)
    request = BonusRequest(worker=worker, amount_cents=amount_cents, reason=reason, unit=unit)
    return WorkerAction("bonus", request, f"bonus-{worker}-{name}")


def _text(fields: Mapping[str, str], field: str, maximum: int) -> str:
    text = fields.get(field, "").strip()
    if not text:
        raise ConfigError(f"the {field} is missing", key=field)
    if len(text) > maximum:
        raise ConfigError(f"the {field} has {len(text):,} characters; the limit is {maximum:,}", key=field)
    return text


def _value(fields: Mapping[str, str]) -> int:
    written = fields.get("value", "").strip() or "1"
    value = _number(written, "value")
    if abs(value) > MAX_VALUE:
        raise ConfigError(f"the value is {written}; the limit is {MAX_VALUE:,}", key="value")
    return value


def _number(written: str, field: str) -> int:
    try:
        return int(written)
    except ValueError as error:
        raise ConfigError(f"the {field} is {written!r}, which is not a whole number", key=field) from error
