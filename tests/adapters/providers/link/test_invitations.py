from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.adapters.providers.link.invitations import (
    Invitation,
    InvitationSigner,
    LinkRefusal,
    LinkRefusedError,
    check_cap,
    check_single_use,
)
from mephisto_es.core.errors import ConfigError

SIGNER = InvitationSigner(b"k" * 16, run=7)
INVITED = SIGNER.issue("Zoë", "s1", expires_at_seconds=1000)


class Used:
    """Everything in memory."""

    def __init__(self, sessions: dict[str, str] | None = None, admitted: set[str] | None = None) -> None:
        self.sessions = sessions or {}
        self.admitted = admitted or set()

    def session_of(self, serial: str) -> str | None:
        return self.sessions.get(serial)

    def is_admitted(self, participant: str) -> bool:
        return participant in self.admitted

    def count_admitted(self) -> int:
        return len(self.admitted)


def refusal(text: str, now: float = 0, signer: InvitationSigner = SIGNER) -> LinkRefusal:
    with pytest.raises(LinkRefusedError) as caught:
        signer.read(text, now)
    return caught.value.reason


def test_an_invitation_is_read_until_it_expires() -> None:
    assert SIGNER.read(INVITED, 999.9) == Invitation(participant="Zoë", run=7, serial="s1", expires_at_seconds=1000)
    assert refusal(INVITED, 1000) is LinkRefusal.EXPIRED
    assert "Zoë" not in INVITED
    assert set(INVITED) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_nobody_else_can_make_one() -> None:
    body, _, signature = INVITED.partition(".")
    forged = base64.urlsafe_b64encode(b'{"p":"Eve","r":7,"s":"s1","e":9999}').rstrip(b"=").decode()
    assert refusal(f"{forged}.{signature}") is LinkRefusal.FORGED
    assert refusal(f"{body}.") is LinkRefusal.FORGED
    assert refusal(INVITED, signer=InvitationSigner(b"x" * 16, run=7)) is LinkRefusal.FORGED
    assert refusal(INVITED, signer=InvitationSigner(b"k" * 16, run=8)) is LinkRefusal.OTHER_RUN
    assert refusal(f"{body}.é") is LinkRefusal.UNREADABLE
    assert refusal("a" * 3000) is LinkRefusal.UNREADABLE
    with pytest.raises(ConfigError):
        InvitationSigner(b"short", run=7)


@given(st.text(max_size=100))
def test_no_text_breaks_it(text: str) -> None:
    assert refusal(text) in {LinkRefusal.FORGED, LinkRefusal.UNREADABLE}


@given(st.text(min_size=1, max_size=50), st.text(max_size=20))
def test_anybody_can_be_invited(participant: str, serial: str) -> None:
    read = SIGNER.read(SIGNER.issue(participant, serial, 10), 0)
    assert (read.participant, read.serial) == (participant, serial)


def test_one_browser_uses_an_invitation() -> None:
    invitation = SIGNER.read(INVITED, 0)
    check_single_use(invitation, "browser 1", Used())
    check_single_use(invitation, "browser 1", Used({"s1": "browser 1"}))
    with pytest.raises(LinkRefusedError) as caught:
        check_single_use(invitation, "browser 2", Used({"s1": "browser 1"}))
    assert caught.value.reason is LinkRefusal.USED


def test_an_open_link_has_a_cap() -> None:
    check_cap("a", 1, Used())
    check_cap("a", 1, Used(admitted={"a"}))  # whoever was in may come back
    check_cap("z", None, Used(admitted={"a", "b"}))
    with pytest.raises(LinkRefusedError) as caught:
        check_cap("b", 1, Used(admitted={"a"}))
    assert caught.value.reason is LinkRefusal.FULL
