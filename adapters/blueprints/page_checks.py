"""Checks a task's own page before it is served: whether a browser would find something to run."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ...core.errors import ConfigError
from ...core.operations.logger_core import get_logger

START_FILE = "index.html"
KEY = "mephisto.blueprint.task_source"
#: The script of the crowd provider, which the server adds to each page.
WRAPPER_FILE = "wrap_crowd_source.js"
#: Endings of scripts as they are served; others have to be built first.
BUNDLE_ENDINGS = (".js", ".mjs", ".cjs")

#: Bytes at the end of a bundle that are looked at.
SAMPLE_BYTES = 16 * 1024
_UNBUILT_ENDINGS = (".jsx", ".ts", ".tsx", ".vue", ".svelte")
#: Statements that browsers accept in modules only, while a bundle is loaded as a plain script: source code begins with
#: them, modules that were built end with them.
_BEGINS_AS_MODULE = re.compile(
    rb"""\A(?:\s|//[^\n]*\n|/\*.*?\*/|["']use \w+["'];?)*(?:import\s*[\w{*"']|export\b)""", re.DOTALL
)
_ENDS_AS_MODULE = re.compile(rb"""\bexport\s*(?:\{[^{}]*\}|default\s+[\w.$]+(?:\(\))?);?\s*(?://[^\n]*\s*)*\Z""")
_BUILT_HINT = f"Build it first (build_custom_bundle), and set {KEY} to build/bundle.js"

logger = get_logger(__name__)


def check_page(task_source: str, client: Path) -> None:
    """Check that there is a page which a browser could run.

    Args:
        task_source: a folder with an `index.html`, or a bundle of scripts.
        client: the folder of scripts that are served beside every page.

    Raises:
        ConfigError: it is missing, is neither, or refers to scripts that do not exist.
    """
    source = Path(task_source).expanduser()
    if source.is_dir():
        _check_folder(source, client)
    elif source.is_file():
        _check_bundle(source)
    else:
        hint = f"Build it first, or set {KEY} to a folder with an {START_FILE} or to a bundle of scripts"
        raise ConfigError(f"there is no page at {source}", key=KEY, hint=hint)


def _check_folder(folder: Path, client: Path) -> None:
    start = folder / START_FILE
    if not start.is_file():
        others = sorted(path.name for path in folder.glob("*.htm*"))
        hint = f"Rename {others[0]}" if others else f"Set {KEY} to the folder of a built page"
        raise ConfigError(f"the page's folder {folder} has no {START_FILE}", key=KEY, hint=hint)
    scripts = _Scripts()
    scripts.feed(start.read_text(encoding="utf-8", errors="replace"))
    if not scripts.count:
        hint = "Without a script a page can neither get its data nor submit; see the tutorial on own pages"
        raise ConfigError(f"{start} has no <script>", key=KEY, hint=hint)
    for script in scripts.files:
        if script.name != WRAPPER_FILE and not ((folder / script).is_file() or (client / script).is_file()):
            hint = "Build the page first, or correct the address"
            raise ConfigError(f"{start} loads {str(script)!r}, which is not in {folder}", key=KEY, hint=hint)
    if not any(script.name == WRAPPER_FILE for script in scripts.files):
        logger.warning(f"{start} does not load /{WRAPPER_FILE}, which tells the page who the worker is")


def _check_bundle(file: Path) -> None:
    ending = file.suffix.lower()
    if ending in (".html", ".htm"):
        hint = f"Put it into a folder of its own as {START_FILE}, and set {KEY} to that folder"
        raise ConfigError(f"{file} is a page, and would be served as a script", key=KEY, hint=hint)
    if ending in _UNBUILT_ENDINGS:
        raise ConfigError(f"{file} is source code that browsers cannot run", key=KEY, hint=_BUILT_HINT)
    if ending not in BUNDLE_ENDINGS:
        hint = f"Set {KEY} to a folder with an {START_FILE}, or to a bundle of scripts (.js)"
        raise ConfigError(f"{file} is neither a page nor a bundle of scripts", key=KEY, hint=hint)
    code = file.read_bytes()
    if _BEGINS_AS_MODULE.match(code) or _ENDS_AS_MODULE.search(code[-SAMPLE_BYTES:]):
        raise ConfigError(f"{file} has import or export statements: it is not built", key=KEY, hint=_BUILT_HINT)
    if b"document" not in code:
        hint = "Name the file that draws the page as the entry of the build"
        raise ConfigError(f"{file} has no entry point: nothing in it draws on the page", key=KEY, hint=hint)


class _Scripts(HTMLParser):
    """Collects the scripts of a page.

    Attributes:
        count: the number of scripts, those within the page included.
        files: the scripts that this server would have to serve, as paths below the page's folder.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.files: list[PurePosixPath] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a script."""
        if tag != "script":
            return
        self.count += 1
        address = urlsplit(dict(attrs).get("src") or "")
        if address.path and not (address.scheme or address.netloc):
            self.files.append(PurePosixPath(unquote(address.path).lstrip("/")))
