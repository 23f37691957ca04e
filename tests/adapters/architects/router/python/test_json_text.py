"""Text from pages: strict JSON, or an error."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.adapters.architects.router.python.errors import MalformedJsonError
from mephisto_es.adapters.architects.router.python.json_text import strict_json

#: Strings as JavaScript has them: halves of surrogate pairs included.
JS_TEXT = st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF, categories=None))
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | JS_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(JS_TEXT, inner),
    max_leaves=10,
)


def whole_characters(value: Any) -> Any:
    """The value with each half of a pair replaced, as a decoder for UTF-16 does it."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {whole_characters(key): whole_characters(item) for key, item in value.items()}
    return value


@given(JSON_VALUES, st.sampled_from([None, 0, 2]))
def test_what_javascript_says_is_strict_json_on_one_line(value: Any, indent: int | None) -> None:
    written = json.dumps(value, indent=indent).encode()

    strict = strict_json(written)

    assert b"\n" not in strict
    assert b"\r" not in strict
    assert msgspec.json.decode(strict) == whole_characters(value)
    assert strict_json(strict) == strict


@given(st.binary())
def test_anything_else_is_json_or_refused(text: bytes) -> None:
    try:
        strict = strict_json(text)
    except MalformedJsonError:
        strict = b"null"

    msgspec.json.decode(strict)


@pytest.mark.parametrize("text", [b"[" * 10**6, b'{"a":' * 10**5, b'"\xff"', b"1e999", b"9" * 5000, b"", b" "])
def test_what_could_stop_a_decoder_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedJsonError):
        strict_json(text)
