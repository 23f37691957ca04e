"""Keeps the run's secret on disk, readable by its owner only, for an operator that attaches to the router later."""

from __future__ import annotations

import os
from pathlib import Path

SECRET_FILE = "router.secret"


def write_secret(folder: Path, secret: str) -> Path:
    """Write a secret to its file in a folder; return the file."""
    file = folder / SECRET_FILE
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(secret)
    return file


def read_secret(folder: Path) -> str | None:
    """Return the secret in a folder, or None if there is none."""
    try:
        return (folder / SECRET_FILE).read_text()
    except FileNotFoundError:
        return None
