"""A crowd provider without a crowd: who the worker is stands in the page's address, and the money in a book."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import trio

from ...core.abstractions.args import CrowdProviderArgs
from ...core.abstractions.crowd_provider import CrowdProvider
from ...core.operations.registry import register_mephisto_abstraction
from ...core.operations.services.paymaster import PaymentOrder
from ..composition.data_dir import data_dir
from .payment_book import BOOK_FILE, PaymentBook

WRAPPER_FILE = Path(__file__).parent / "mock_page" / "wrap_crowd_source.js"


@dataclass
class MockProviderArgs(CrowdProviderArgs):
    """What the mock provider can be told."""


@register_mephisto_abstraction()
class MockProvider(CrowdProvider):
    """For trying a task out, and for tests: anybody who opens the page with a name is a worker.

    Nobody is really paid: what would be is written into a book of payments in the data folder, each token once.
    """

    PROVIDER_TYPE: ClassVar[str] = "mock"
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = MockProviderArgs

    @property
    def requester_name(self) -> str:
        """The account that would offer the work."""
        return str(self.args.provider.requester_name or "mock_requester")

    def get_wrapper_js_path(self) -> Path:
        """The script that reads worker and assignment from the address."""
        return WRAPPER_FILE

    def worker_url(self, server_url: str) -> str:
        """An address to begin with; any other `worker_id` is another worker."""
        return f"{server_url}/?worker_id=x&assignment_id=1"

    @staticmethod
    def is_sandbox() -> bool:
        """Nobody is paid."""
        return True

    async def pay(self, order: PaymentOrder) -> str:
        """Write an order into the book, unless its token is there.

        Raises:
            PaymentRefusedError: the book cannot be written, or has another payment under that token.
        """
        await trio.lowlevel.checkpoint()
        return self._book.pay(order)

    async def has_arrived(self, reference: str) -> bool:
        """Whether a payment is in the book."""
        await trio.lowlevel.checkpoint()
        return self._book.has(reference)

    @property
    def _book(self) -> PaymentBook:
        return PaymentBook(data_dir(self.args.database.data_dir) / BOOK_FILE)
