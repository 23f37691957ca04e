"""Format of the control socket: one JSON object a line; answers carry the id of their request, in any order."""

from __future__ import annotations

import getpass
import hashlib
import os
import tempfile
from pathlib import Path

import msgspec

from ...core.errors import CommandRefusedError, ConfigError, LogError, MephistoError, OutcomeUnknownError
from ...core.operations.control.requests import AnyRequest, Reply, Request

#: Bytes that a line may have: notes, reasons, and items of data that a run is given in addition.
MAX_LINE_BYTES = 16 * 1024 * 1024
#: Bytes that the path of a Unix socket may have on every system.
MAX_PATH_BYTES = 100
#: Characters that an author's name may have.
MAX_AUTHOR_CHARACTERS = 64


class YieldRequest(Request, frozen=True, kw_only=True, tag="yield"):
    """Ask a process that merely keeps the log open to close it, because an operator is about to start."""


class ControlMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request on its way to the process that has the log open for writing."""

    #: Chosen by the client; the answer carries it.
    id: int
    #: Author of the request, as the log records it.
    author: str
    #: Idempotency key.
    key: str
    request: AnyRequest | YieldRequest


class ControlAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of a request: a reply, or the kind and text of an error."""

    id: int
    reply: Reply | None = None
    error: str | None = None
    text: str = ""


#: Errors that travel by name. Any other one of ours travels as a `LogError`: its outcome is not known to the client.
_ERRORS: dict[str, type[MephistoError]] = {
    "refused": CommandRefusedError,
    "unknown": OutcomeUnknownError,
    "config": ConfigError,
    "log": LogError,
}


def answer_of_error(message_id: int, error: MephistoError) -> ControlAnswer:
    """Return the answer that carries an error."""
    name = next((name for name, kind in _ERRORS.items() if isinstance(error, kind)), "log")
    return ControlAnswer(id=message_id, error=name, text=str(error))


def error_of_answer(answer: ControlAnswer) -> MephistoError:
    """Return the error that an answer carries."""
    return _ERRORS.get(answer.error or "", LogError)(answer.text)


def socket_path(database: Path) -> Path:
    """Return the path of the control socket of a log: next to it, or in the temporary folder if that is too long."""
    path = database.absolute().with_name(f"{database.name}.sock")
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"mephisto-es-{os.getuid()}-{digest}.sock"


def author_of(name: str | None = None) -> str:
    """Return the author of a person's requests, as the log records it: `user/ann`.

    Args:
        name: the person's name; the login name, unless given.

    Raises:
        ConfigError: the name is empty, too long, or has characters that are not printable.
    """
    text = (getpass.getuser() if name is None else name).strip()
    if not text or len(text) > MAX_AUTHOR_CHARACTERS or not text.isprintable():
        raise ConfigError(
            f"an author's name has 1 to {MAX_AUTHOR_CHARACTERS} printable characters", hint="Give another one with --as"
        )
    return f"user/{text}"
