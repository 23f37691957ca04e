"""A simulated site that pays workers: it loses requests and answers, refuses, gives money back, and keeps books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import ClassVar

import trio

from mephisto_es.core.abstractions.args import CrowdProviderArgs
from mephisto_es.core.abstractions.crowd.effects import SendResult
from mephisto_es.core.abstractions.crowd.payments import PaymentOrder, PaymentRefusedError
from mephisto_es.core.abstractions.crowd_provider import CrowdProvider
from mephisto_es.core.decisions.settlement import SETTLEMENTS, Absence, ByLooking, CrowdSite, Settlement, SiteOperation
from mephisto_es.core.operations.registry import register_mephisto_abstraction
from mephisto_es.events.payment import Answer, Sighting

#: A request, or its answer, takes this long.
ANSWER_SECONDS = (0.0, 2.0)
#: A payment shows in the books after at most this.
LAG_SECONDS = 60.0
#: The rule's lag: the site's, and room for a wall clock that is set forward several times meanwhile.
SAFE_LAG_SECONDS = 3600.0
#: Payments of a worker and purpose: run, payment and cents.
Entry = tuple[int, int, int]


class SiteAwayError(Exception):
    """A request, or its answer, was lost."""


@dataclass
class Site:
    """The site and its books.

    Attributes:
        is_calm: True once nothing is lost, refused or given back any more.
        paid: the times at which each payment was made and not given back, by run, payment and cents.
    """

    chance: Random
    is_calm: bool = False
    answers_until_one_is_lost: int = 8
    paid: dict[Entry, list[float]] = field(default_factory=dict)
    tokens: dict[str, Entry] = field(default_factory=dict)
    #: Returns whether the last event of a payment in the log is that it was requested.
    is_requested: Callable[[PaymentOrder], bool] = lambda _order: True
    #: Orders that came before the log had them.
    too_early: list[Entry] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    async def pay_token(self, order: PaymentOrder) -> str:
        """Pay an order, unless its token was paid and not given back."""
        self._check_requested(order)
        await self._arrive()
        if order.token not in self.tokens:
            self.tokens[order.token] = self._book(order)
        await self._answer()
        return order.token

    async def pay_again(self, order: PaymentOrder) -> str:
        """Pay an order as often as it comes."""
        self._check_requested(order)
        await self._arrive()
        self._book(order)
        await self._answer()
        return f"{order.task_run}-{order.payment}"

    async def has_arrived(self, token: str) -> bool:
        """Return True; now and then the worker's bank sends the money back.

        Raises:
            PaymentRefusedError: it was given back.
        """
        await self._arrive()
        if not self.is_calm and token in self.tokens and self.chance.random() < 0.1:
            self.paid[self.tokens.pop(token)].pop()
            self.done["given back"] += 1
        if token not in self.tokens:
            raise PaymentRefusedError("the money came back")
        return True

    async def shows(self, order: PaymentOrder) -> bool:
        """Return whether an order is in the books, as far as they show it yet."""
        await self._arrive()
        made = self.paid.get(_entry(order), [])
        return any(trio.current_time() - at >= (0 if self.is_calm else LAG_SECONDS) for at in made)

    def _check_requested(self, order: PaymentOrder) -> None:
        if not self.is_requested(order):
            self.too_early.append(_entry(order))

    def _book(self, order: PaymentOrder) -> Entry:
        entry = _entry(order)
        self.paid.setdefault(entry, []).append(trio.current_time())
        self.done["paid"] += 1
        return entry

    async def _arrive(self) -> None:
        await trio.sleep(self.chance.uniform(*ANSWER_SECONDS))
        if not self.is_calm:
            match self.chance.randrange(12):
                case 0:
                    self.done["request lost"] += 1
                    raise SiteAwayError("the request was lost")
                case 1:
                    self.done["refused"] += 1
                    raise PaymentRefusedError("not now")
                case _:
                    pass

    async def _answer(self) -> None:
        await trio.sleep(self.chance.uniform(*ANSWER_SECONDS))
        if not self.is_calm and self.chance.randrange(self.answers_until_one_is_lost) == 0:
            self.done["answer lost"] += 1
            raise SiteAwayError("the answer was lost")


def _entry(order: PaymentOrder) -> Entry:
    return int(order.task_run), int(order.payment), order.amount_cents


#: The site of the simulation that runs now: a provider is also opened where no launch script has passed anything.
SITE: ContextVar[Site] = ContextVar("SITE")


@register_mephisto_abstraction()
class SimulatedProvider(CrowdProvider):
    """Workers walk in, and are paid by token."""

    PROVIDER_TYPE: ClassVar[str] = "simulated"
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = CrowdProviderArgs

    @property
    def requester_name(self) -> str:
        return "simulated_requester"

    def get_wrapper_js_path(self) -> Path:
        return Path(__file__)

    def worker_url(self, server_url: str) -> str:
        return server_url

    async def pay(self, order: PaymentOrder) -> str:
        return await SITE.get().pay_token(order)

    async def has_arrived(self, reference: str) -> bool:
        return await SITE.get().has_arrived(reference)


class _LookedForPayment:
    """A payment at a site that pays as often as it is asked, and shows what it has paid."""

    settlement: Settlement = ByLooking(SAFE_LAG_SECONDS, Absence.PROVES_NOTHING_HAPPENED)

    def __init__(self, order: PaymentOrder) -> None:
        self._order = order

    async def set_up(self) -> None:
        """Prepare nothing."""

    async def send(self, _token: str) -> SendResult:
        try:
            return SendResult(Answer.DONE, await SITE.get().pay_again(self._order))
        except PaymentRefusedError as error:
            return SendResult(Answer.REFUSED, reason=str(error))

    async def look(self) -> Sighting | None:
        try:
            return Sighting.THERE if await SITE.get().shows(self._order) else Sighting.NOT_THERE
        except (SiteAwayError, PaymentRefusedError):
            return None


class _HalfBlindPayment(_LookedForPayment):
    """The same, at a site whose books do not prove that something has not happened."""

    settlement: Settlement = ByLooking(SAFE_LAG_SECONDS, Absence.PROVES_NOTHING)


class _BonusAtProlific(_LookedForPayment):
    """The same, settled as bonuses at Prolific are."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.PROLIFIC, SiteOperation.BONUS]


