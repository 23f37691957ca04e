"""Copies the files of a task's page to the folder that the server serves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ...core.errors import ConfigError
from .page_checks import check_page

HERE = Path(__file__).parent
#: Scripts for pages that are built without npm; they are served beside every page.
CLIENT = HERE / "page"
#: The shell around a bundle of scripts.
BUNDLE_PAGE = HERE / "bundle_page"
BUNDLE_FILE = "bundle.js"
#: Patterns of names in a page's folder that are not part of the page.
NOT_SERVED = ("node_modules", ".*")

#: Where the server has the files of the media folder.
MEDIA_FOLDER = "media"
MEDIA_KEY = "mephisto.blueprint.media_dir"
#: What the folders are for that settings name.
_FILES = {"media_dir": "the media", "extra_source_dir": "the files that the page refers to"}


def put_page(task_source: str, static_dir: Path, *, link: bool = False) -> None:
    """Copy a page, and the client's scripts, to the folder that is served from `/`.

    Args:
        task_source: as for `check_page`.
        static_dir: the folder.
        link: True to serve the bundle itself and not a copy, so that a build that writes into the file is served.

    Raises:
        ConfigError: the page is missing or unusable.
    """
    check_page(task_source, CLIENT)
    source = Path(task_source).expanduser()
    put_folder(CLIENT, static_dir)
    if source.is_dir():
        put_folder(source, static_dir)
    else:
        put_folder(BUNDLE_PAGE, static_dir)
        served = static_dir / BUNDLE_FILE
        # A link from an earlier launch must not be written through.
        served.unlink(missing_ok=True)
        (_link_or_copy if link else shutil.copyfile)(str(source), str(served))


def put_folder(source: Path, static_dir: Path) -> None:
    """Copy a folder's files to the folder that is served from `/`."""
    shutil.copytree(source, static_dir, ignore=shutil.ignore_patterns(*NOT_SERVED), dirs_exist_ok=True)


def check_folder(setting: str, path: str | None) -> Path | None:
    """Return the folder of files that a setting of a blueprint names; None if it is not set.

    Raises:
        ConfigError: there is no such folder.
    """
    if path is None:
        return None
    folder = Path(path).expanduser()
    if not folder.is_dir():
        key, files = f"mephisto.blueprint.{setting}", _FILES[setting]
        raise ConfigError(f"there is no folder {folder}", key=key, hint=f"Set {key} to the folder of {files}")
    return folder


def put_media(media_dir: Path, static_dir: Path) -> None:
    """Link, or else copy, a folder of media to where the page looks for them.

    Links take no space on the disk, which matters for videos; between two disks there are none.
    """
    ignored = shutil.ignore_patterns(*NOT_SERVED)
    shutil.copytree(
        media_dir, static_dir / MEDIA_FOLDER, ignore=ignored, copy_function=_link_or_copy, dirs_exist_ok=True
    )


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
