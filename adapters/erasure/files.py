"""Erases the traces of a worker in the files next to the log: uploads, and packets in routers' journals."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...core.errors import CommandRefusedError
from ..architects.local import DATA_FOLDER
from ..architects.router.python.errors import DamagedJournalError
from ..architects.router.python.journal.journal_contents import (
    JournalContents,
    agent_line,
    header_line,
    packet_line,
    read_contents,
)
from ..architects.router.python.journal.journal_file import JournalFile
from ..log.anchor import anchor_path
from ..log.sqlite.file_identity import wal_paths
from ..log.sqlite.writer_lock import lock_path
from ..log.state_file import state_path
from .unfinished import mark_path

_JOURNALS = "journal-*.jsonl*"
#: Shorter names and words stand in many files by chance.
SHORTEST_WORD_BYTES = 4
_SQLITE = b"SQLite format 3\0"


class Traces(msgspec.Struct, frozen=True):
    """Values by which a worker's traces are found in files."""

    #: Empty if it was erased before.
    name: str
    #: The unguessable ids of the worker's agents.
    tokens: frozenset[str]
    #: Our names of the files that the worker uploaded.
    uploads: frozenset[str]
    #: What the worker sent, as the log had it.
    bodies: tuple[bytes, ...]


class RouterFolder(NamedTuple):
    """The folder in which a run's server keeps what workers send."""

    path: Path
    #: True if the server runs, so that its journal can only be read.
    is_in_use: bool


@contextmanager
def router_folder(run_folder: Path) -> Iterator[RouterFolder | None]:
    """Return the folder of a run's server; no server starts to use it meanwhile. None if there is none."""
    folder = run_folder / DATA_FOLDER
    if not folder.is_dir():
        yield None
        return
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_in_use = False
        except BlockingIOError:
            is_in_use = True
        yield RouterFolder(folder, is_in_use)
    finally:
        os.close(fd)


def delete_uploads(run_folder: Path, traces: Traces) -> list[Path]:
    """Delete the files that a worker uploaded, also copies that were fetched into the run's folder under that name."""
    found = [path for path in sorted(run_folder.rglob("*")) if path.name in traces.uploads and path.is_file()]
    for path in found:
        path.unlink()
    return found


def clear_journals(folder: RouterFolder, traces: Traces, *, over: bool) -> list[Path]:
    """Remove from a router's journal what the log has, and with it what the worker sent.

    The journal of a server that runs is only checked.

    Args:
        folder: the router's folder.
        traces: the worker's traces.
        over: True if the run is over for good, so that nobody needs the journal.

    Returns:
        The journals of a server that runs that have something of the worker.

    Raises:
        CommandRefusedError: the journal has packets of the worker that no operator has taken, or cannot be read.
    """
    kept: list[Path] = []
    for path in sorted(folder.path.glob(_JOURNALS)):
        if folder.is_in_use:
            _check_taken(path, _read(path), traces)
            if _names_worker(path, traces):
                kept.append(path)
            continue
        if over or path.suffix != ".jsonl":
            path.unlink()
            continue
        contents = _read(path)
        _check_taken(path, contents, traces)
        JournalFile.create(path, b"".join(_lines(contents)))
    return kept


def _check_taken(path: Path, contents: JournalContents, traces: Traces) -> None:
    """Check that an operator has taken everything that a worker sent.

    Raises:
        CommandRefusedError: it has not.
    """
    if any(_is_about(packet, traces) for _, packet in contents.outbox.entries_from(0, inf)):
        raise CommandRefusedError(
            f"{path} has packets of this worker that no operator has taken; resume the run and let it end"
        )


def _names_worker(path: Path, traces: Traces) -> bool:
    """Return True if a journal has the worker's name or agents, also packets that an operator has taken.

    Once the worker was erased, the name is not known any more: any journal that has packets may have it.
    """
    content = path.read_bytes()
    if not traces.name:
        return bool(content)
    texts = (traces.name, *traces.tokens)
    quoted = {form for text in texts for form in (json.dumps(text).encode(), msgspec.json.encode(text))}
    return any(form in content for form in quoted)


def _read(path: Path) -> JournalContents:
    try:
        with path.open("rb") as lines:
            return read_contents(lines)
    except DamagedJournalError as error:
        raise CommandRefusedError(f"{path} cannot be read: {error}; restore it from a copy, or delete it") from error


def _lines(contents: JournalContents) -> Iterator[bytes]:
    """A journal with what was not acknowledged, and nothing else."""
    waiting = contents.outbox.entries_from(0, inf)
    yield header_line(contents.incarnation, waiting[0].seq if waiting else contents.outbox.next_seq)
    yield from (agent_line(agent, status) for agent, status in contents.agents.items())
    yield from (packet_line(*entry) for entry in waiting)


def _is_about(packet: bytes, traces: Traces) -> bool:
    """Return True if a packet names a worker or one of their agents."""
    strings = set(_strings(msgspec.json.decode(packet)))
    return (traces.name and traces.name in strings) or not traces.tokens.isdisjoint(strings)


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for part in value.values():
                yield from _strings(part)
        case list():
            for part in value:
                yield from _strings(part)


def files_with_traces(database: Path, traces: Traces) -> list[Path]:
    """Files below the folder of a log in which a worker's name or words still stand; its own are not looked at."""
    own = {database, lock_path(database), anchor_path(database), state_path(database)}
    own |= {*wal_paths(database), mark_path(database)}
    words = _words(traces)
    if not words:
        return []
    files = (path for path in sorted(database.parent.rglob("*")) if path.is_file() and path not in own)
    return [path for path in files if path.stat().st_size and _holds(path, words)]


def _words(traces: Traces) -> list[bytes]:
    """The name, and all that was sent, as files may have them: as it is, or as JSON has it."""
    escaped = json.dumps(traces.name)[1:-1].encode()  # `\u00eb` for `ë`, as many programs write JSON
    compact = [text for body in traces.bodies if (text := _compact(body)) is not None]
    words = {traces.name.encode(), escaped, *traces.bodies, *compact}
    return sorted(word for word in words if len(word) >= SHORTEST_WORD_BYTES)


def _compact(body: bytes) -> bytes | None:
    """JSON without spaces, as our exports write it; None: it is no JSON."""
    try:
        return msgspec.json.encode(msgspec.json.decode(body))
    except msgspec.DecodeError:
        return None


def _holds(path: Path, words: Sequence[bytes]) -> bool:
    """Return True if a file contains a word; in a text only as a whole word: `Grace` is not in `Graceful`."""
    either = b"|".join(map(re.escape, words))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        pattern = (
            either if content[: len(_SQLITE)] == _SQLITE else rb"(?<![0-9A-Za-z_])(?:" + either + rb")(?![0-9A-Za-z_])"
        )
        return re.search(pattern, content) is not None
