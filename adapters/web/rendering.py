"""Renders templates, and formats the values in them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import jinja2
import msgspec
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from ...core.entity_ref import HISTORY_KINDS
from ...core.operations.configuration.money import amount
from ..advice import with_database, written_database
from ..text import format_author, format_duration, format_status, printable
from .guard import Visitor
from .media import medium_of

HERE = Path(__file__).parent
#: The longest value of an input or output that is shown whole, in characters.
SHOWN_CHARACTERS = 2000

_NAMES = re.compile(rf"\b(?:{'|'.join(HISTORY_KINDS)})-\d{{1,18}}\b")
#: A command in a sentence.
_COMMAND = re.compile("`([^`]+)`")
_STREAM = re.compile(r"(task_run|assignment|unit|agent|onboarding_agent|worker|engagement)/(?:\d+/)?(\d+)")
_KIND_OF_STREAM = {"task_run": "run", "onboarding_agent": "onboarding", "engagement": "worker"}


class Templates:
    """The page templates."""

    def __init__(self, database: Path) -> None:
        """Set up the templates. Values are escaped, and an undefined name is an error."""
        self._database = written_database(database)
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "advised": self._advised,
            "amount": amount,
            "author": format_author,
            "count": lambda number: f"{number:,}",
            "duration": format_duration,
            "escaped_json": escaped_json,
            "json": _json,
            "linked": linked,
            "medium": medium_of,
            "moment": _moment,
            "shown": printable,
            "subject": subject_of,
            "pill": lambda status: f"s-{status.replace(' ', '-')}",
            "words": format_status,
        }
        self._environment.globals |= {"query": query, "database": database.name}

    def page(self, template: str, request: Request, status_code: int = 200, **values: object) -> HTMLResponse:
        """Return a whole page for the visitor who sent a request."""
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        return HTMLResponse(self.fragment(template, visitor=visitor, **values), status_code)

    def fragment(self, template: str, **values: object) -> str:
        """Return a part of a page."""
        return self._environment.get_template(template).render(values)

    def _advised(self, text: str) -> Markup:
        """Return a sentence in which commands name the log, and are marked as such."""
        return Markup(_COMMAND.sub(r"<code>\1</code>", str(escape(with_database(text, self._database)))))

    def error(self, status_code: int, sentence: str, visitor: Visitor | None = None) -> HTMLResponse:
        """Return a page that explains an error."""
        return HTMLResponse(self.fragment("error.html", visitor=visitor, sentence=sentence), status_code)


def escaped_json(text: str) -> Markup:
    """Return JSON for an element of a page: nothing in it can end the element."""
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def linked(text: str, seq: int | None = None) -> Markup:
    """Return text in which each id such as `unit-12` links to its timeline, as of the position being viewed."""
    parts: list[Markup] = []
    end = 0
    for found in _NAMES.finditer(text):
        parts += [escape(text[end : found.start()]), _link(found[0], found[0], seq)]
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])


def subject_of(stream: str, seq: int | None = None) -> Markup:
    """Return the entity of a stream as a link to its timeline."""
    found = _STREAM.fullmatch(stream)
    if found is None:
        return escape(stream)
    name = f"{_KIND_OF_STREAM.get(found[1], found[1])}-{found[2]}"
    return _link(name, name, seq)


def query(**values: object) -> str:
    """Return the query of a link, without the values that are None."""
    given = {name: value for name, value in values.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _link(name: str, text: str, seq: int | None) -> Markup:
    return Markup('<a href="/timeline/{}{}">{}</a>').format(name, query(seq=seq), text)


def _moment(seconds: float) -> Markup:
    """Return a time in seconds since the epoch, in UTC."""
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{0}">{0}</time>').format(text)


def _json(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value)).decode()
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} … ({len(text):,} characters)"
