"""Loads what needs the package `cryptography`, and says what to install if it is missing; reads the files of seals."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from ...core.errors import ConfigError
from ...projections.sealing.checkpoint import MAX_TEXT_BYTES, Checkpoint
from ...projections.sealing.consistency import ProvedExtension
from ...projections.sealing.unit_proof import ProvedUnit

#: Checks a proof with a public key.
VerifyProof = Callable[[str, str], ProvedUnit | ProvedExtension]
#: Checks a log against a seal and a public key.
CheckSeal = Callable[[Path, str, str], Checkpoint]


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
