"""Hooks that MkDocs calls during a build: they complete pages from the code, add screenshots, and check all pages.

A line `<!-- generated: NAME ARGUMENT... -->` in a page is replaced by what the generator of that name writes. The note
that tells readers of the file what it lacks is removed. No page may need the network.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from mephisto_es.docs.generated.commands import all_commands
from mephisto_es.docs.generated.events import event_catalogue
from mephisto_es.docs.generated.gallery import PICTURES, gallery
from mephisto_es.docs.generated.lifecycles import all_lifecycles
from mephisto_es.docs.generated.reference import all_errors, public_reference
from mephisto_es.docs.generated.shapes import all_shapes
from mephisto_es.docs.generated.tables import (
    error_tree,
    export_columns,
    finding_kinds,
    metrics,
    refusal_texts,
    router_packets,
    router_settings,
    run_settings,
)

GENERATORS: dict[str, Callable[..., str]] = {
    "commands": all_commands,
    "errors": error_tree,
    "error-reference": all_errors,
    "events": event_catalogue,
    "export-columns": export_columns,
    "finding-kinds": finding_kinds,
    "gallery": gallery,
    "json-shapes": all_shapes,
    "lifecycles": all_lifecycles,
    "metrics": metrics,
    "public": public_reference,
    "refusal-texts": refusal_texts,
    "router-packets": router_packets,
    "router-settings": router_settings,
    "run-settings": run_settings,
}

_MARK = re.compile(r"^<!-- generated: ([^\n]+?) -->$", re.MULTILINE)
#: Tells readers of a file that it lacks what is generated.
_NOTE = re.compile(r"^> \*\*Not built:\*\* [^\n]*\n+", re.MULTILINE)
#: Tags that make a browser load something from elsewhere.
_LOADING = re.compile(r"<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the screenshots of the gallery, as far as the browser tests have made them."""
    for picture in PICTURES:
        if picture.path.exists():
            files.append(File.generated(config, picture.uri, abs_src_path=str(picture.path)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Complete a page.

    Raises:
        KeyError: the page names a generator that does not exist.
    """
    return _MARK.sub(lambda mark: _generated(*mark[1].split()), _NOTE.sub("", markdown))


def on_post_page(output: str, **_: object) -> str:
    """Check that a finished page loads nothing from elsewhere.

    Raises:
        ValueError: it does; the message names the tag.
    """
    found = _LOADING.search(output)
    if found:
        raise ValueError(f"a page loads something from elsewhere: {found[0]}")
    return output


def _generated(name: str, *arguments: str) -> str:
    return GENERATORS[name](*arguments)
