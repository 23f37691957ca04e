"""A task's page: where its files come from, and how they get to where the server takes them from."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...core.errors import ConfigError

HERE = Path(__file__).parent
#: The scripts of a page that is built without npm; they are there for every page.
CLIENT = HERE / "page"
#: The shell around a bundle of scripts.
BUNDLE_PAGE = HERE / "bundle_page"
START_FILE = "index.html"
BUNDLE_FILE = "bundle.js"
#: What lies in a page's folder but is not part of the page.
NOT_SERVED = ("node_modules", ".*")

KEY = "mephisto.blueprint.task_source"


def check_page(task_source: str) -> None:
    """See whether there is a page.

    Args:
        task_source: a folder with an `index.html`, or a bundle of scripts.

    Raises:
        ConfigError: there is neither.
    """
    source = Path(task_source).expanduser()
    if source.is_dir() and not (source / START_FILE).is_file():
        raise ConfigError(
            f"the page's folder {source} has no {START_FILE}", key=KEY, hint=f"Set {KEY} to the folder of a built page"
        )
    if not source.exists():
        raise ConfigError(
            f"there is no page at {source}",
            key=KEY,
            hint=f"Build it first, or set {KEY} to a folder with an {START_FILE} or to a bundle of scripts",
        )


def put_page(task_source: str, static_dir: Path) -> None:
    """Copy a page, and the client's scripts, to where the server takes them from.

    Args:
        task_source: as for `check_page`.
        static_dir: the folder that is served from `/`.

    Raises:
        ConfigError: the page is not there (any more).
    """
    check_page(task_source)
    source = Path(task_source).expanduser()
    put_folder(CLIENT, static_dir)
    if source.is_dir():
        put_folder(source, static_dir)
    else:
        put_folder(BUNDLE_PAGE, static_dir)
        shutil.copyfile(source, static_dir / BUNDLE_FILE)


def put_folder(source: Path, static_dir: Path) -> None:
    """Copy a folder's files to where the server takes them from."""
    shutil.copytree(source, static_dir, ignore=shutil.ignore_patterns(*NOT_SERVED), dirs_exist_ok=True)
