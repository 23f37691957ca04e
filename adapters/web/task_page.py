"""Finds the page in which a task's work is shown to reviewers, and the files that this page loads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from ...core.payloads import RUNS_FOLDER
from ...events.ids import TaskRunId
from ..blueprints.html.html_page import AROUND, TASK_FILE, is_html_task
from ..blueprints.page_files import CLIENT, MEDIA_FOLDER
from ..blueprints.stock_page import STOCK_PAGE

#: The scripts that show work in the pages of static tasks.
REVIEW_SCRIPTS = Path(__file__).parent / "review_page"
#: The name under which a page loads the bundle that shows work.
REVIEW_BUNDLE = "review_bundle.js"
#: Types of tasks that have the stock page if they name no other.
_STOCK_TYPES = frozenset({"static_task", "static_react_task"})
#: Settings of the stock page that say what it shows.
_STOCK_SETTINGS = ("instructions", "show", "form")
#: The folder of a run with what its server serves.
_SERVED = "static"
#: The largest HTML file that is shown.
MAX_HTML_BYTES = 2**21


class PageKind(Enum):
    """The kinds of pages that show work."""

    #: The project's own page, from the description of its form.
    STOCK = "stock"
    #: An HTML file with `${fields}`.
    HTML = "html"
    #: A bundle of scripts that is sent the work, as Mephisto's review app does it.
    BUNDLE = "bundle"


class TaskPage(NamedTuple):
    """The page that shows the work of one run."""

    kind: PageKind
    #: The HTML file or the bundle; None for the stock page.
    source: Path | None
    #: Folders in which its files are looked for, in this order.
    folders: tuple[Path, ...]
    #: The folder of the task's media.
    media: Path | None
    #: What the scripts of the page need to know of the task.
    facts: Mapping[str, object]

    def file(self, path: str) -> Path | None:
        """Return a file that the page loads; None if there is none. Nothing outside the folders is ever returned."""
        if self.kind is PageKind.BUNDLE and path == REVIEW_BUNDLE:
            return self.source
        first, _, rest = path.partition("/")
        if first == MEDIA_FOLDER and self.media is not None:
            found = _inside(self.media, rest)
            if found is not None:
                return found
        return next((file for folder in self.folders if (file := _inside(folder, path))), None)


def task_page(task_type: str, title: str, init_params: str, run_folder: Path) -> TaskPage | None:
    """Return the page that shows the work of a run; None if the task has none, or it is not on this machine.

    Args:
        task_type: the type of the run's blueprint.
        title: the name of the task.
        init_params: the configuration as JSON.
        run_folder: the folder of the run.
    """
    settings = msgspec.json.decode(init_params)
    blueprint = settings.get("blueprint") if isinstance(settings, dict) else None
    if not isinstance(blueprint, dict):
        return None
    extra, media = _folder(blueprint.get("extra_source_dir")), _folder(blueprint.get("media_dir"))
    own = tuple(folder for folder in (run_folder / _SERVED, extra) if folder is not None)
    task = settings.get("task")
    heading = (task.get("task_title") if isinstance(task, dict) else None) or title
    review, source = blueprint.get("task_source_review"), blueprint.get("task_source")
    if isinstance(review, str) and not is_html_task(review):
        bundle = Path(review).expanduser()
        return TaskPage(PageKind.BUNDLE, bundle, own, media, {"title": heading}) if bundle.is_file() else None
    html = next((one for one in (review, source) if isinstance(one, str) and is_html_task(one)), None)
    if html is not None:
        files = [Path(html).expanduser()] if html == review else [run_folder / _SERVED / TASK_FILE, Path(html)]
        file = next((one for one in files if one.is_file()), None)
        facts = {"title": heading, "html_fields": blueprint.get("html_fields") or []}
        folders = (REVIEW_SCRIPTS, AROUND, CLIENT, *own)
        return None if file is None else TaskPage(PageKind.HTML, file, folders, media, facts)
    if source is None and task_type in _STOCK_TYPES:
        description = task.get("task_description") if isinstance(task, dict) else None
        facts = {name: blueprint.get(name) for name in _STOCK_SETTINGS} | {"title": heading}
        facts["instructions"] = facts["instructions"] or description
        return TaskPage(PageKind.STOCK, None, (REVIEW_SCRIPTS, STOCK_PAGE, CLIENT, *own), media, facts)
    return None


def run_folder(database: Path, run: TaskRunId) -> Path:
    """Return the folder of a run's files beside its log."""
    return database.parent / RUNS_FOLDER / str(run)


def origins_in(data: object) -> frozenset[str]:
    """Return the origins of the addresses in a task's input data, from which its page may load media."""
    return frozenset(_origins(data))


def _origins(data: object) -> Iterator[str]:
    if isinstance(data, Mapping):
        data = list(data.values())
    if isinstance(data, list):
        for inner in data:
            yield from _origins(inner)
    elif isinstance(data, str) and data.startswith(("https://", "http://")):
        try:
            address = urlsplit(data)
            port = f":{address.port}" if address.port else ""
        except ValueError:
            return
        host = address.hostname or ""
        # Only what is certain to be one host goes into a policy.
        if host.replace("-", "").replace(".", "").isalnum() and host.isascii():
            yield f"{address.scheme}://{host}{port}"


def _folder(setting: object) -> Path | None:
    if not isinstance(setting, str) or not setting:
        return None
    folder = Path(setting).expanduser()
    return folder if folder.is_dir() else None


def _inside(folder: Path, path: str) -> Path | None:
    """Return a file below a folder, whatever links and dots say; None if there is none."""
    if any(part.startswith(".") for part in PurePosixPath(path).parts):
        return None
    root = folder.resolve()
    file = (root / path).resolve()
    return file if file.is_relative_to(root) and file.is_file() else None
