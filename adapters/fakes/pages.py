"""Pages of a fake site for people, and the same facts as JSON for bots.

A person signs in with a name, which a cookie keeps. Forms work without scripts, and a bot can post the same fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

PERSON_COOKIE = "fake_person"

_STYLE = "body{font:16px sans-serif;margin:2em;max-width:50em}form{display:inline}td{padding:.3em 1em .3em 0}"


class Button(NamedTuple):
    """A form with one button, and fields of text."""

    label: str
    action: str
    #: Fields that the person fills in, by name.
    fields: tuple[str, ...] = ()


class PageRow(NamedTuple):
    """One line of a page: a text, and what can be done with it."""

    text: str
    buttons: tuple[Button, ...] = ()
    #: An address that can be opened, with its text.
    link: tuple[str, str] | None = None


def is_bot(request: Request) -> bool:
    """Return True if the answer is to be JSON."""
    return "application/json" in request.headers.get("accept", "")


def person_of(request: Request) -> str | None:
    """Return who is signed in."""
    return request.query_params.get("person") or request.cookies.get(PERSON_COOKIE)


def page(request: Request, title: str, rows: Sequence[PageRow], facts: object) -> Response:
    """Return a page.

    Args:
        request: decides whether a person or a bot reads it.
        title: its heading.
        rows: its lines.
        facts: the same for a bot.
    """
    if is_bot(request):
        return Response(msgspec.json.encode(facts), media_type="application/json")
    lines = "\n".join(_row(row) for row in rows)
    return HTMLResponse(
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>This is a simulated site: nobody is paid.</p><table>{lines}</table></body></html>"
    )


def then(request: Request, address: str, facts: object, person: str | None = None) -> Response:
    """Send a person on to an address, or give a bot the facts; signs a person in, if one is named."""
    answer: Response
    if is_bot(request):
        answer = Response(msgspec.json.encode(facts), media_type="application/json")
    else:
        answer = RedirectResponse(address, 303)
    if person is not None:
        answer.set_cookie(PERSON_COOKIE, person, httponly=True, samesite="lax")
    return answer


async def form_of(request: Request) -> Mapping[str, str]:
    """Return the fields of a form, or of a bot's JSON object."""
    if request.headers.get("content-type", "").startswith("application/json"):
        return msgspec.json.decode(await request.body(), type=dict[str, str])
    async with request.form() as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


def _row(row: PageRow) -> str:
    link = ""
    if row.link and row.link[0].startswith(("/", "http://", "https://")):
        link = f'<td><a href="{escape(row.link[0])}">{escape(row.link[1])}</a></td>'
    return f"<tr><td>{escape(row.text)}</td>{link}<td>{''.join(map(_button, row.buttons))}</td></tr>"


def _button(button: Button) -> str:
    fields = "".join(f'<input name="{escape(name)}" placeholder="{escape(name)}">' for name in button.fields)
    form = f'<form method="post" action="{escape(button.action)}">'
    return f"{form}{fields}<button>{escape(button.label)}</button></form> "
