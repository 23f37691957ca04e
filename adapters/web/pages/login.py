"""Logging in with a token, and logging out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ..forms import read_fields, read_form
from ..guard import LOGIN, LOGOUT
from ..site import Site


class LoginPages:
    """Asks for the token, and opens and closes sessions."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(LOGIN, self.ask, methods=["GET"]),
            Route(LOGIN, self.enter, methods=["POST"]),
            Route(LOGOUT, self.leave, methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        """Show the login form."""
        return self._form(200, "", request.query_params.get("next", ""))

    async def enter(self, request: Request) -> Response:
        """Open a session for a visitor who knows the token."""
        fields = await read_fields(request)
        reviewer = self._site.access.reviewer_with(fields.get("token", "").strip())
        if reviewer is None:
            return self._form(403, "That is not the token.", fields.get("next", ""))
        answer = RedirectResponse(_local(fields.get("next", "")), 303)
        answer.headers["set-cookie"] = self._site.cookie.header(
            self._site.sessions.open(reviewer.author), request.scope
        )
        return answer

    async def leave(self, request: Request) -> Response:
        """Close the session."""
        await read_form(request, self._site.sessions)
        answer = RedirectResponse(LOGIN, 303)
        answer.headers["set-cookie"] = self._site.cookie.header("", request.scope)
        return answer

    def _form(self, status_code: int, refused: str, target: str) -> Response:
        # There is no session yet, so the page must not offer to log out.
        html = self._site.templates.fragment("login.html", visitor=None, refused=refused, target=_local(target))
        return HTMLResponse(html, status_code)


def _local(address: str) -> str:
    """Return an address if it is on this server, else the first page."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"
