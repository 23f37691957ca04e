"""Coming in with a token, and leaving."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from .guard import LOGIN
from .site import Site, fields_of, form_of


class LoginPages:
    """The page that asks for the token."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            Route(LOGIN, self.ask, methods=["GET"]),
            Route(LOGIN, self.enter, methods=["POST"]),
            Route("/logout", self.leave, methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        """Ask for the token."""
        return self._asked(200, "", request.query_params.get("next", ""))

    async def enter(self, request: Request) -> Response:
        """Give a session to whoever knows the token."""
        fields = await fields_of(request)
        if not self._site.access.admits(fields.get("token", "").strip()):
            return self._asked(403, "That is not the token.", fields.get("next", ""))
        answer = RedirectResponse(_local(fields.get("next", "")), 303)
        answer.headers["set-cookie"] = self._site.cookie.given(self._site.sessions.open(), request.scope)
        return answer

    async def leave(self, request: Request) -> Response:
        """Take the session away."""
        await form_of(request, self._site.sessions)
        answer = RedirectResponse(LOGIN, 303)
        answer.headers["set-cookie"] = self._site.cookie.given("", request.scope)
        return answer

    def _asked(self, status_code: int, refused: str, following: str) -> Response:
        # Whoever is asked has no session, so the page offers no way out of one.
        html = self._site.pages.part("login.html", visitor=None, refused=refused, following=_local(following))
        return HTMLResponse(html, status_code)


def _local(address: str) -> str:
    """An address on this server; the first page in place of any other."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"
