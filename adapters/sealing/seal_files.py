"""Names and reads the files of seals, and holds the public keys to check them with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ...core.errors import ConfigError
from ...projections.sealing.notes import MAX_TEXT_BYTES

#: The key beside a log.
KEY_FILE = "seal.key"


class PublicKeys(NamedTuple):
    """Public keys, as text, that a verifier has from elsewhere."""

    #: The key of the log.
    log: str
    #: Those of witnesses who must have cosigned.
    witnesses: tuple[str, ...] = ()


def read_text(path: Path) -> str:
    """Read a seal, a proof or a receipt.

    Args:
        path: the file, which may come from a stranger: no more of it is read than a seal can have.

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
