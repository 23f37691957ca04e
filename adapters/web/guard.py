"""Checks each request for a valid session, and adds the security headers to each response."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import OWNER, SESSION_SECONDS, Access, Role, Sessions, WebReviewer, is_local

LOGIN = "/login"
LOGOUT = "/logout"
STATIC = "/static"
#: The beginning of the addresses of frames with the pages of tasks, which carry tokens of their own.
TASK_PAGE = "/task_page/"
#: The page of a worker, whose address is a secret of its own.
OWN_PAGE = "/worker_page"
APPEAL = "/submit_appeal"
#: The texts of that page.
TEXTS = "/mephisto_texts.js"
#: Beginnings of paths that need no session.
_OPEN = (LOGIN, f"{STATIC}/", TASK_PAGE, OWN_PAGE, APPEAL, TEXTS)

#: Nothing from other origins, no inline script or style, no framing.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not `no-referrer`: browsers would not send the origin of a form.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
#: Pages contain personal values, and change.
_CACHE = "no-store"

#: Returns the page for a status code and a sentence.
ErrorPage = Callable[[int, str], Response]


class Visitor(NamedTuple):
    """The sender of a request."""

    session: str
    #: The token that the forms shown to the visitor carry.
    form_token: str
    #: Whether the visitor can log out.
    logged_in: bool
    reviewer: WebReviewer


class Cookie:
    """The cookie that holds a session. Its name contains the port, because browsers share cookies between ports."""

    def __init__(self, port: int) -> None:
        """Name the cookie of a server on a port."""
        self._name = f"mephisto_es_{port}"

    def header(self, session: str, scope: Scope) -> str:
        """Return the header that sets a session; an empty session deletes the cookie."""
        secure = "; Secure" if scope["scheme"] == "https" else ""
        age = SESSION_SECONDS if session else 0
        return f"{self._name}={session}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"

    def read(self, header: str) -> str | None:
        """Return the session that a browser sent, or None."""
        try:
            morsel = SimpleCookie(header).get(self._name)
        except CookieError:
            return None
        return morsel.value if morsel is not None else None


class Guard:
    """Passes requests of valid visitors to the pages, with a `Visitor` in the request's state."""

    def __init__(self, app: ASGIApp, access: Access, sessions: Sessions, cookie: Cookie, error_page: ErrorPage) -> None:
        self._app = app
        self._access = access
        self._sessions = sessions
        self._cookie = cookie
        self._error_page = error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            return
        session = self._cookie.read(Headers(scope=scope).get("cookie", ""))
        reviewer = self._reviewer_of(session)
        if reviewer is None:
            session = None
        answer = self._refusal(scope, session, reviewer or OWNER)
        is_frame = scope["path"].startswith(TASK_PAGE)  # a frame sends no cookie, and is to get none
        opened = session is None and answer is None and not self._access.needs_login and not is_frame
        if opened:
            session = self._sessions.open()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    # A page may have a policy of its own: files from strangers are stricter, the desk shows media.
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", _CACHE)
                if opened and session is not None:
                    headers.append("set-cookie", self._cookie.header(session, scope))
            await send(message)

        if answer is None:
            form_token = self._sessions.form_token(session or "")
            visitor = Visitor(session or "", form_token, self._access.needs_login, reviewer or OWNER)
            scope.setdefault("state", {})["visitor"] = visitor
        await (answer or self._app)(scope, receive, send_with_headers)

    def _reviewer_of(self, session: str | None) -> WebReviewer | None:
        """Return whose session a browser sent; None if it is not open, or its reviewer is not known any more."""
        if session is None or not self._sessions.is_open(session):
            return None
        return self._access.reviewer_named(self._sessions.author_of(session))

    def _refusal(self, scope: Scope, session: str | None, reviewer: WebReviewer) -> Response | None:
        """Return the response that refuses a request; None if it is accepted."""
        if not self._access.needs_login:
            # Another name that resolves to this machine would let the owner of that name read our pages: DNS rebinding.
            if not is_local(_host(Headers(scope=scope).get("host", ""))):
                return self._error_page(
                    421, "Without a token, this server is for its own machine only: use http://localhost"
                )
            return None
        if scope["path"].startswith(_OPEN):
            return None
        if session is not None:
            may_send = scope["method"] == "GET" or reviewer.role is not Role.VIEW or scope["path"] == LOGOUT
            return None if may_send else self._error_page(403, "You may look at everything here, but not decide")
        if scope["method"] != "GET":
            return self._error_page(403, "Your session has ended; log in again")
        return RedirectResponse(f"{LOGIN}?next={quote(_path(scope))}", 303)


def _path(scope: Scope) -> str:
    query = scope["query_string"].decode("ascii", "replace")
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _host(header: str) -> str:
    """Return the host name in a header, without the port; an empty text if there is none."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
