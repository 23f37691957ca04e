"""Checking JSON without building its values: the same verdict as reading it."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mephisto_es.core.opaque_json import check_grammar, check_values, is_nested_deeper
from mephisto_es.core.packets import is_readable

#: Characters that matter to whoever looks for the ends of strings, for numbers and for brackets.
TRICKY_TEXT = st.text('"\\[]{}1e+-. ,:nu\u00e9')
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,4})?", fullmatch=True) | st.integers(
    180, 320
).map(lambda digits: "9" * digits)
TEXTS = st.recursive(
    st.sampled_from(["null", "true", "false"]) | NUMBERS | TRICKY_TEXT.map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(TRICKY_TEXT.map(json.dumps), inner, max_size=4).map(
            lambda members: "{" + ",".join(f"{name}:{value}" for name, value in members.items()) + "}"
        )
    ),
    max_leaves=12,
)


def numbers_in(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers_in(part)]
    if isinstance(value, list):
        return [number for part in value for number in numbers_in(part)]
    return [value] if isinstance(value, float) else []


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(TEXTS)
@example('"1e999"')
@example('["\\\\", 1e999, "\\""]')
@example("[true, 1e99, false, 0e999, null]")
def test_a_number_is_out_of_range_if_reading_it_gives_infinity(text: str) -> None:
    def read_float(digits: str) -> float:
        return float(digits)

    finite = all(map(math.isfinite, numbers_in(json.loads(text, parse_int=read_float, parse_float=read_float))))
    data = text.encode()
    check_grammar(data)
    if finite:
        check_values(data)
    else:
        with pytest.raises(msgspec.ValidationError):
            check_values(data)


@given(TEXTS, st.integers(0, 5))
def test_depth_is_counted_outside_strings(text: str, levels: int) -> None:
    assert is_nested_deeper(text.encode(), levels) is (depth_of(json.loads(text)) > levels)


def test_the_deepest_allowed_text_is_not_too_deep() -> None:
    deep = b'[{"[":' * 100 + b"[]" + b"}]" * 100
    assert not is_nested_deeper(deep, 201)
    assert is_nested_deeper(deep, 200)


@pytest.mark.parametrize("text", [b'"\xff"', b'["\xed\xa0\x80"]'])
def test_what_is_not_utf8_is_refused(text: bytes) -> None:
    check_grammar(text)
    with pytest.raises(UnicodeDecodeError):
        check_values(text)


def test_extreme_numbers_are_found_in_every_piece_of_a_large_text() -> None:
    numbers = [b"1e300"] * 100_000
    check_values(b"[" + b",".join(numbers) + b"]")
    numbers[77_777] = b"1e309"
    with pytest.raises(msgspec.ValidationError):
        check_values(b"[" + b",".join(numbers) + b"]")


@pytest.mark.parametrize(
    ("body", "readable"),
    [
        (b'{"a":[1.5,"1e999"]}', True),
        (b"1e999", False),
        (b"9" * 400, False),
        (b'"\xff"', False),
        (b"[" * 10**5 + b"]" * 10**5, False),
        (b'{"a":', False),
    ],
)
def test_the_operator_takes_what_later_readers_can_read(body: bytes, readable: bool) -> None:
    assert is_readable(msgspec.Raw(body)) is readable
