"""Decides who may look: anybody on this machine, or else visitors who know a token.

A session is a signed value in a cookie, and the server stores none, so ending the server ends all sessions. Each form
carries a token derived from the session, so that no other site can send it in a visitor's name.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ...core.errors import ConfigError

#: The lifetime of a session.
SESSION_SECONDS = 12 * 3600
#: A shorter token could be guessed.
MIN_TOKEN_CHARACTERS = 16
KEY_BYTES = 32
_LOCAL_NAME = "localhost"


class Access(NamedTuple):
    """The requirement for visitors."""

    #: The token to log in with. None if no login is needed, because only this machine can reach the address.
    token: str | None

    def admits(self, offered: str) -> bool:
        """Return whether a visitor typed the token; in constant time."""
        return self.token is not None and hmac.compare_digest(offered.encode(), self.token.encode())


def read_access(host: str, token_file: Path | None) -> Access:
    """Return the requirement for visitors of an address.

    Args:
        host: the host name or address to listen on.
        token_file: the file that contains the token, if there is one.

    Raises:
        ConfigError: other machines can reach the address and there is no token, or the token cannot be used.
    """
    if token_file is not None:
        return Access(_read_token(token_file))
    if not is_local(host):
        raise ConfigError(
            f"{host} can be reached from other machines, and no token is required",
            key="--host",
            hint="Write a long random text into a file that only you can read, and add --token-file FILE",
        )
    return Access(None)


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

    def open(self) -> str:
        """Return a new session."""
        body = f"{secrets.token_urlsafe(16)}.{int(self._now()) + SESSION_SECONDS}"
        return f"{body}.{self._sign('session', body)}"

    def is_open(self, session: str) -> bool:
        """Return whether a session was opened here and has not expired."""
        body, _, signature = session.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return False
        return self._now() < int(body.rpartition(".")[2])

    def form_token(self, session: str) -> str:
        """Return the token that the forms of a session carry."""
        return self._sign("form", session)

    def is_form_token(self, session: str, offered: str) -> bool:
        """Return whether a form was shown in this session."""
        return hmac.compare_digest(offered.encode(), self.form_token(session).encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
