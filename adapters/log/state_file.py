"""Keeps the decision state of a log in a file beside it, so that the next writer folds only the events since then.

The file is a cache. It may be deleted at any time, and what is in it is used only if the file is whole, other code did
not write it, and the log still has the event that it was made at.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from ...core.operations.logger_core import get_logger
from ...core.ports import Head
from ...core.state import state_snapshot
from ...core.state.state_snapshot import KeptState, StateSnapshot, restored
from ...events import codec
from ...projections.engine.fingerprint import source_fingerprint
from ..private_files import open_private, sync_folder

_MAGIC = b"mephisto-es state 1\n"
#: Suffix of a file that is being written.
_DRAFT = ".new"
_DIGEST_BYTES = 32
#: Bytes of the length before each part.
_LENGTH_BYTES = 4

logger = get_logger(__name__)


class Chained(Protocol):
    """A log that knows its chain."""

    def chain_at(self, seq: int) -> bytes | None:
        """Return the value of the chain at a position, or None if there is no such event."""


class _StateHeader(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The first part."""

    code: str
    seq: int
    chain: bytes


_header_decoder = msgspec.msgpack.Decoder(_StateHeader)


def state_path(log: Path) -> Path:
    """Return the path of the file that keeps a log's state."""
    return log.with_name(f"{log.name}.state")


def write_state(log: Path, head: Head, copy: StateSnapshot) -> None:
    """Replace the file of a log's state, such that a crash leaves the old one or the new one. Blocks.

    Args:
        log: the log.
        head: the position and chain of the last event in the state.
        copy: the state.

    Raises:
        OSError: it could not be written.
    """
    path = state_path(log)
    draft = path.with_name(f"{path.name}{_DRAFT}")
    digest = hashlib.sha256(_MAGIC)
    with open(draft, "wb", opener=open_private) as file:
        file.write(_MAGIC)
        header = msgspec.msgpack.encode(_StateHeader(_code(), head.seq, head.chain))
        for part in (header, *copy.parts()):
            piece = len(part).to_bytes(_LENGTH_BYTES, "big") + part
            digest.update(piece)
            file.write(piece)
        file.write(digest.digest())
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    sync_folder(path.parent)


def read_state(log: Path, chained: Chained) -> KeptState | None:
    """Return the state that is kept of a log, or None if there is none that can be relied on.

    Args:
        log: the log.
        chained: the same log, open.
    """
    try:
        content = state_path(log).read_bytes()
        return _state_in(content, chained)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.DecodeError) as error:
        logger.info("the state that was kept of the log is not used", reason=str(error))
        return None


def _state_in(content: bytes, chained: Chained) -> KeptState:
    """Decode the content of a file.

    Raises:
        ValueError: it is not to be relied on.
        msgspec.DecodeError: it is not such a file, although its digest is right.
    """
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if not body.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
        raise ValueError("the file is damaged")
    parts = _parts_in(body)
    header = _header_decoder.decode(next(parts, b""))
    if header.code != _code():
        raise ValueError("another version wrote it")
    if chained.chain_at(header.seq) != header.chain:
        raise ValueError("it belongs to another log")
    state = restored(parts)
    if sum(state.versions.values()) != header.seq:
        raise ValueError("it has more or fewer events than it says")
    return KeptState(header.seq, state)


def _parts_in(body: bytes) -> Iterator[memoryview]:
    view = memoryview(body)
    at = len(_MAGIC)
    while at < len(view):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(view[at:start], "big")
        yield view[start:at]


def _code() -> str:
    """Return a name for all code that the bytes depend on."""
    sources = (source_fingerprint(Path(str(module.__file__))) for module in (state_snapshot, codec))
    return " ".join((*sources, f"msgspec {msgspec.__version__}", str(sys.implementation.cache_tag)))
