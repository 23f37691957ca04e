"""Keeps the run's secret on disk, readable by its owner only, for an operator that attaches to the router later."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ....core.errors import ConfigError

SECRET_FILE = "router.secret"
#: A shorter secret might be guessed.
MIN_LENGTH = 16
SECRET_FILE_KEY = "mephisto.architect.secret_file"


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


def read_private_secret(path: Path) -> str:
    """Return the secret that somebody has put into a file.

    Raises:
        ConfigError: the file cannot be read, others may read it too, or the secret is too short.
    """
    try:
        mode, secret = path.stat().st_mode, path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the router's secret cannot be read from {path}",
            key=SECRET_FILE_KEY,
            hint="Copy the file that `mephisto-es router serve --secret-file FILE` has written on the router's machine",
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"others may read {path}, which has the router's secret", key=SECRET_FILE_KEY, hint=f"chmod 600 {path}"
        )
    if len(secret) < MIN_LENGTH:
        raise ConfigError(
            f"the secret in {path} has fewer than {MIN_LENGTH} characters",
            key=SECRET_FILE_KEY,
            hint="Delete the file; `mephisto-es router serve` writes a new one",
        )
    return secret
