"""Who may look: whoever is on this machine, or else whoever knows a token.

A session is a signed value in a cookie, and the server keeps none of them: ending the server ends all sessions. What
a form sends carries a token that is made from the session, so that no other site can send it in a visitor's name.
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

#: How long one may look before the token is asked for again.
SESSION_SECONDS = 12 * 3600
#: Fewer could be guessed.
LEAST_TOKEN_CHARACTERS = 16
KEY_BYTES = 32
_LOCAL_NAME = "localhost"


class Access(NamedTuple):
    """What is asked of visitors."""

    #: None: nothing is, because nobody else can reach the address.
    token: str | None

    def admits(self, offered: str) -> bool:
        """Whether what a visitor typed is the token; takes as long for each wrong one."""
        return self.token is not None and hmac.compare_digest(offered.encode(), self.token.encode())


def read_access(host: str, token_file: Path | None) -> Access:
    """What is to be asked of visitors of an address.

    Args:
        host: the name or address that is listened on.
        token_file: holds the token; None: there is none.

    Raises:
        ConfigError: others can reach the address and there is no token, or the token cannot be used.
    """
    if token_file is not None:
        return Access(_read_token(token_file))
    if not is_local(host):
        raise ConfigError(
            f"{host} can be reached from other machines, and no token is asked for",
            key="--host",
            hint="Write a long random text into a file that only you can read, and add --token-file FILE",
        )
    return Access(None)


def is_local(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == _LOCAL_NAME


def _read_token(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"the token in {file} cannot be read: {why}", key="--token-file") from error
    if len(token) < LEAST_TOKEN_CHARACTERS:
        raise ConfigError(
            f"the token in {file} has {len(token)} characters, which can be guessed",
            key="--token-file",
            hint=f"Use {LEAST_TOKEN_CHARACTERS} or more, from a source of chance",
        )
    return token


class Sessions:
    """Makes sessions and the tokens of their forms, and knows its own again."""

    def __init__(self, key: bytes, now: Callable[[], float]) -> None:
        """Take the key that signs them, and the time in seconds."""
        self._key = key
        self._now = now

    def open(self) -> str:
        """A new session."""
        body = f"{secrets.token_urlsafe(16)}.{int(self._now()) + SESSION_SECONDS}"
        return f"{body}.{self._sign('session', body)}"

    def is_open(self, session: str) -> bool:
        """Whether this is a session that was made here and has not ended."""
        body, _, signature = session.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return False
        return self._now() < int(body.rpartition(".")[2])

    def form_token(self, session: str) -> str:
        """What the forms of a session carry."""
        return self._sign("form", session)

    def is_form_token(self, session: str, offered: str) -> bool:
        """Whether a form is one that this session was shown."""
        return hmac.compare_digest(offered.encode(), self.form_token(session).encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
