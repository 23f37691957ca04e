"""Keeps the page of the run that an operator on another machine serves through this router.

The operator sends each file once, under the hash of its content. A page is put together aside and takes the place of
the one before as a whole. The router belongs to a run from the first word about its page until it is released.
"""

import os
import re
import shutil
from collections.abc import Collection
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from ..errors import RefusalError, StartError
from ..journal.journal_file import sync_directory

#: What workers read while the router serves no run.
CLOSED_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>No task</title>"
    "<p>There is no task here at the moment. If you have submitted your work, it has arrived.</p></html>\n"
)

#: Files of a page, at most.
MAX_FILES = 20_000
MAX_PATH_LENGTH = 500

_CURRENT = "current"
_CLOSED = "closed"
_FILES = "files"
_RUN = "run.json"
_UNFINISHED = ".part"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Owner(msgspec.Struct):
    run: str


class RunPage:
    """The page, and the run that it belongs to. Its methods block.

    Args:
        folder: where it is kept; None if the router was started with a page of its own, which no operator changes.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._run = None if folder is None else self._open(folder)

    @property
    def run(self) -> str | None:
        """The run that the router belongs to."""
        return self._run

    @property
    def directory(self) -> str:
        """The directory from which the page is served."""
        return "" if self._folder is None else str(self._folder / _CURRENT)

    @property
    def state(self) -> str:
        """A word for whose page the router has: its own, that of a run, or none."""
        if self._folder is None:
            return "own"
        return "none" if self._run is None else "of a run"

    def admits(self, run: str | None) -> bool:
        """Return whether an operator may attach that says which run is its own."""
        return self._folder is None or (run is not None and run == self._run)

    def claim(self, run: str, files: dict[str, str]) -> list[str]:
        """Let the router belong to a run, and serve its page as soon as all files are here.

        Args:
            run: names the run.
            files: the hash of each file, by its path in the page.

        Returns:
            The hashes of the files that have yet to be sent.

        Raises:
            RefusalError: the router belongs to another run, or a path or hash is none.
            OSError: files cannot be written.
        """
        folder = self._check(run)
        if len(files) > MAX_FILES or not all(map(_is_path, files)) or not all(map(_DIGEST.fullmatch, files.values())):
            raise RefusalError(400, "These are not the files of a page.")
        if self._run is None:
            _write_durably(folder / _RUN, msgspec.json.encode(_Owner(run)))
            self._run = run
        page = folder / sha256(msgspec.json.encode(files, order="sorted")).hexdigest()
        if page.name != os.readlink(folder / _CURRENT):
            missing = {digest for digest in files.values() if not (folder / _FILES / digest).is_file()}
            if missing:
                return sorted(missing)
            self._assemble(folder, page, files)
        return []

    def file(self, digest: str) -> Path:
        """Return where a file of the page is kept that has this hash.

        Raises:
            RefusalError: it is no hash, or no run has claimed the router.
        """
        folder = self._check(self._run or "")
        if self._run is None or not _DIGEST.fullmatch(digest):
            raise RefusalError(404, "There is no such file.")
        return folder / _FILES / digest

    def release(self, run: str) -> None:
        """Let the router belong to nobody, and serve a page that says so.

        Raises:
            RefusalError: it belongs to another run.
            OSError: files cannot be written.
        """
        folder = self._check(run)
        _point(folder, _CLOSED)
        (folder / _RUN).unlink(missing_ok=True)
        sync_directory(folder)
        self._run = None
        _tidy(folder, _CLOSED)

    def _check(self, run: str) -> Path:
        if self._folder is None:
            raise RefusalError(409, "This router was started with a page of its own and takes no other.")
        if self._run not in (None, run):
            raise RefusalError(409, "This router serves another run. End that run first, or use another router.")
        return self._folder

    @staticmethod
    def _open(folder: Path) -> str | None:
        """Prepare the folder; return the run that an earlier process belonged to.

        Raises:
            StartError: the folder cannot be used.
        """
        try:
            (folder / _CLOSED).mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / _FILES).mkdir(mode=0o700, exist_ok=True)
            (folder / _CLOSED / "index.html").write_text(CLOSED_PAGE)
            if not (folder / _CURRENT).is_dir():
                _point(folder, _CLOSED)
            return msgspec.json.decode((folder / _RUN).read_bytes(), type=_Owner).run
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise StartError(f"The folder {folder} cannot be used: {type(error).__name__}.") from error

    @staticmethod
    def _assemble(folder: Path, page: Path, files: dict[str, str]) -> None:
        """Put a page together from its files, and serve it."""
        draft = page.with_name(page.name + _UNFINISHED)
        shutil.rmtree(draft, ignore_errors=True)
        for path, digest in files.items():
            (draft / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _link(folder / _FILES / digest, draft / path)
        shutil.rmtree(page, ignore_errors=True)
        draft.rename(page)
        _point(folder, page.name)
        _tidy(folder, page.name, set(files.values()))


def _is_path(path: str) -> bool:
    """Return whether a text is the path of a file below a folder."""
    has_odd = "\\" in path or "\0" in path or len(path) > MAX_PATH_LENGTH
    return not has_odd and all(part not in {"", ".", ".."} for part in path.split("/"))


def _link(source: Path, target: Path) -> None:
    """Give a file one more name; copy it where a file has only one."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _point(folder: Path, target: str) -> None:
    """Serve another folder from now on."""
    draft = folder / (_CURRENT + _UNFINISHED)
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(folder / _CURRENT)
    sync_directory(folder)


def _tidy(folder: Path, kept: str, files: Collection[str] = ()) -> None:
    """Remove pages that are not served any more, and files that the one served does not have."""
    for path in folder.iterdir():
        if path.name not in {kept, _CLOSED, _CURRENT, _FILES, _RUN}:
            shutil.rmtree(path, ignore_errors=True)
    for path in (folder / _FILES).iterdir():
        if path.name not in files:
            with suppress(OSError):
                path.unlink()


def _write_durably(path: Path, content: bytes) -> None:
    draft = path.with_name(path.name + _UNFINISHED)
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)
