"""Paying what is owed, so that a crash at any moment pays nobody twice and forgets nobody.

The wish is recorded before the provider is asked, with a token that is the same however often this payment is tried;
what came of it is recorded after. A payment that was left between the two is asked for again with its token, and the
provider knows by it whether it has paid already.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from ....events import streams
from ....events.ids import PaymentId, TaskRunId, WorkerId
from ....events.payment import PaymentConfirmed, PaymentEvent, PaymentFailed, PaymentIntended, PaymentSent
from ....events.worker import WorkerRegistered
from ...abstractions.crowd_provider import CrowdProvider
from ...command_issuer import CommandIssuer
from ...commands.review import RecordPayment
from ...errors import ConfigError, MephistoError
from ...ledger import Ledger
from ...lifecycles.payment import UNPAID_STATUSES, PaymentState, PaymentStatus
from ...payloads import pseudonym
from ...ports import Ids

ACTOR = "paymaster"


class PaymentRefusedError(MephistoError):
    """The provider says no: it has not paid, and will not by itself."""


class PaymentOrder(NamedTuple):
    """What a provider is asked to pay."""

    token: str
    worker: WorkerId
    #: By what the provider knows the worker; None: it was erased here.
    worker_name: str | None
    amount_cents: int
    #: `pay` or `bonus`.
    purpose: str


@runtime_checkable
class PaymentProvider(Protocol):
    """Where the money comes from. A crowd provider that has these methods pays those who worked on its runs."""

    async def pay(self, order: PaymentOrder) -> str:
        """Take an order; one whose token was paid before, and not given back since, is not paid again.

        Returns:
            By what the provider knows the payment.

        Raises:
            PaymentRefusedError: the provider says no. Any other error leaves open whether it has paid.
        """

    async def has_arrived(self, reference: str) -> bool:
        """Whether the worker has the money.

        Raises:
            PaymentRefusedError: the provider gave it back.
        """


def payer_of(provider: CrowdProvider) -> PaymentProvider:
    """A crowd provider, as one that pays.

    Raises:
        ConfigError: it does not.
    """
    if not isinstance(provider, PaymentProvider):
        raise ConfigError(
            f"the crowd provider {provider.PROVIDER_TYPE!r} cannot pay workers",
            hint="Pay what `mephisto-es ledger` shows by other means",
        )
    return provider


class Paymaster:
    """Pays what the log says is owed."""

    def __init__(self, ledger: Ledger, ids: Ids, provider: PaymentProvider, actor: str = ACTOR) -> None:
        """Take the parts.

        Args:
            ledger: the door, its writer task running.
            ids: where command ids come from.
            provider: who pays.
            actor: author of the payments, as the log records it.
        """
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids, actor)
        self._provider = provider

    async def pay_owed(self, run: TaskRunId, only: Collection[PaymentId] | None = None) -> int:
        """Ask the provider for everything in a run that is not paid, one after the other.

        Cancelled, or ended by an error of the provider's, it leaves the payment it was at to be asked for again.

        Args:
            run: the run.
            only: leave out what is not among these; None: pay everything.

        Returns:
            How many orders the provider took.

        Raises:
            LogError: nothing could be recorded; the provider was not asked for that payment.
        """
        taken = 0
        for payment in self._of(run, *UNPAID_STATUSES):
            if only is not None and payment.payment not in only:
                continue
            token = self._token(run, payment.payment)
            if payment.status is not PaymentStatus.APPROVED:
                await self._record(run, payment, PaymentIntended(token=token))
            name = self._name_of(payment.worker)
            order = PaymentOrder(token, payment.worker, name, payment.amount_cents, payment.purpose)
            try:
                reference = await self._provider.pay(order)
            except PaymentRefusedError as error:
                await self._record(run, payment, PaymentFailed(reason=str(error)))
            else:
                await self._record(run, payment, PaymentSent(reference=reference))
                taken += 1
        return taken

    async def confirm_sent(self, run: TaskRunId) -> int:
        """Ask the provider what became of the orders it took in a run.

        Returns:
            How many payments have arrived since the last time.

        Raises:
            LogError: what it said could not be recorded.
        """
        arrived = 0
        for payment in self._of(run, PaymentStatus.SENT):
            try:
                if payment.reference is not None and await self._provider.has_arrived(payment.reference):
                    await self._record(run, payment, PaymentConfirmed())
                    arrived += 1
            except PaymentRefusedError as error:
                await self._record(run, payment, PaymentFailed(reason=str(error)))
        return arrived

    def _of(self, run: TaskRunId, *statuses: PaymentStatus) -> Sequence[PaymentState]:
        return [
            payment
            for stream, payment in self._ledger.state.payments.items()
            if payment.status in statuses and streams.run_of(stream) == run
        ]

    def _token(self, run: TaskRunId, payment: PaymentId) -> str:
        """The token of a payment: told by this log's secret and the payment's stream, so that no other has it."""
        return pseudonym(self._ledger.log.pseudonym_key, "payment", streams.payment(run, payment))

    def _name_of(self, worker: WorkerId) -> str | None:
        registered = self._ledger.log.history(streams.worker(worker))[0].envelope.event
        name = self._ledger.log.payload(registered.name) if isinstance(registered, WorkerRegistered) else None
        return None if name is None else name.decode()

    async def _record(self, run: TaskRunId, payment: PaymentState, event: PaymentEvent) -> None:
        await self._issuer.issue(RecordPayment(task_run=run, payment=payment.payment, event=event))