class _LookingProvider(CrowdProvider):
    """Workers walk in, and are paid by a site without tokens."""

    ArgsClass: ClassVar[type[CrowdProviderArgs]] = CrowdProviderArgs
    EFFECT: ClassVar[type[_LookedForPayment]]

    @property
    def requester_name(self) -> str:
        return "simulated_requester"

    def get_wrapper_js_path(self) -> Path:
        return Path(__file__)

    def worker_url(self, server_url: str) -> str:
        return server_url

    def payment_effect(self, order: PaymentOrder) -> _LookedForPayment:
        return self.EFFECT(order)


@register_mephisto_abstraction()
class LookingProvider(_LookingProvider):
    """The books of its site prove both that something happened and that it did not."""

    PROVIDER_TYPE: ClassVar[str] = "simulated_books"
    EFFECT = _LookedForPayment


@register_mephisto_abstraction()
class HalfBlindProvider(_LookingProvider):
    """The books of its site prove only that something happened."""

    PROVIDER_TYPE: ClassVar[str] = "simulated_half_blind"
    EFFECT = _HalfBlindPayment


@register_mephisto_abstraction()
class ProlificProvider(_LookingProvider):
    """Its payments are settled by the product's rule for bonuses at Prolific."""

    PROVIDER_TYPE: ClassVar[str] = "simulated_prolific"
    EFFECT = _BonusAtProlific


PROVIDER_TYPES = tuple(provider.PROVIDER_TYPE for provider in (SimulatedProvider, LookingProvider, HalfBlindProvider))
HASTY_PROVIDER_TYPES = (*PROVIDER_TYPES, *[ProlificProvider.PROVIDER_TYPE] * len(PROVIDER_TYPES))
