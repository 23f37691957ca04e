"""The interface of whatever pays workers: orders, and how a provider carries them out."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from ....events.ids import AgentId, PaymentId, TaskRunId, UnitId, WorkerId
from ....events.payment import Answer, Sighting
from ...decisions.settlement import BySendingAgain, Settlement
from ...errors import ConfigError, MephistoError
from ..crowd_provider import CrowdProvider
from .effects import SendResult, SiteEffect


class PaymentRefusedError(MephistoError):
    """The provider refuses: it has not paid, and will not by itself."""


class PaymentOrder(NamedTuple):
    """One amount for one worker, with all that a provider may need to pay it."""

    token: str
    worker: WorkerId
    #: The provider's name of the worker; None: it was erased here.
    worker_name: str | None
    amount_cents: int
    #: `pay` or `bonus`.
    purpose: str
    task_run: TaskRunId
    payment: PaymentId
    agent: AgentId
    unit: UnitId
    #: The provider's id of the work; None: the worker arrived without one, or it was erased here.
    handle: str | None = None
    #: The provider's id of the study or project that the work belongs to; None: unknown.
    study: str | None = None
    #: What `PaymentEffect.set_up` returned for the first request; None: there was none.
    setup: str | None = None
    #: The reference of the order that the provider took; None: it took none.
    reference: str | None = None
    #: Bonuses for the same work that were paid or sent before, in cents.
    earlier_bonus_cents: int = 0


class PaymentEffect(SiteEffect, Protocol):
    """A payment as an effect at a site."""

    async def set_up(self) -> str | None:
        """Prepare the first request, without paying, and return what a later look needs.

        It is recorded before the request and comes back as `PaymentOrder.setup`. It holds no personal value.

        Raises:
            PaymentRefusedError: the provider refuses, or cannot be asked.
        """


@runtime_checkable
class PaymentProvider(Protocol):
    """A payer that never pays a token twice, however late it comes again.

    A crowd provider that has these methods pays those who worked on its runs.
    """

    async def pay(self, order: PaymentOrder) -> str:
        """Pay an order, unless its token was paid before and not given back since.

        Returns:
            The provider's id of the payment.

        Raises:
            PaymentRefusedError: the provider refuses. Any other error leaves open whether it has paid.
        """

    async def has_arrived(self, reference: str) -> bool:
        """Return whether the worker has the money.

        Raises:
            PaymentRefusedError: the provider gave it back.
        """


@runtime_checkable
class PaymentSite(Protocol):
    """A payer with rules of its own for finding out whether it has paid."""

    def payment_effect(self, order: PaymentOrder) -> PaymentEffect:
        """Return an order as an effect.

        Raises:
            PaymentRefusedError: it cannot be paid at this site, whatever is tried.
        """


Payer = PaymentProvider | PaymentSite


def payer_of(provider: CrowdProvider) -> Payer:
    """Return a crowd provider as one that pays.

    Raises:
        ConfigError: it does not.
    """
    if not isinstance(provider, PaymentProvider | PaymentSite):
        raise ConfigError(
            f"the crowd provider {provider.PROVIDER_TYPE!r} cannot pay workers",
            hint="Pay what `mephisto-es ledger` shows by other means",
        )
    return provider


def payment_effect(payer: Payer, order: PaymentOrder) -> PaymentEffect:
    """Return an order as an effect at a payer of either kind.

    Raises:
        PaymentRefusedError: the payer cannot pay it, whatever is tried.
    """
    return payer.payment_effect(order) if isinstance(payer, PaymentSite) else TokenPayment(payer, order)


class TokenPayment:
    """An order at a payer that never pays a token twice."""

    settlement: Settlement = BySendingAgain()

    def __init__(self, provider: PaymentProvider, order: PaymentOrder) -> None:
        self._provider = provider
        self._order = order

    async def set_up(self) -> None:
        """Prepare nothing: the token is enough."""

    async def send(self, token: str) -> SendResult:
        """Pay it."""
        try:
            return SendResult(Answer.DONE, await self._provider.pay(self._order._replace(token=token)))
        except PaymentRefusedError as error:
            return SendResult(Answer.REFUSED, reason=str(error))

    async def look(self) -> Sighting | None:
        """Return whether the order that was taken has arrived.

        Raises:
            PaymentRefusedError: the provider gave it back.
        """
        if self._order.reference is None:
            return Sighting.CANNOT_TELL
        return Sighting.THERE if await self._provider.has_arrived(self._order.reference) else Sighting.NOT_THERE
