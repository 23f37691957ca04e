"""What every request passes: is the visitor one who may look, and what browsers are told about the answer."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import SESSION_SECONDS, Access, Sessions, is_local

LOGIN = "/login"
STATIC = "/static"
#: What a visitor without a session may see.
_OPEN = (LOGIN, f"{STATIC}/")

#: Nothing from elsewhere, no script or style in the page itself, nobody's frame.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not `no-referrer`, with which browsers do not say where a form comes from.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
#: Pages hold personal values and the present state.
_CACHE = "no-store"

#: Makes the page that says why a request is refused.
Refuse = Callable[[int, str], Response]


class Visitor(NamedTuple):
    """Who made a request."""

    session: str
    #: What the forms it is shown carry.
    form_token: str
    #: Whether there is something to leave.
    logged_in: bool


class Cookie:
    """What a browser keeps a session in. Browsers do not tell ports apart, so the name must."""

    def __init__(self, port: int) -> None:
        """For a server on this port."""
        self._name = f"mephisto_es_{port}"

    def given(self, session: str, scope: Scope) -> str:
        """The header that gives a browser its session; an empty one takes it away."""
        secure = "; Secure" if scope["scheme"] == "https" else ""
        age = SESSION_SECONDS if session else 0
        return f"{self._name}={session}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"

    def read(self, header: str) -> str | None:
        """What a browser sends as its session; None: nothing."""
        try:
            morsel = SimpleCookie(header).get(self._name)
        except CookieError:
            return None
        return morsel.value if morsel is not None else None


class Guard:
    """Lets visitors through to the pages, with a `Visitor` in the request's state."""

    def __init__(self, app: ASGIApp, access: Access, sessions: Sessions, cookie: Cookie, refuse: Refuse) -> None:
        self._app = app
        self._access = access
        self._sessions = sessions
        self._cookie = cookie
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http":
            return
        session = self._cookie.read(Headers(scope=scope).get("cookie", ""))
        if session is not None and not self._sessions.is_open(session):
            session = None
        answer = self._refusal(scope, session)
        opened = session is None and answer is None and self._access.token is None
        if opened:
            session = self._sessions.open()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", _CACHE)
                if opened and session is not None:
                    headers.append("set-cookie", self._cookie.given(session, scope))
            await send(message)

        if answer is None:
            visitor = Visitor(session or "", self._sessions.form_token(session or ""), self._access.token is not None)
            scope.setdefault("state", {})["visitor"] = visitor
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, session: str | None) -> Response | None:
        """Why a request gets no page; None: it gets one."""
        if self._access.token is None:
            # A name of somebody else's that leads to this machine would let that somebody's page read ours.
            if not is_local(_host(Headers(scope=scope).get("host", ""))):
                return self._refuse(421, "Without a token this is for its own machine only, as http://localhost")
            return None
        if session is not None or scope["path"].startswith(_OPEN):
            return None
        if scope["method"] != "GET":
            return self._refuse(403, "Your session has ended; log in again")
        return RedirectResponse(f"{LOGIN}?next={quote(_path(scope))}", 303)


def _path(scope: Scope) -> str:
    query = scope["query_string"].decode("ascii", "replace")
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _host(header: str) -> str:
    """The name in a header, without the port; empty: it names nothing."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
