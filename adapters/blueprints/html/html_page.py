"""Checks and copies the HTML files of a task: templates whose `${fields}` a page fills in from the data."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ....core.abstractions.agent import Update
from ....core.errors import ConfigError
from ....core.operations.logger_core import get_logger
from ....core.suggestions import did_you_mean
from ..page_checks import WRAPPER_FILE
from ..page_files import CLIENT, put_folder

#: The page around the files.
AROUND = Path(__file__).parent / "page"
TASK_FILE, PREVIEW_FILE, ONBOARDING_FILE = "task.html", "preview.html", "onboarding.html"
#: Fields that a page fills in beside those of the data.
OWN_FIELDS = ("mephisto_agent_id", "provider_worker_id")
ENDINGS = (".html", ".htm")
MAX_LISTED = 20

_PREFIX = "mephisto.blueprint"
_FIELD = re.compile(r"\$\{([^{}]+)\}")

logger = get_logger(__name__)


def is_html_task(task_source: str | None) -> bool:
    """Return whether a page is an HTML file, as opposed to a folder or a bundle of scripts."""
    if task_source is None:
        return False
    source = Path(task_source).expanduser()
    return source.suffix.lower() in ENDINGS and not source.is_dir()


class HtmlPage:
    """The HTML files of one task."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """Keep the settings; nothing is read.

        Args:
            settings: those of the blueprint.
        """
        self._settings = settings
        self._html_fields: list[str] = settings["html_fields"]

    def check(self, columns: Collection[str] | None, onboarding_columns: Collection[str]) -> None:
        """Check that the files are there, and that the data has their fields.

        Args:
            columns: the names of all values in the data; None if nobody knows them before the launch.
            onboarding_columns: those of the onboarding's data.

        Raises:
            ConfigError: a file is missing or not text, refers to a script that is not served, or names a field that
                the data does not have.
        """
        self._check_file("task_source", columns)
        if self._settings["preview_source"] is not None:
            self._check_file("preview_source", ())
        if self._settings["onboarding_source"] is not None:
            self._check_file("onboarding_source", onboarding_columns)
        for name in self._html_fields:
            if columns is not None and name not in columns:
                key = f"{_PREFIX}.html_fields"
                hint = did_you_mean(name, list(columns)[:MAX_LISTED])
                raise ConfigError(f"{key} names {name!r}, which is not in the data", key=key, hint=hint)
        if self._html_fields:
            logger.warning(
                f"the values of {', '.join(self._html_fields)} are shown as HTML: whoever wrote them can run code in "
                "the pages of workers. Take a field out of mephisto.blueprint.html_fields to show it as text"
            )

    def _check_file(self, setting: str, columns: Collection[str] | None) -> None:
        key, file = f"{_PREFIX}.{setting}", Path(self._settings[setting]).expanduser()
        if not file.is_file():
            raise ConfigError(f"there is no file {file}", key=key, hint=f"Set {key} to an HTML file")
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{file} is not UTF-8 text", key=key, hint="Save it as UTF-8") from error
        found = _Contents()
        found.feed(text)
        extra = self._settings["extra_source_dir"]
        for script in found.scripts:
            if script.name == WRAPPER_FILE or (CLIENT / script).is_file():
                continue  # the page around the file has it
            if extra is None or not (Path(extra).expanduser() / script).is_file():
                hint = f"Put it into the folder of {_PREFIX}.extra_source_dir"
                raise ConfigError(f"{file} loads {str(script)!r}, which is not served", key=key, hint=hint)
        for name in found.fields:
            if columns is not None and name not in columns and name not in OWN_FIELDS:
                hint = did_you_mean(name, list(columns)[:MAX_LISTED]) if columns else "Its page has no data"
                raise ConfigError(f"{file} shows ${{{name}}}, which is not in the data", key=key, hint=hint)

    def put(self, static_dir: Path) -> None:
        """Copy the page and the files to the folder that is served from `/`."""
        put_folder(CLIENT, static_dir)
        put_folder(AROUND, static_dir)
        for setting, name in (
            ("task_source", TASK_FILE),
            ("preview_source", PREVIEW_FILE),
            ("onboarding_source", ONBOARDING_FILE),
        ):
            if self._settings[setting] is not None:
                shutil.copyfile(Path(self._settings[setting]).expanduser(), static_dir / name)

    def frontend_args(self) -> Update:
        """Return what the page needs to know."""
        return {
            "html_fields": self._html_fields,
            "has_preview": self._settings["preview_source"] is not None,
            "has_onboarding": self._settings["onboarding_source"] is not None,
        }


class _Contents(HTMLParser):
    """Collects what an HTML file refers to.

    Attributes:
        scripts: the scripts that this server would have to serve, as paths below `/`.
        fields: the fields in its texts and attributes; what looks like one within a script may be its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[PurePosixPath] = []
        self.fields: list[str] = []
        self._is_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element's attributes."""
        self._is_code = tag in ("script", "style")
        for name, value in attrs:
            if not name.startswith("on"):
                self._take(value or "")
        address = urlsplit(dict(attrs).get("src") or "") if tag == "script" else None
        if address is not None and address.path and not (address.scheme or address.netloc):
            self.scripts.append(PurePosixPath(unquote(address.path).lstrip("/")))

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser's
        """Leave an element."""
        self._is_code = False

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if not self._is_code:
            self._take(data)

    def _take(self, text: str) -> None:
        self.fields += [name.strip() for name in _FIELD.findall(text)]
