"""Loads what needs the package `cryptography`, and says what to install if it is missing; reads the files of seals."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from ...core.errors import ConfigError, MephistoError
from ...core.operations.logger_core import get_logger
from ...core.packet_data import PageReceipt
from ...events.ids import AgentId, TaskRunId
from ...projections.sealing.checkpoint import Checkpoint
from ...projections.sealing.comparison import SealComparison
from ...projections.sealing.consistency import ProvedExtension
from ...projections.sealing.notes import MAX_TEXT_BYTES
from ...projections.sealing.receipt import ProvedReceipt
from ...projections.sealing.unit_proof import ProvedUnit

#: The key beside a log.
KEY_FILE = "seal.key"

logger = get_logger(__name__)


class PublicKeys(NamedTuple):
    """Public keys, as text, that a verifier has from elsewhere."""

    #: The key of the log.
    log: str
    #: Those of witnesses who must have cosigned.
    witnesses: tuple[str, ...] = ()


class Receipts(Protocol):
    """Makes receipts of the work in a log."""

    def promise(self, run: TaskRunId, agent: AgentId) -> PageReceipt | None:
        """Return a receipt that promises what the log has; None if there can be none at the moment."""

    def proof(self, run: TaskRunId, agent: AgentId) -> PageReceipt | None:
        """Return a receipt that proves what was sealed, which may read the whole log, and promises the rest."""


#: Checks a proof with public keys.
VerifyProof = Callable[[str, PublicKeys], ProvedUnit | ProvedExtension | ProvedReceipt]
#: Checks a log against a seal and public keys.
CheckSeal = Callable[[Path, str, PublicKeys], Checkpoint]
#: Checks a log against a receipt and public keys.
CheckReceipt = Callable[[Path, str, PublicKeys], ProvedReceipt]
#: Compares two seals, and may look into a log.
CompareSeals = Callable[[str, str, PublicKeys, Path | None], SealComparison]


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
        cast(Callable[[Path, list[Path]], None], _load("seal_to_files"))(database, missing)
    except (MephistoError, OSError) as error:
        logger.warning("the log was not sealed", error=str(error), hint="mephisto-es seal does it")


def load_verify_proof() -> VerifyProof:
    """Return `verify_proof`.

    Raises:
        ConfigError: a package it needs is not installed.
    """
    return cast(VerifyProof, _load("verify_proof"))


def load_check_seal() -> CheckSeal:
    """Return `check_seal`.

    Raises:
        ConfigError: a package it needs is not installed.
    """
    return cast(CheckSeal, _load("check_seal"))


def load_check_receipt() -> CheckReceipt:
    """Return `check_receipt`.

    Raises:
        ConfigError: a package it needs is not installed.
    """
    return cast(CheckReceipt, _load("check_receipt"))


def load_compare_seals() -> CompareSeals:
    """Return `compare_seals`.

    Raises:
        ConfigError: a package it needs is not installed.
    """
    return cast(CompareSeals, _load("compare_seals"))


def _load(name: str) -> object:
    try:
        return getattr(importlib.import_module(".seals", __package__), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "cryptography":
            raise
        raise missing_extra() from error


def missing_extra() -> ConfigError:
    """Return the error that says what to install."""
    return ConfigError(
        "seals and proofs need cryptography, which is not installed",
        key="proof",
        hint="Run: pip install 'mephisto-es[proof]'",
    )


def read_text(path: Path) -> str:
    """Read a seal or a proof.

    Raises:
        ConfigError: it cannot be read, or is larger than any.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TEXT_BYTES + 1)
        if len(content) > MAX_TEXT_BYTES:
            raise ConfigError(f"{path} is too large to be a seal or a proof", key=str(path))
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a seal or a proof", key=str(path)) from error
