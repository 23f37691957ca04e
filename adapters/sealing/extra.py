"""Loads what needs the package `cryptography`, and says what to install if it is missing; reads the files of seals."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

from ...core.errors import ConfigError
from ...projections.sealing.checkpoint import Checkpoint
from ...projections.sealing.comparison import SealComparison
from ...projections.sealing.consistency import ProvedExtension
from ...projections.sealing.notes import MAX_TEXT_BYTES
from ...projections.sealing.unit_proof import ProvedUnit


class PublicKeys(NamedTuple):
    """Public keys, as text, that a verifier has from elsewhere."""

    #: The key of the log.
    log: str
    #: Those of witnesses who must have cosigned.
    witnesses: tuple[str, ...] = ()


#: Checks a proof with public keys.
VerifyProof = Callable[[str, PublicKeys], ProvedUnit | ProvedExtension]
#: Checks a log against a seal and public keys.
CheckSeal = Callable[[Path, str, PublicKeys], Checkpoint]
#: Compares two seals, and may look into a log.
CompareSeals = Callable[[str, str, PublicKeys, Path | None], SealComparison]


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
