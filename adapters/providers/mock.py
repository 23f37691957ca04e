"""Provides a mock crowd provider: the worker's name is in the page's URL, payments are recorded in a local file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import trio
from omegaconf import DictConfig

from ...core.abstractions.args import CrowdProviderArgs
from ...core.abstractions.blueprint import SharedTaskState
from ...core.abstractions.crowd.payments import PaymentOrder, PaymentRefusedError
from ...core.abstractions.crowd_provider import CrowdProvider
from ...core.abstractions.resources import Resources
from ...core.operations.registry import register_mephisto_abstraction
from ..composition.data_dir import data_dir
from .payment_book import BOOK_FILE, PaymentBook

WRAPPER_FILE = Path(__file__).parent / "mock_page" / "wrap_crowd_source.js"


@dataclass
class MockProviderArgs(CrowdProviderArgs):
    """Settings of the mock provider."""


@register_mephisto_abstraction()
class MockProvider(CrowdProvider):
    """For trials and tests: anybody who opens the page with a name is a worker.

    Nobody is really paid: payments are recorded in a file in the data folder, each token once.
    """

    PROVIDER_TYPE: ClassVar[str] = "mock"
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = MockProviderArgs
    PAYMENTS_AT_A_TIME: ClassVar[int] = 256

    def __init__(self, args: DictConfig, shared_state: SharedTaskState, resources: Resources) -> None:
        """Keep the run's whole configuration, in which `args.provider` is the provider's part, and the rest."""
        super().__init__(args, shared_state, resources)
        #: Orders that are about to be recorded together.
        self._waiting: list[PaymentOrder] = []
        self._recorded: dict[str, str | PaymentRefusedError] = {}

    @property
    def requester_name(self) -> str:
        """The name of the account that would offer the work."""
        return str(self.args.provider.requester_name or "mock_requester")

    def get_wrapper_js_path(self) -> Path:
        """Return the path of the script that reads worker and assignment from the URL."""
        return WRAPPER_FILE

    def worker_url(self, server_url: str) -> str:
        """Return a URL to open; each `worker_id` is a different worker."""
        return f"{server_url}/?worker_id=x&assignment_id=1"

    @staticmethod
    def is_sandbox() -> bool:
        """Return True: nobody is paid."""
        return True

    async def pay(self, order: PaymentOrder) -> str:
        """Record an order, unless its token is recorded already.

        Raises:
            PaymentRefusedError: the file cannot be written, or has a different payment under that token.
        """
        self._waiting.append(order)
        # Orders that come at the same time are recorded in one transaction, by the first one that continues.
        await trio.lowlevel.checkpoint()
        orders, self._waiting = self._waiting, []
        if orders:
            self._recorded |= self._book.pay_all(orders)
        outcome = self._recorded.pop(order.token)
        if isinstance(outcome, PaymentRefusedError):
            raise outcome
        return outcome

    @cached_property
    def _book(self) -> PaymentBook:
        return PaymentBook(data_dir(self.args.database.data_dir) / BOOK_FILE)

    async def has_arrived(self, reference: str) -> bool:
        """Return whether a payment is recorded."""
        await trio.lowlevel.checkpoint()
        return self._book.has(reference)
