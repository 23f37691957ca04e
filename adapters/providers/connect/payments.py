"""Payments at Connect: the approval of an assignment, and bonuses that are told by their sum."""

from __future__ import annotations

import msgspec

from ....core.abstractions.crowd.effects import SendResult
from ....core.abstractions.crowd.payments import PaymentEffect, PaymentOrder, PaymentRefusedError
from ....core.decisions.settlement import Settlement
from ....core.lifecycles.payment import PAY
from ....events.payment import Sighting
from ..api.errors import SiteError
from ..effects import CalledEffect, CalledPayment
from .assignments import BonusGrant, ReviewLine
from .client import ConnectClient
from .effects import NOT_FINISHED, NOT_LISTED, AssignmentBonus, AssignmentVerdict, find_assignment, is_unfinished


class _BonusesBefore(msgspec.Struct, frozen=True):
    """The bonuses of an assignment before this one, recorded before the request."""

    before_cents: int


_decode_before = msgspec.json.Decoder(_BonusesBefore).decode


def connect_payment(client: ConnectClient, order: PaymentOrder) -> PaymentEffect:
    """Return an order as an effect at Connect.

    Args:
        client: the site.
        order: the order; its pay is the project's payment, which the site knows.

    Raises:
        PaymentRefusedError: the assignment is unknown here.
    """
    if order.handle is None or order.study is None:
        raise PaymentRefusedError("it is not known which assignment at Connect this work belongs to")
    if order.purpose == PAY:
        return CalledPayment(AssignmentVerdict(client, order.study, ReviewLine(order.handle), is_approved=True))
    return _ConnectBonus(client, order, order.study, order.handle)


class _ConnectBonus:
    """A bonus. What the assignment showed before it is recorded before the first request."""

    settlement: Settlement = AssignmentBonus.settlement

    def __init__(self, client: ConnectClient, order: PaymentOrder, project: str, handle: str) -> None:
        self._client = client
        self._order = order
        self._project = project
        self._handle = handle
        self._before = None if order.setup is None else _decode_before(order.setup)

    async def set_up(self) -> str:
        """Read the bonuses so far.

        Raises:
            PaymentRefusedError: the site could not be asked, does not list the assignment, or shows it as unfinished.
        """
        try:
            assignment = await find_assignment(self._client, self._project, self._handle)
        except SiteError as error:
            raise PaymentRefusedError(str(error)) from error
        if assignment is None:
            raise PaymentRefusedError(NOT_LISTED)
        if is_unfinished(assignment):
            raise PaymentRefusedError(NOT_FINISHED)
        # The list lags, so what we have paid counts even if it is not shown.
        self._before = _BonusesBefore(max(int(assignment.bonus_cents), self._order.earlier_bonus_cents))
        return msgspec.json.encode(self._before).decode()

    async def send(self, token: str) -> SendResult:
        """Pay the bonus."""
        return await self._effect().send(token)

    async def look(self) -> Sighting | None:
        """Compare the assignment's bonuses with those before."""
        return await self._effect().look()

    def _effect(self) -> CalledEffect:
        if self._before is None:
            raise LookupError("the bonuses so far must be read before another is paid or looked for")
        grant = BonusGrant(self._handle, self._order.amount_cents)
        return CalledEffect(AssignmentBonus(self._client, self._project, grant, before_cents=self._before.before_cents))
