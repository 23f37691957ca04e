"""Keeps what a witness has cosigned of each log, in one small file for each, durable before anybody is told."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path

from ...core.errors import ConfigError
from ...projections.sealing.notes import SealError, read_note
from ...projections.sealing.witnessing import LogHead, WitnessRefusalError, read_log_head
from ..private_files import PRIVATE_FILE, make_private_folder, open_private, sync_folder

_LOCK_FILE = "witness.lock"


class WitnessStore:
    """A folder with the last cosigned checkpoint of each log. One process at a time may have it open."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; make it if there is none.

        Raises:
            ConfigError: another process has it, or it cannot be written to.
        """
        self._folder = folder
        try:
            make_private_folder(folder)
            self._lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written to: {error.strerror}", key="folder") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise ConfigError(f"another witness is using {folder}", key="folder", hint="Stop it first") from error

    def close(self) -> None:
        """Let another process open the folder."""
        os.close(self._lock)

    def note(self, origin_hash: str) -> str | None:
        """Return the last cosigned checkpoint of a log; None: there is none.

        Args:
            origin_hash: the SHA-256 of the log's name, in hex.

        Raises:
            ConfigError: it cannot be read.
        """
        path = self._path(origin_hash)
        try:
            return path.read_text(encoding="utf-8") if path.exists() else None
        except (OSError, UnicodeDecodeError) as error:
            raise _damaged(path) from error

    def last(self, origin: str) -> LogHead | None:
        """Return what was cosigned last of a log; None: nothing was.

        Raises:
            ConfigError: it cannot be read. A witness that forgets would cosign a fork.
        """
        found = hash_of(origin)
        note = self.note(found)
        if note is None:
            return None
        try:
            head = read_log_head(read_note(note).body)
        except (SealError, WitnessRefusalError) as error:
            raise _damaged(self._path(found)) from error
        if head.origin != origin:
            raise _damaged(self._path(found))
        return head

    def keep(self, origin: str, note: str) -> None:
        """Keep a cosigned checkpoint; returns once it is on disk.

        Raises:
            OSError: it could not be kept.
        """
        path = self._path(hash_of(origin))
        draft = path.with_suffix(".new")
        with open(draft, "w", opener=open_private, encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        sync_folder(self._folder)

    def _path(self, origin_hash: str) -> Path:
        return self._folder / f"{origin_hash}.checkpoint"


def hash_of(origin: str) -> str:
    """Return the hash by which a witness names a log."""
    return hashlib.sha256(origin.encode()).hexdigest()


def _damaged(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} is damaged, so the witness does not know what it has cosigned",
        key="folder",
        hint="Restore the file from a backup; without it, start a witness with a new folder, key and name",
    )
