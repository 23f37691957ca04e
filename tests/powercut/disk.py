"""Builds the states in which a power cut may leave a disk, from a record of what programs did to it.

What was synced before the cut is there. Of the rest, any part may be: writes in any order, torn at sectors, the size of
a file without its content, names of files or not. A rename is one step: the old state or the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random
from typing import TypeVar

from .trace import Call, descriptor, strings

#: What a disk writes at once.
SECTOR_BYTES = 512
#: Files that are written through memory, which no record shows; SQLite makes them anew.
MAPPED = "-shm"


class Survival(Enum):
    """How much of what was not synced survives a power cut."""

    NOTHING = "nothing"
    EVERYTHING = "everything"
    #: The first changes, in order; the last of them may be torn.
    BEGINNING = "beginning"
    #: Some changes, in no order, each of which may be torn.
    SOME = "some"
    #: All changes, but one sector of each file is missing: nothing but its content tells.
    HOLES = "holes"


@dataclass
class Change:
    """A change of a file's content: bytes written at an offset, or a new size."""

    offset: int
    #: None: the file gets the offset as its size.
    data: bytes | None
    #: Line of the record on which the call returned.
    ended: int
    is_synced: bool = False
    #: True after a sync that failed: the kernel takes the pages for written, and no later sync writes them.
    is_dropped: bool = False


@dataclass
class File:
    """A file, by whatever name."""

    changes: list[Change] = field(default_factory=list)
    size: int = 0
    #: The content before the changes, which is on the disk.
    synced: bytes = b""

    def content(self, survives: Iterable[Change]) -> bytes:
        """Return the content after some of the changes."""
        content = bytearray(self.synced)
        for change in survives:
            end = change.offset + len(change.data or b"")
            if len(content) < end:
                content.extend(bytes(end - len(content)))
            if change.data is None:
                del content[change.offset :]
            else:
                content[change.offset : end] = change.data
        return bytes(content)


@dataclass
class Naming:
    """A change of names in a folder: some appear, some are gone."""

    folder: Path
    appear: dict[Path, File]
    vanish: tuple[Path, ...]
    ended: int
    is_synced: bool = False


C = TypeVar("C", Change, Naming)


