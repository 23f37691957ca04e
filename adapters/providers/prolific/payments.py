"""Payments at Prolific: the approval of a submission, and bonuses in two steps."""

from __future__ import annotations

import msgspec

from ....core.abstractions.crowd.effects import SendResult
from ....core.abstractions.crowd.payments import PaymentEffect, PaymentOrder, PaymentRefusedError
from ....core.decisions.settlement import Settlement
from ....core.lifecycles.payment import PAY
from ....events.payment import Sighting
from ..api.errors import SiteError
from ..effects import CalledEffect, CalledPayment
from .api.client import ProlificClient
from .api.submissions import BonusLine
from .effects import SubmissionBonus, SubmissionVerdict


class _Setup(msgspec.Struct, frozen=True):
    """A bonus that is set up, as it is recorded before it is paid."""

    #: The site's id of the set-up.
    id: str
    #: The bonuses of the submission before this one.
    before_cents: int


_decode_setup = msgspec.json.Decoder(_Setup).decode


def prolific_payment(
    client: ProlificClient, order: PaymentOrder, fixed_reward_cents: int | None = None
) -> PaymentEffect:
    """Return an order as an effect at Prolific.

    Args:
        client: the site.
        order: the order; its pay is the study's reward, which the site knows.
        fixed_reward_cents: the study's fixed reward for being screened out; None: it has none.

    Raises:
        PaymentRefusedError: the submission is unknown here.
    """
    if order.handle is None or order.study is None:
        raise PaymentRefusedError("it is not known which submission at Prolific this work belongs to")
    if order.purpose == PAY:
        return CalledPayment(SubmissionVerdict(client, order.handle))
    return _BonusPayment(client, order, order.study, order.handle, fixed_reward_cents)


class _BonusPayment:
    """A bonus. Its set-up is recorded before it is paid, with what the submission showed then."""

    settlement: Settlement = SubmissionBonus.settlement

    def __init__(
        self, client: ProlificClient, order: PaymentOrder, study: str, handle: str, fixed_reward_cents: int | None
    ) -> None:
        self._client = client
        self._order = order
        self._study = study
        self._handle = handle
        self._fixed_reward_cents = fixed_reward_cents
        self._setup = None if order.setup is None else _decode_setup(order.setup)

    async def set_up(self) -> str:
        """Set the bonus up without paying it.

        Raises:
            PaymentRefusedError: the site refuses, or could not be asked.
        """
        submissions, amount_cents = self._client.submissions, self._order.amount_cents
        try:
            shown = await submissions.get(self._handle)
            setup = await submissions.set_up_bonuses(self._study, [BonusLine(self._handle, amount_cents)])
        except SiteError as error:
            raise PaymentRefusedError(str(error)) from error
        # Paid bonuses show late, so what we have paid counts even if it is not shown.
        before = max(shown.bonus_without_screen_out_cents(self._fixed_reward_cents), self._order.earlier_bonus_cents)
        self._setup = _Setup(setup.id, int(before))
        return msgspec.json.encode(self._setup).decode()

    async def send(self, token: str) -> SendResult:
        """Pay the set-up."""
        return await self._effect().send(token)

    async def look(self) -> Sighting | None:
        """Compare the submission's bonuses with those before."""
        return await self._effect().look()

    def _effect(self) -> CalledEffect:
        if self._setup is None:
            raise LookupError("a bonus must be set up before it is paid or looked for")
        bonus = SubmissionBonus(
            self._client,
            self._handle,
            self._setup.id,
            amount_cents=self._order.amount_cents,
            before_cents=self._setup.before_cents,
            fixed_reward_cents=self._fixed_reward_cents,
        )
        return CalledEffect(bonus)
