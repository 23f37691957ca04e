"""Loads the modules that need the package `cryptography`, and tells the user to install it if it is missing."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, cast

from ...core.errors import ConfigError, MephistoError
from ...core.operations.logger_core import get_logger
from ...core.packet_data import PageReceipt
from ...events.ids import AgentId, TaskRunId
from ...projections.sealing.checkpoint import Checkpoint
from ...projections.sealing.comparison import SealComparison
from ...projections.sealing.consistency import ProvedExtension
from ...projections.sealing.receipt import ProvedReceipt
from ...projections.sealing.unit_proof import ProvedUnit
from .seal_files import KEY_FILE, PublicKeys

logger = get_logger(__name__)


class Receipts(Protocol):
    """Makes receipts of the work in a log."""

    def promise(self, run: TaskRunId, agent: AgentId) -> PageReceipt | None:
        """Return a receipt that promises what the log has; None if there can be none at the moment."""

    def proof(self, run: TaskRunId, agent: AgentId) -> PageReceipt | None:
        """Return a receipt that proves what was sealed, which may read the whole log, and promises the rest."""


class SealModule(Protocol):
    """The functions of the module `seals` that others need; each raises `SealError` if something is not genuine."""

    def verify_proof(self, text: str, public_keys: PublicKeys) -> ProvedUnit | ProvedExtension | ProvedReceipt:
        """Check a proof with nothing but public keys."""

    def check_seal(self, database: Path, seal: str, keys: PublicKeys) -> Checkpoint:
        """Check that a log still begins with everything that was sealed."""

    def check_receipt(self, database: Path, text: str, public_keys: PublicKeys) -> ProvedReceipt:
        """Check that a log has what a receipt says."""

    def compare_seals(self, one: str, other: str, public_keys: PublicKeys, database: Path | None) -> SealComparison:
        """Compare two seals of one log, or of a log and its copy."""

    def seal_to_files(self, database: Path, targets: Iterable[Path]) -> None:
        """Seal all that is in a log now with the key beside it, and write the seal to files."""


def load_receipts(database: Path) -> Receipts | None:
    """Return what makes the receipts of a log; None if a package it needs is not installed.

    The package itself is loaded for the first receipt.

    Args:
        database: the log.
    """
    if importlib.util.find_spec("cryptography") is None:
        return None
    return _LazyReceipts(database)


class _LazyReceipts:
    """Receipts that are loaded for the first one."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._receipts: Receipts | None = None

    def promise(self, run: TaskRunId, agent: AgentId) -> PageReceipt | None:
        return self._loaded().promise(run, agent)

    def proof(self, run: TaskRunId, agent: AgentId) -> PageReceipt | None:
        return self._loaded().proof(run, agent)

    def _loaded(self) -> Receipts:
        if self._receipts is None:
            module = importlib.import_module(".receipts", __package__)
            self._receipts = cast("Receipts", module.LogReceipts(self._database))
        return self._receipts


def seal_ended_runs(database: Path, runs: Iterable[TaskRunId]) -> None:
    """Seal a log for each ended run that has no seal yet, if somebody has made a key for it; failures are logged.

    Args:
        database: the log, which nobody writes to.
        runs: the ended runs.
    """
    missing = [path for run in runs if not (path := database.with_name(f"run-{run}.seal")).exists()]
    if not missing or not database.with_name(KEY_FILE).exists() or importlib.util.find_spec("cryptography") is None:
        return
    try:
        load_seals().seal_to_files(database, missing)
    except (MephistoError, OSError) as error:
        logger.warning("the log was not sealed", error=str(error), hint="mephisto-es seal does it")


def load_seals() -> SealModule:
    """Return the module that checks seals.

    Raises:
        ConfigError: a package it needs is not installed.
    """
    try:
        return cast("SealModule", importlib.import_module(".seals", __package__))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "cryptography":
            raise
        raise ConfigError(
            "seals and proofs need cryptography, which is not installed",
            key="proof",
            hint="Run: pip install 'mephisto-es[proof]'",
        ) from error
