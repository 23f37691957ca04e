"""Signed personal invitations, used by one browser until they expire, and open links with a cap on people.

An invitation is a text in an address. It holds who is invited, to which run, until when, and a serial number, and
is signed, so nothing about it has to be stored until it is used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from enum import Enum
from typing import Protocol

import msgspec

from ....core.errors import ConfigError, MephistoError

#: A key of fewer bytes could be guessed.
MIN_KEY_BYTES = 16
MAX_INVITATION_LENGTH = 2000
#: Keeps these signatures apart from all others that are made with the key.
_PURPOSE = b"mephisto-es invitation 1\0"
_SIGNATURE_BYTES = 16


class LinkRefusal(Enum):
    """Reasons for not letting a person in, in words for that person."""

    UNREADABLE = "This invitation is not complete. Please open the whole address from your message."
    FORGED = "This invitation is not valid. Please open the address from your message."
    OTHER_RUN = "This invitation is for another study. Please open the address from your message."
    EXPIRED = "This invitation has expired."
    USED = "This invitation was already used in another browser. Please go on there."
    FULL = "Enough people have taken part. Thank you for your interest."


class LinkRefusedError(MephistoError):
    """A link does not let this person in.

    Attributes:
        reason: the reason; its value is for the person.
    """

    def __init__(self, reason: LinkRefusal) -> None:
        self.reason = reason
        super().__init__(f"a link lets nobody in: {reason.name.lower()}")


#: An address should be short.
_SHORT_NAMES = {"participant": "p", "run": "r", "serial": "s", "expires_at_seconds": "e"}


class Invitation(msgspec.Struct, frozen=True, kw_only=True, rename=_SHORT_NAMES):
    """One person's invitation to one run."""

    #: Who is invited; personal.
    participant: str
    #: The run's id.
    run: int
    #: Unique among the run's invitations.
    serial: str
    #: Seconds since the epoch.
    expires_at_seconds: int


class LinkUse(Protocol):
    """Knows who has come through a run's links. The log answers this; a test may use a dictionary."""

    def session_of(self, serial: str) -> str | None:
        """Return the browser session that used an invitation first; None: it is unused."""

    def is_admitted(self, participant: str) -> bool:
        """Return True if this person was let in before."""

    def count_admitted(self) -> int:
        """Return the number of people who were let in."""


class InvitationSigner:
    """Issues and reads the invitations of one run."""

    def __init__(self, key: bytes, run: int) -> None:
        """Keep the key.

        Args:
            key: a secret of the run, at least 16 random bytes.
            run: the run's id.

        Raises:
            ConfigError: the key is too short.
        """
        if len(key) < MIN_KEY_BYTES:
            raise ConfigError(f"the key of invitations has fewer than {MIN_KEY_BYTES} bytes")
        self._key = key
        self._run = run

    def issue(self, participant: str, serial: str, expires_at_seconds: int) -> str:
        """Return an invitation, safe in a URL.

        Args:
            participant: who is invited, as the researcher knows them.
            serial: unique among the run's invitations, for instance random.
            expires_at_seconds: seconds since the epoch.
        """
        invitation = Invitation(
            participant=participant, run=self._run, serial=serial, expires_at_seconds=expires_at_seconds
        )
        body = msgspec.json.encode(invitation)
        return f"{_text(body)}.{_text(self._signature(body))}"

    def read(self, text: str, now_seconds: float) -> Invitation:
        """Return the invitation that a text holds.

        Args:
            text: from the address; a stranger's.
            now_seconds: the wall clock, in seconds since the epoch.

        Raises:
            LinkRefusedError: it is not one of this run's, or it has expired.
        """
        if len(text) > MAX_INVITATION_LENGTH:
            raise LinkRefusedError(LinkRefusal.UNREADABLE)
        body_text, _, signature_text = text.partition(".")
        body, signature = _bytes(body_text), _bytes(signature_text)
        if not hmac.compare_digest(signature, self._signature(body)):
            raise LinkRefusedError(LinkRefusal.FORGED)
        try:
            invitation = msgspec.json.decode(body, type=Invitation)
        except msgspec.DecodeError as error:
            raise LinkRefusedError(LinkRefusal.UNREADABLE) from error
        if invitation.run != self._run:
            raise LinkRefusedError(LinkRefusal.OTHER_RUN)
        if now_seconds >= invitation.expires_at_seconds:
            raise LinkRefusedError(LinkRefusal.EXPIRED)
        return invitation

    def _signature(self, body: bytes) -> bytes:
        return hmac.new(self._key, _PURPOSE + body, hashlib.sha256).digest()[:_SIGNATURE_BYTES]


def check_single_use(invitation: Invitation, session: str, use: LinkUse) -> None:
    """Check that an invitation is unused, or used by this browser before.

    Args:
        invitation: read from its text.
        session: the browser's session, an unguessable text that the server gave it.
        use: who has come so far.

    Raises:
        LinkRefusedError: another browser has used it.
    """
    holder = use.session_of(invitation.serial)
    if holder is not None and not hmac.compare_digest(holder.encode(), session.encode()):
        raise LinkRefusedError(LinkRefusal.USED)


def check_cap(participant: str, cap: int | None, use: LinkUse) -> None:
    """Check that an open link has room for a person; who was in before may come back.

    Args:
        participant: who has arrived.
        cap: most people; None: there is no limit.
        use: who has come so far.

    Raises:
        LinkRefusedError: enough people have come.
    """
    if cap is not None and not use.is_admitted(participant) and use.count_admitted() >= cap:
        raise LinkRefusedError(LinkRefusal.FULL)


def _text(body: bytes) -> str:
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Return the bytes of a part.

    Raises:
        LinkRefusedError: it is not one.
    """
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, UnicodeEncodeError) as error:
        raise LinkRefusedError(LinkRefusal.UNREADABLE) from error
