from __future__ import annotations

import pytest

from mephisto_es.adapters.providers.api.errors import (
    MAX_DETAIL_LENGTH,
    EffectUnknownError,
    SiteRefusedError,
    harmless_text,
    ids_in,
    site_words,
)

PARTICIPANT = "60ffe5c8371090c7041d43f8"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            b'{"error": {"status": 400, "title": "Bad request", "detail": "no money", "error_code": 1}}',
            "Bad request: no money",
        ),
        (b'{"error": {"detail": {"reward": ["too small"]}}}', '{"reward":["too small"]}'),
        (b'{"message": "Nope", "detail": "wrong"}', "Nope: wrong"),
        (b'{"error": "plain"}', "plain"),
        (b'"just a text"', "just a text"),
        (b"Too many requests", "Too many requests"),
        (b"<html><body>Maintenance</body></html>", ""),
        (b'{"reward": ["missing"]}', '{"reward": ["missing"]}'),
        (b"[1, 2", "[1, 2"),
        (b"{}", ""),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_errors_are_read_in_all_their_shapes(body: bytes, words: str) -> None:
    assert site_words(body) == words


def test_texts_of_a_site_are_made_harmless() -> None:
    other = "0123abcd-0123-0123-0123-0123456789ab"
    text = f"token s3cret-token,\n\x1b[31m{PARTICIPANT} and {other} password=hunter2 {'x' * 900}"
    shown = harmless_text(text, ["s3cret-token"])
    assert shown.startswith("token <redacted>, [31m<id> and <id> password=<redacted> xxx")
    assert len(shown) == MAX_DETAIL_LENGTH + 3
    assert harmless_text("abc", ["abc"]) == "abc"  # too short to be a secret


def test_ids_are_kept_beside_the_message() -> None:
    text = f"did not take part: {PARTICIPANT.upper()}"
    error = SiteRefusedError(
        "prolific", "set up bonuses", status=400, detail=harmless_text(text, ()), mentioned_ids=ids_in(text)
    )
    assert error.mentioned_ids == {PARTICIPANT}
    assert str(error) == "prolific: set up bonuses was refused (status 400): did not take part: <id>"


def test_the_message_says_what_is_known_of_the_effect() -> None:
    error = EffectUnknownError("connect", "pay bonuses", detail="ReadTimeout", trace="abc")
    assert str(error) == "connect: pay bonuses may have happened, but its answer is lost: ReadTimeout [trace abc]"
