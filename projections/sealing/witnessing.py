"""Decides what a witness cosigns: only what extends everything that it has cosigned of a log before.

Requests and answers are those of https://c2sp.org/tlog-witness. This witness says more than the specification wants: of
each size of a log it cosigns one text only, the lines below the root included.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from .checkpoint import MAX_PATH, NUMBER, TreeHead, read_path
from .merkle import HASH_BYTES, empty_root, is_consistent
from .notes import Note, SealError, VerifierKey, Verify, decoded, encoded, read_note

#: Longest request that is read: a proof of `MAX_PATH` hashes and a checkpoint with some signatures.
MAX_REQUEST_BYTES = 64 * 2**10
#: The type of an answer that has nothing but the size of the log that the witness knows.
SIZE_TYPE = "text/x.tlog.size"
_OLD = re.compile(r"old (?P<size>0|[1-9][0-9]{0,17})")


class WitnessStatus(IntEnum):
    """The HTTP status of an answer to `add-checkpoint`."""

    COSIGNED = 200
    MALFORMED = 400
    #: The log has not signed the checkpoint.
    NOT_SIGNED = 403
    UNKNOWN_LOG = 404
    #: The witness knows another size than the one that the proof begins with.
    OTHER_SIZE = 409
    #: The checkpoint does not extend what the witness has cosigned.
    INCONSISTENT = 422


class WitnessRefusalError(Exception):
    """A witness does not cosign a checkpoint.

    Attributes:
        status: why.
        size: the size of the log that the witness has cosigned last; 0 if it has not.
    """

    def __init__(self, status: WitnessStatus, size: int = 0) -> None:
        super().__init__(status.name)
        self.status = status
        self.size = size


class AddCheckpoint(NamedTuple):
    """A request for a cosignature."""

    old_size: int
    #: The proof that the checkpoint extends the log of the old size.
    path: tuple[bytes, ...]
    note: Note


class LogHead(NamedTuple):
    """The size and the root in a checkpoint of any log, whatever its other lines say."""

    origin: str
    tree: TreeHead
    #: All of it.
    body: str


def write_add_checkpoint(old_size: int, path: Sequence[bytes], note: str) -> str:
    """Return the body of a request for a cosignature.

    Args:
        old_size: the size of the log that the witness has cosigned last.
        path: the proof that the log was only extended since.
        note: the signed checkpoint.
    """
    return "\n".join([f"old {old_size}", *map(encoded, path), "", note])


def read_add_checkpoint(body: bytes) -> AddCheckpoint:
    """Read the body of a request for a cosignature.

    Raises:
        WitnessRefusalError: it is none.
    """
    try:
        head, separator, note = body.decode().partition("\n\n")
        first, *path = head.split("\n")
        old = _OLD.fullmatch(first)
        if separator and old is not None and len(path) <= MAX_PATH:
            return AddCheckpoint(int(old["size"]), read_path(path), read_note(note))
    except (UnicodeDecodeError, SealError):
        pass
    raise WitnessRefusalError(WitnessStatus.MALFORMED)


def read_log_head(body: str) -> LogHead:
    """Read the body of a checkpoint of any log.

    Raises:
        WitnessRefusalError: it is none.
    """
    origin, *lines = body.split("\n")
    root = decoded(lines[1]) if len(lines) > 1 else b""
    if not origin or len(lines) < 3 or not NUMBER.fullmatch(lines[0]) or len(root) != HASH_BYTES or "" in lines[:-1]:
        raise WitnessRefusalError(WitnessStatus.MALFORMED)
    return LogHead(origin, TreeHead(int(lines[0]), root), body)


def check_extension(request: AddCheckpoint, last: LogHead | None, keys: Sequence[VerifierKey], verify: Verify) -> None:
    """Check that a checkpoint may be cosigned.

    Args:
        request: the request.
        last: the checkpoint of the log that the witness has cosigned last; None: it has cosigned none.
        keys: the keys of the log.
        verify: checks a signature.

    Raises:
        WitnessRefusalError: it may not.
    """
    head = read_log_head(request.note.body)
    message = request.note.body.encode()
    signed = [verify(key.public, message, one) for key in keys for one in request.note.by(key)]
    if not signed or not all(signed):
        raise WitnessRefusalError(WitnessStatus.NOT_SIGNED)
    known = TreeHead(0, empty_root()) if last is None else last.tree
    if request.old_size > head.tree.size:
        raise WitnessRefusalError(WitnessStatus.MALFORMED, known.size)
    if request.old_size != known.size:
        raise WitnessRefusalError(WitnessStatus.OTHER_SIZE, known.size)
    if known.size == 0 < head.tree.size:
        is_extension = not request.path
    else:
        is_extension = is_consistent(known.size, known.root, head.tree.size, head.tree.root, request.path)
    is_other_text = last is not None and known.size == head.tree.size and last.body != head.body
    if not is_extension or is_other_text:
        raise WitnessRefusalError(WitnessStatus.INCONSISTENT, known.size)
