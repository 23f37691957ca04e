"""Looks at a served page without a browser: what it loads, and what its scripts look for and never find."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec

from ..blueprints.form_spec import AnyField
from .html_form import PageHtml

#: Files of one page that are looked at.
MAX_FILES = 200
#: Characters of a script's error that a report repeats.
QUOTE = 300

_IMPORT = re.compile(r"""(?:^|[;\s}])(?:import|export)\s*(?:[\w*{}\s,$]+?\s*from\s*)?["']([./][^"']*)["']""")
_LOOKUP = re.compile(r"""getElementById\(\s*["']([\w-]+)["']""")
#: Words by which a script asks for work: the clients' names, and the request itself.
_CLIENT = re.compile(r"mephisto_client|mephisto-task|request_agent|useMephisto")
#: Scripts that are served beside every page; what they mention says nothing about its fields.
_OURS = re.compile(r"mephisto_\w+\.js|wrap_crowd_source\.js")
#: Code that sends all fields of a form, whatever they are called.
_SENDS_ALL = re.compile(r"FormData|querySelectorAll|\.elements\b|useForm|serialize")


class PageLook(msgspec.Struct, frozen=True, kw_only=True):
    """The look of a page without a browser."""

    #: Why the page stays blank, or cannot work; empty if nothing speaks for that.
    faults: tuple[str, ...] = ()
    #: Fields of the page that none of its scripts reads.
    unread_fields: tuple[str, ...] = ()
    #: Its fields, as far as they stand in its HTML.
    fields: tuple[AnyField, ...] = ()


async def look_at_page(client: httpx.AsyncClient, address: str) -> PageLook:
    """Return what a page looks like.

    Args:
        client: the browser in place of a browser; its base URL is the server's.
        address: the page, below that URL.
    """
    response = await client.get(address)
    if not response.is_success:
        return PageLook(faults=(f"the page was answered {response.status_code}",))
    page = PageHtml(response.text)
    scripts, faults = await _scripts_of(client, page)
    own = "\n".join([*page.inline, *(text for name, text in scripts.items() if not _OURS.fullmatch(name))])
    code = "\n".join([*page.inline, *scripts.values()])
    if not _CLIENT.search(code) and not faults:
        faults.append("no script of the page asks for work")
    if not page.has_content and not page.scripts and not code.strip():
        faults.append("the page has neither text nor scripts")
    faults += _missing_elements(page, own)
    unread = () if _SENDS_ALL.search(own) else tuple(name for name in page.fields if not _mentions(own, name))
    return PageLook(faults=tuple(faults), unread_fields=unread, fields=tuple(page.fields.values()))


async def fields_of(client: httpx.AsyncClient, address: str) -> tuple[AnyField, ...]:
    """Return the fields that stand in the HTML of a file; none if it is not there."""
    response = await client.get(address)
    return tuple(PageHtml(response.text).fields.values()) if response.is_success else ()


async def _scripts_of(client: httpx.AsyncClient, page: PageHtml) -> tuple[dict[str, str], list[str]]:
    """Return the scripts of a page by name, modules that they import included, and what cannot be loaded."""
    scripts: dict[str, str] = {}
    faults: list[str] = []
    waiting = [(source, "the page") for source in page.scripts]
    waiting += [(name, "the page") for inline in page.inline for name in _IMPORT.findall(inline)]
    seen: set[str] = set()
    while waiting and len(seen) < MAX_FILES:
        source, by = waiting.pop(0)
        path = urlsplit(source).path
        if urlsplit(source).netloc or path in seen:
            continue
        seen.add(path)
        absolute = urljoin("/", path)
        response = await client.get(absolute)
        if not response.is_success:
            faults.append(f"{by} loads {absolute}, which is not there ({response.status_code})")
            continue
        name = PurePosixPath(absolute).name
        scripts[name] = response.text
        waiting += [(urljoin(absolute, imported), name) for imported in _IMPORT.findall(response.text)]
    return scripts, faults


def _missing_elements(page: PageHtml, code: str) -> Iterator[str]:
    """Yield the elements that scripts look for by their ids, and that neither the page nor a script makes."""
    for name in dict.fromkeys(_LOOKUP.findall(code)):
        if name not in page.ids and not re.search(rf"""\bid\s*[=:]\s*["'`\\]*{re.escape(name)}\b""", code):
            yield f"a script looks for the element #{name}, which the page does not have"


def _mentions(code: str, name: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", code) is not None


def quoted(text: str) -> str:
    """Return the beginning of a text that comes from a page, on one line and without control characters."""
    return "".join(one if one.isprintable() else " " for one in text)[:QUOTE].strip()
