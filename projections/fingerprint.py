"""A name for the code of all projections: another fingerprint means tables that have to be built anew."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def code_fingerprint() -> str:
    """Hex digest over the source of this package.

    Coarser than need be, so that no change in a shared helper is missed; building anew costs seconds.
    """
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for source in sorted(folder.rglob("*.py")):
        digest.update(f"{source.relative_to(folder).as_posix()}\0".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]
