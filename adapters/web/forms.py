"""Reads submitted forms, and shows a form page again when its form is refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import aclosing
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ...core.errors import ConfigError, UnusableLogError
from .access import Role, Sessions
from .rendering import query
from .site import Site

#: The largest form that is accepted, and its number of fields.
FORM_BYTES = 2**20
FORM_FIELDS = 1000
#: The field of every form that changes something.
FORM_TOKEN = "form_token"


class FormRefusedError(Exception):
    """A form was refused; the message is shown above it.

    Attributes:
        status_code: the status of the response.
    """

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


class FormPage(ABC):
    """A page with forms that change something.

    An accepted form redirects to the page, which then shows a notice. A refused form is shown again with the reason
    and the values that were entered.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: Request) -> Response:
        """Show the page, with a notice if a form was just accepted."""
        return await self._render(request, 200, self._notice(request), refused="", fields={})

    async def submit(self, request: Request) -> Response:
        """Apply a submitted form."""
        fields = await read_form(request, self._site.sessions)
        try:
            shown = await self._apply(request, fields)
        except FormRefusedError as error:
            status_code, refused = error.status_code, str(error)
        except ConfigError as error:
            status_code, refused = 400, f"Nothing was recorded: {error}."
        except UnusableLogError as error:
            status_code = 409
            refused = (
                f"Nothing was recorded: {error}. The program that has the log open takes no decisions from others; "
                "your entries are still here, so try again when it has ended."
            )
        else:
            return RedirectResponse(f"{request.url.path}{query(**shown)}", 303)
        return await self._render(request, status_code, "", refused=refused, fields=fields)

    @abstractmethod
    def _notice(self, request: Request) -> str:
        """Return the notice that the address asks for after an accepted form; an empty text if there is none."""

    @abstractmethod
    async def _apply(self, request: Request, fields: Mapping[str, str]) -> Mapping[str, object]:
        """Record what a form asks for; return the query of the address to redirect to.

        Raises:
            FormRefusedError: it was refused, at least in part.
            ConfigError: a field is missing or makes no sense; nothing was recorded.
            UnusableLogError: the log cannot be opened for writing.
            HTTPException: it is not a form of this page.
        """

    @abstractmethod
    async def _render(
        self, request: Request, status_code: int, notice: str, *, refused: str, fields: Mapping[str, str]
    ) -> Response:
        """Render the page.

        Args:
            request: the request.
            status_code: the status of the response.
            notice: shown after an accepted form.
            refused: the reason why a form was refused.
            fields: the refused form's values.
        """


def check_may_pay(request: Request) -> None:
    """Check that a visitor may give bonuses.

    Raises:
        FormRefusedError: they may not.
    """
    if request.state.visitor.reviewer.role is not Role.PAY:
        raise FormRefusedError(403, "Nothing was recorded: you may review, but not give bonuses.")


async def read_form(request: Request, sessions: Sessions) -> dict[str, str]:
    """Return the fields of a form that changes something.

    Raises:
        HTTPException: it is too large, or was not shown to this visitor.
    """
    fields = await read_fields(request)
    if not sessions.is_form_token(request.state.visitor.session, fields.get(FORM_TOKEN, "")):
        raise HTTPException(403, "This form does not belong to your session. Reload its page; nothing was changed")
    return fields


async def read_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form, whoever sent it.

    Raises:
        HTTPException: it is too large, or is not a form.
    """
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > FORM_BYTES:
                raise HTTPException(413, f"A form may have at most {FORM_BYTES:,} bytes")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS)
    except ValueError as error:
        raise HTTPException(400, "This form cannot be read") from error
    return dict(pairs)
