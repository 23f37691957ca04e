"""A virtual file system in front of SQLite's own: says what SQLite does to the files of a folder, and makes it fail.

Syncs of those files are not passed on, because the disk is simulated; everything else is.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

OK, FULL, WRITE_ERROR, SYNC_ERROR = 0, 13, 778, 1034
_IS_CREATED = 0x4


class Watcher(Protocol):
    """Whoever is told what happens to files. Each method returns a result of SQLite: `OK`, or an error to report."""

    def on_create(self, path: Path) -> int:
        """A file that may not exist is opened for writing."""

    def on_write(self, path: Path, offset: int, data: bytes) -> int:
        """Bytes are about to be written."""

    def on_truncate(self, path: Path, size: int) -> int:
        """A file is about to get a size."""

    def on_sync(self, path: Path) -> int:
        """A file is about to be synced."""

    def on_delete(self, path: Path) -> int:
        """A file is about to be deleted."""


_POINTER = ctypes.c_void_p
_Open = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, _POINTER, ctypes.c_int, _POINTER)
_Delete = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_int)
_Close = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER)
_Write = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_int, ctypes.c_int64)
_Truncate = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int)


class _Methods(ctypes.Structure):
    """SQLite's `sqlite3_io_methods`."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", _POINTER),
        ("read", _POINTER),
        ("write", _POINTER),
        ("truncate", _POINTER),
        ("sync", _POINTER),
        ("others", _POINTER * 13),
    )


class _System(ctypes.Structure):
    """SQLite's `sqlite3_vfs`."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_bytes", ctypes.c_int),
        ("path_bytes", ctypes.c_int),
        ("next", _POINTER),
        ("name", ctypes.c_char_p),
        ("data", _POINTER),
        ("open", _POINTER),
        ("delete", _POINTER),
        ("others", _POINTER * 14),
    )


class _Front:
    """The file system that is registered with SQLite; it stays for the life of the process, like its callbacks.

    Attributes:
        folder: the folder that is watched.
        watcher: whoever is told about it; None: nobody.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        library.sqlite3_vfs_find.restype = _POINTER
        self.folder = Path()
        self.watcher: Watcher | None = None
        self._library = library
        self._own: int = library.sqlite3_vfs_find(None)
        system = _System.from_address(self._own)
        self._open_own, self._delete_own = _Open(system.open), _Delete(system.delete)
        self._callbacks = (
            _Open(self._open),
            _Delete(self._delete),
            _Close(self._close),
            _Write(self._write),
            _Truncate(self._truncate),
            _Sync(self._sync),
        )
        self._system = _System.from_buffer_copy(system)
        self._system.name = b"watched"
        self._system.open = ctypes.cast(self._callbacks[0], _POINTER)
        self._system.delete = ctypes.cast(self._callbacks[1], _POINTER)
        #: The files that are open: path, and SQLite's own methods.
        self._files: dict[int, tuple[Path, _Methods]] = {}
        #: Copies of SQLite's methods with our own in between, by the address of the originals.
        self._copies: dict[int, _Methods] = {}

    def be_default(self, *, is_default: bool) -> None:
        """Serve every connection that is opened from now on, or let SQLite serve them."""
        chosen = ctypes.addressof(self._system) if is_default else self._own
        assert self._library.sqlite3_vfs_register(_POINTER(chosen), 1) == OK

    def _open(self, _system: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        path = None if name is None else Path(ctypes.string_at(name).decode())
        if path is None or path.parent != self.folder:
            return int(self._open_own(self._own, name, file, flags, out))
        if flags & _IS_CREATED and self.watcher is not None and not path.exists():
            code = self.watcher.on_create(path)
            if code != OK:
                return code
        code = self._open_own(self._own, name, file, flags, out)
        methods = _POINTER.from_address(file)
        if code == OK and methods.value:
            self._files[file] = path, _Methods.from_address(methods.value)
            methods.value = ctypes.addressof(self._with_ours(methods.value))
        return int(code)

    def _with_ours(self, address: int) -> _Methods:
        if address not in self._copies:
            copy = _Methods.from_buffer_copy(_Methods.from_address(address))
            _, _, *ours = (ctypes.cast(callback, _POINTER) for callback in self._callbacks)
            copy.close, copy.write, copy.truncate, copy.sync = ours
            self._copies[address] = copy
        return self._copies[address]

    def _delete(self, _system: int, name: int, is_synced: int) -> int:
        path = Path(ctypes.string_at(name).decode())
        if self.watcher is not None and path.parent == self.folder and path.exists():
            code = self.watcher.on_delete(path)
            if code != OK:
                return code
        return int(self._delete_own(self._own, name, is_synced))

    def _close(self, file: int) -> int:
        _, own = self._files.pop(file)
        return int(_Close(own.close)(file))

    def _write(self, file: int, data: int, size: int, offset: int) -> int:
        path, own = self._files[file]
        if self.watcher is not None:
            code = self.watcher.on_write(path, offset, ctypes.string_at(data, size))
            if code != OK:
                return code
        return int(_Write(own.write)(file, data, size, offset))

    def _truncate(self, file: int, size: int) -> int:
        path, own = self._files[file]
        if self.watcher is not None:
            code = self.watcher.on_truncate(path, size)
            if code != OK:
                return code
        return int(_Truncate(own.truncate)(file, size))

    def _sync(self, file: int, _flags: int) -> int:
        return OK if self.watcher is None else self.watcher.on_sync(self._files[file][0])


@cache
def _front() -> _Front:
    """Return the file system of this process, put in front of the SQLite that Python uses."""
    module = find_spec("_sqlite3")
    assert module is not None
    return _Front(ctypes.CDLL(module.origin))


@contextmanager
def watched(folder: Path, watcher: Watcher) -> Iterator[None]:
    """Tell what the connections that are opened meanwhile do to the files of a folder."""
    front = _front()
    front.folder, front.watcher = folder, watcher
    front.be_default(is_default=True)
    try:
        yield
    finally:
        front.be_default(is_default=False)
        front.watcher = None