class Disk:
    """A folder on a disk, as a record of calls says that it is.

    Args:
        folder: the folder, which was empty at first.
        forgets: tells the files whose content the disk claims to have synced, and has not.
    """

    def __init__(self, folder: Path, forgets: Callable[[Path], bool] = lambda _: False) -> None:
        self._folder = folder
        self._forgets = forgets
        self._live: dict[Path, File] = {}
        self._namings: list[Naming] = []

    def apply(self, call: Call) -> None:
        """Apply a call that has returned."""
        if call.result < 0:
            return
        match call.name:
            case "openat":
                self._open(call)
            case "write" | "writev" | "pwrite64" | "pwritev":
                self._write(call)
            case "ftruncate":
                self.change(self._target(call), Change(int(call.arguments.rpartition(",")[2]), None, call.ended))
            case "fsync" | "fdatasync":
                self._sync(call)
            case "rename" | "renameat" | "renameat2":
                self._rename(call)
            case "unlink" | "unlinkat":
                path = self._path(call, strings(call.arguments.partition(",")[2] or call.arguments)[-1])
                self.name(Naming(path.parent, {}, (path,), call.ended))

    def keep(self, path: Path, content: bytes) -> None:
        """Have a file, with its name and content on the disk."""
        self.name(Naming(path.parent, {path: File([], len(content), content)}, (), 0, is_synced=True))

    def sync(self, path: Path, before: int) -> None:
        """Put a file's content, or a folder's names, on the disk, as far as changed before a line of the record."""
        done: Sequence[Change | Naming] = [naming for naming in self._namings if naming.folder == path]
        for one in self._live[path].changes if path in self._live else done:
            if isinstance(one, Change) and one.is_dropped:
                continue
            # What began to be written while the sync was under way may not be covered.
            one.is_synced = one.is_synced or one.ended < before
        if path in self._live and all(change.is_synced for change in self._live[path].changes):
            file = self._live[path]
            file.synced, file.changes = file.content(file.changes), []

    def fail_sync(self, path: Path) -> int:
        """Fail to put a file's content on the disk; return how many changes no later sync writes."""
        dropped = [one for one in self._live[path].changes if not (one.is_synced or one.is_dropped)]
        for one in dropped:
            one.is_dropped = True
        return len(dropped)

    def evict(self) -> bool:
        """Read files from the disk again: dropped changes are gone; return whether there were any."""
        files = list(self._live.values())
        has_dropped = any(change.is_dropped for file in files for change in file.changes)
        for file in files:
            file.changes = [change for change in file.changes if not change.is_dropped]
        return has_dropped

    def change(self, path: Path, change: Change) -> None:
        """Change the content of a file, if there is one of that name."""
        if (file := self._live.get(path)) is not None:
            self._add(file, change)

    def name(self, naming: Naming) -> None:
        """Change names in a folder."""
        if not naming.folder.is_relative_to(self._folder):
            return
        self._namings.append(naming)
        for path in naming.vanish:
            self._live.pop(path, None)
        self._live.update(naming.appear)

    def cut(self, random: Random, survival: Survival, target: Path) -> None:
        """Write what a power cut now may leave into an empty folder."""
        names: dict[Path, File] = {}
        for naming in surviving(random, survival, self._namings):
            for path in naming.vanish:
                names.pop(path, None)
            names.update(naming.appear)
        for path, file in names.items():
            copy = target / path.relative_to(self._folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            changes = surviving(random, survival, file.changes)
            copy.write_bytes(file.content(torn(random, survival, changes)))

    def _open(self, call: Call) -> None:
        path = Path(call.opened)
        if not path.is_relative_to(self._folder) or path.name.endswith(MAPPED):
            return
        if path not in self._live and "O_CREAT" in call.arguments:
            file = File()
            self.name(Naming(path.parent, {path: file}, (), call.ended))
        elif path in self._live and "O_TRUNC" in call.arguments and self._live[path].size:
            self._add(self._live[path], Change(0, None, call.ended))

    def _write(self, call: Call) -> None:
        path = self._target(call)
        if path in self._live:
            data = b"".join(strings(call.arguments))[: call.result]
            is_placed = call.name.startswith("p")
            offset = int(call.arguments.rpartition(",")[2]) if is_placed else self._live[path].size
            self.change(path, Change(offset, data, call.ended))

    def _add(self, file: File, change: Change) -> None:
        file.changes.append(change)
        end = change.offset + len(change.data or b"")
        file.size = change.offset if change.data is None else max(file.size, end)

    def _sync(self, call: Call) -> None:
        path = Path(descriptor(call.arguments)[1])
        if not self._forgets(path):
            self.sync(path, call.began)

    def _rename(self, call: Call) -> None:
        names = strings(call.arguments)
        old, new = (self._path(call, name) for name in names[-2:])
        if old in self._live:
            self.name(Naming(new.parent, {new: self._live[old]}, (old,), call.ended))

    def _target(self, call: Call) -> Path:
        return Path(descriptor(call.arguments)[1])

    def _path(self, call: Call, name: bytes) -> Path:
        directory = descriptor(call.arguments)[1] if "AT_FDCWD" in call.arguments else ""
        return Path(directory or ".") / name.decode()


def surviving(random: Random, survival: Survival, changes: Sequence[C]) -> Iterator[C]:
    """Yield the changes that survive, in order: all that are synced, and of the others what is left."""
    unsynced = sum(not change.is_synced for change in changes)
    beginning = random.randint(0, unsynced)
    number = 0
    for change in changes:
        if not change.is_synced:
            number += 1
            is_left = {
                Survival.NOTHING: False,
                Survival.EVERYTHING: True,
                Survival.HOLES: True,
                Survival.BEGINNING: number <= beginning,
                Survival.SOME: random.random() < 0.5,
            }[survival]
            if not is_left:
                continue
        yield change


def torn(random: Random, survival: Survival, changes: Iterable[Change]) -> Iterator[Change]:
    """Yield changes of one file, of which those that were not synced may have reached the disk in part."""
    if survival is Survival.HOLES:
        yield from _with_a_hole(random, tuple(changes))
        return
    for change in changes:
        if change.is_synced or not change.data or survival in (Survival.NOTHING, Survival.EVERYTHING):
            yield change
        elif survival is Survival.BEGINNING:
            end = random.choice((len(change.data), random.randint(0, len(change.data))))
            yield Change(change.offset, change.data[:end], change.ended)
        else:
            missing = [sector for sector in _sectors(change) if random.random() < 0.5] if random.random() < 0.5 else []
            yield Change(change.offset, _without(change, missing), change.ended)


def _with_a_hole(random: Random, changes: Sequence[Change]) -> Iterator[Change]:
    """Yield changes of one file; a sector of those that were not synced is missing."""
    sectors = [
        (change, sector) for change in changes if not change.is_synced and change.data for sector in _sectors(change)
    ]
    torn_one, missing = random.choice(sectors) if sectors else (None, 0)
    for change in changes:
        if change is torn_one:
            yield Change(change.offset, _without(change, [missing]), change.ended)
        else:
            yield change


def _sectors(change: Change) -> range:
    """Return the sectors that a write touches."""
    end = change.offset + len(change.data or b"")
    return range(change.offset // SECTOR_BYTES, (end - 1) // SECTOR_BYTES + 1)


def _without(change: Change, missing: Iterable[int]) -> bytes:
    """Return the data of a write of which some sectors are missing: the file has its size, but zeros there."""
    data = bytearray(change.data or b"")
    for sector in missing:
        begin = max(0, sector * SECTOR_BYTES - change.offset)
        end = min(len(data), (sector + 1) * SECTOR_BYTES - change.offset)
        data[begin:end] = bytes(end - begin)
    return bytes(data)
