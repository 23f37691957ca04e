"""The run's secret on disk: whoever is to attach to the router later needs it, and nobody else may read it."""

from __future__ import annotations

import os
from pathlib import Path

SECRET_FILE = "router.secret"


def write_secret(folder: Path, secret: str) -> Path:
    """Keep a secret in a folder; returns the file."""
    file = folder / SECRET_FILE
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(secret)
    return file


def read_secret(folder: Path) -> str | None:
    """The secret that was kept in a folder; None if there is none."""
    try:
        return (folder / SECRET_FILE).read_text()
    except FileNotFoundError:
        return None
