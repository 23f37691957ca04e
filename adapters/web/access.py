"""Decides who may look: anybody on this machine, or else visitors who know a token.

A session is a signed value in a cookie, and the server stores none, so ending the server ends all sessions. Each form
carries a token derived from the session, so that no other site can send it in a visitor's name.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from ...core.errors import ConfigError
from ..control.protocol import author_of

#: The lifetime of a session.
SESSION_SECONDS = 12 * 3600
#: A shorter token could be guessed.
MIN_TOKEN_CHARACTERS = 16
#: Characters of the token of a named reviewer.
TOKEN_CHARACTERS = 32
KEY_BYTES = 32
_LOCAL_NAME = "localhost"


class Role(Enum):
    """The decisions that a visitor may make; each role includes those before it."""

    #: Look at everything.
    VIEW = "view"
    #: Give verdicts, block workers, grant qualifications.
    REVIEW = "review"
    #: Give bonuses, too: money that no launch has set aside as pay.
    PAY = "pay"


class WebReviewer(NamedTuple):
    """A person who makes decisions in the web view."""

    #: Author of the decisions, as the log records it; empty for whoever started the server.
    author: str
    role: Role


#: Whoever started the server, and who knows the token of its file.
OWNER = WebReviewer("", Role.PAY)


class Access(NamedTuple):
    """The requirement for visitors."""

    #: The token to log in with. None if no login is needed, because only this machine can reach the address.
    token: str | None
    #: Reviewers by the token that each of them logs in with.
    reviewers: Mapping[str, WebReviewer] = {}

    @property
    def needs_login(self) -> bool:
        """True if visitors must log in."""
        return self.token is not None or bool(self.reviewers)

    def reviewer_with(self, offered: str) -> WebReviewer | None:
        """Return the reviewer whose token a visitor typed, found in constant time; None if it is nobody's."""
        known = [*self.reviewers.items(), *([] if self.token is None else [(self.token, OWNER)])]
        found = [one for token, one in known if hmac.compare_digest(offered.encode(), token.encode())]
        return found[0] if found else None

    def reviewer_named(self, author: str) -> WebReviewer | None:
        """Return the reviewer who is an author; None if there is none any more."""
        everybody = (OWNER, *self.reviewers.values()) if self.token or not self.reviewers else self.reviewers.values()
        return next((one for one in everybody if one.author == author), None)


def read_reviewers(written: Sequence[str], key: bytes) -> dict[str, WebReviewer]:
    """Return the reviewers that were named when the server was started, by their tokens.

    A token is derived from a secret of the log, so that it stays the same when the server is started again.

    Args:
        written: `NAME` or `NAME:ROLE`, for each of them.
        key: the secret.

    Raises:
        ConfigError: a name or a role cannot be used, or a name is given twice.
    """
    reviewers: dict[str, WebReviewer] = {}
    for one in written:
        name, _, role = one.partition(":")
        try:
            reviewer = WebReviewer(author_of(name), Role(role or Role.REVIEW.value))
        except ValueError:
            roles = ", ".join(known.value for known in Role)
            raise ConfigError(f"{role!r} is not a role", key="--reviewer", hint=f"Choose one of {roles}") from None
        token = hmac.new(key, f"web reviewer:{reviewer.author}".encode(), hashlib.sha256).hexdigest()[:TOKEN_CHARACTERS]
        if token in reviewers:
            raise ConfigError(f"the reviewer {name!r} is named twice", key="--reviewer")
        reviewers[token] = reviewer
    return reviewers


def read_access(host: str, token_file: Path | None, reviewers: Mapping[str, WebReviewer] = {}) -> Access:
    """Return the requirement for visitors of an address.

    Args:
        host: the host name or address to listen on.
        token_file: the file that contains the token, if there is one.
        reviewers: named reviewers by their tokens.

    Raises:
        ConfigError: other machines can reach the address and there is no token, or the token cannot be used.
    """
    if token_file is not None:
        return Access(_read_token(token_file), reviewers)
    if not reviewers and not is_local(host):
        raise ConfigError(
            f"{host} can be reached from other machines, and no token is required",
            key="--host",
            hint="Write a long random text into a file that only you can read, and add --token-file FILE",
        )
    return Access(None, reviewers)


def is_local(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == _LOCAL_NAME


def _read_token(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"the token in {file} cannot be read: {reason}", key="--token-file") from error
    if len(token) < MIN_TOKEN_CHARACTERS:
        raise ConfigError(
            f"the token in {file} has only {len(token)} characters and could be guessed",
            key="--token-file",
            hint=f"Use {MIN_TOKEN_CHARACTERS} or more random ones",
        )
    return token


class Sessions:
    """Opens sessions, derives the tokens of their forms, and verifies both."""

    def __init__(self, key: bytes, now: Callable[[], float]) -> None:
        """Take the signing key, and a function that returns the time in seconds."""
        self._key = key
        self._now = now

    def open(self, author: str = "") -> str:
        """Return a new session of a reviewer; see `WebReviewer.author`."""
        who = urlsafe_b64encode(author.encode()).decode().rstrip("=")
        body = f"{secrets.token_urlsafe(16)}.{who}.{int(self._now()) + SESSION_SECONDS}"
        return f"{body}.{self._sign('session', body)}"

    def is_open(self, session: str) -> bool:
        """Return whether a session was opened here and has not expired."""
        body, _, signature = session.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return False
        return self._now() < int(body.rpartition(".")[2])

    @staticmethod
    def author_of(session: str) -> str:
        """Return the author for whom a session that is open was opened."""
        who = session.split(".")[1]
        return urlsafe_b64decode(who + "=" * (-len(who) % 4)).decode()

    def form_token(self, session: str) -> str:
        """Return the token that the forms of a session carry."""
        return self._sign("form", session)

    def is_form_token(self, session: str, offered: str) -> bool:
        """Return whether a form was shown in this session."""
        return hmac.compare_digest(offered.encode(), self.form_token(session).encode())

    def page_token(self, run: int) -> str:
        """Return a token that opens the files of a run's task page, for about as long as a session lasts.

        It changes once an hour, so that a browser has the files already for the next piece of work.
        """
        until = (int(self._now()) // 3600 + 1) * 3600 + SESSION_SECONDS
        return f"{until}.{self._sign('task page', f'{run}.{until}')}"

    def is_page_token(self, run: int, offered: str) -> bool:
        """Return whether a token opens the files of a run's task page."""
        until, _, signature = offered.partition(".")
        if not until.isdecimal() or not hmac.compare_digest(
            signature.encode(), self._sign("task page", f"{run}.{until}").encode()
        ):
            return False
        return self._now() < int(until)

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
