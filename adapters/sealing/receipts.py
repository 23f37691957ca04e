"""Makes the receipts of one log: with the key beside it, and with the newest of the seals beside it."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...core.errors import MephistoError
from ...core.operations.logger_core import get_logger
from ...core.packet_data import PageReceipt
from ...events import streams
from ...events.ids import AgentId, TaskRunId
from ...projections.sealing.checkpoint import Checkpoint, open_checkpoint
from ...projections.sealing.receipt import MAX_RECEIPT_BYTES, Receipt, make_receipt
from ...projections.sealing.sealed_log import SealedLog
from ..log.sqlite.reader import LogReader
from .keys import SealKey, read_or_make_key, verify_signature
from .seal_files import KEY_FILE, read_text
from .seals import sealed_log

#: Seals beside a log.
SEALS = "*.seal"

logger = get_logger(__name__)


class _Sealed(NamedTuple):
    """A seal, and the log as it was sealed."""

    seal: str
    log: SealedLog


class LogReceipts:
    """The receipts of one log. The first one makes the key of the log, if it has none.

    Args:
        database: the log.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._key: SealKey | None = None
        self._sealed: _Sealed | None = None

    def promise(self, run: TaskRunId, agent: AgentId) -> PageReceipt | None:
        """Return a receipt that promises what the log has; None if there can be none at the moment."""
        try:
            receipt = self._make(run, agent, None)
        except MephistoError as error:
            logger.warning("no receipt can be made", error=str(error))
            return None
        made = _page_receipt(agent, receipt)
        return None if len(made.text.encode()) > MAX_RECEIPT_BYTES else made

    def proof(self, run: TaskRunId, agent: AgentId) -> PageReceipt | None:
        """Return a receipt that proves what was sealed, and promises the rest.

        The first receipt of a seal reads the whole log.
        """
        try:
            return _page_receipt(agent, self.receipt(run, agent))
        except MephistoError as error:
            logger.warning("no receipt can be made", error=str(error))
            return None

    def receipt(self, run: TaskRunId, agent: AgentId, seal: str | None = None) -> Receipt:
        """Return the receipt of an agent, with proofs of what was sealed.

        Args:
            run: the run of the agent.
            agent: the agent.
            seal: the seal; None: the newest one beside the log.

        Raises:
            SealError: there is no such agent, the key cannot be used, or the log is not the one that was sealed.
            LogError: the log cannot be read.
        """
        if seal is None:
            return self._make(run, agent, self._newest_seal())
        checkpoint = open_checkpoint(seal, self._known_key().verifier, verify_signature)
        return self._make(run, agent, _Sealed(seal, sealed_log(self._database, checkpoint)))

    def _make(self, run: TaskRunId, agent: AgentId, sealed: _Sealed | None) -> Receipt:
        key = self._known_key()
        with closing(LogReader(self._database)) as log:
            rows = log.stored(streams.agent(run, agent))
        seal, tree = sealed or (None, None)
        return make_receipt(rows, key.verifier, key.sign, tree, seal)

    def _known_key(self) -> SealKey:
        if self._key is None:
            self._key = read_or_make_key(self._database.with_name(KEY_FILE), None)
        return self._key

    def _newest_seal(self) -> _Sealed | None:
        """Return the largest seal beside the log that is of the log and its key."""
        key = self._known_key()
        found: list[tuple[Checkpoint, str]] = []
        for path in self._database.parent.glob(SEALS):
            # Others are of another log, or no seals at all.
            with suppress(MephistoError):
                text = read_text(path)
                found.append((open_checkpoint(text, key.verifier, verify_signature), text))
        if not found:
            return None
        checkpoint, seal = max(found, key=lambda one: one[0].events.size)
        if self._sealed is None or self._sealed.seal != seal:
            self._sealed = _Sealed(seal, sealed_log(self._database, checkpoint))
        return self._sealed


def _page_receipt(agent: AgentId, receipt: Receipt) -> PageReceipt:
    text = msgspec.json.format(msgspec.json.encode(receipt), indent=1).decode() + "\n"
    return PageReceipt(file=f"agent-{agent}.receipt", text=text, events=len(receipt.events), proved=len(receipt.proofs))
