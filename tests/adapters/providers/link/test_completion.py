from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.adapters.providers.link.completion import (
    CompletionCodes,
    EndingAddresses,
    LinkEnding,
    check_template,
    completion_address,
)
from mephisto_es.core.errors import ConfigError

CODES = CompletionCodes(b"k" * 16, run=7)
TEMPLATE = "https://panel.example/done?id={participant}&a={work}&cc={code}"


def test_a_code_is_one_persons_and_one_endings() -> None:
    code = CODES.code("anna")
    assert CODES.ending_of("anna", code) is LinkEnding.COMPLETE
    assert CODES.ending_of("anna", CODES.code("anna", LinkEnding.SCREENED_OUT)) is LinkEnding.SCREENED_OUT
    assert CODES.ending_of("bert", code) is None
    assert CompletionCodes(b"k" * 16, run=8).ending_of("anna", code) is None
    assert CompletionCodes(b"x" * 16, run=7).ending_of("anna", code) is None
    with pytest.raises(ConfigError):
        CompletionCodes(b"short", run=7)


@given(st.text(max_size=30))
def test_a_code_is_easy_to_type(participant: str) -> None:
    code = CODES.code(participant)
    assert len(code) == 14
    assert not set("ILOU") & set(code)
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert CODES.ending_of(participant, typed) is LinkEnding.COMPLETE


@given(st.text(max_size=20))
def test_no_typed_text_breaks_it(typed: str) -> None:
    assert CODES.ending_of("anna", typed) is None


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_an_id_stays_one_value(participant: str) -> None:
    check_template(TEMPLATE)
    address = completion_address(TEMPLATE, {"participant": participant, "work": "", "study": "", "code": "7K3M"})
    parts = urlsplit(address)
    assert parts.hostname == "panel.example"
    assert parse_qs(parts.query, keep_blank_values=True) == {"id": [participant], "a": [""], "cc": ["7K3M"]}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("https://panel.example/{name}", r"unknown field \{name\}"),
        ("https://panel.example/{participant.__class__}", "more than the name of a field"),
        ("https://panel.example/{participant!r}", "more than the name of a field"),
        ("https://panel.example/{}", "more than the name of a field"),
        ("https://panel.example/{participant", "a brace without its partner"),
        ("https://{participant}.example/", "a field in the name of the server"),
        ("javascript:alert(1)", "is not a web address"),
        ("/done", "is not a web address"),
    ],
)
def test_a_template_is_checked(template: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_template(template)


def test_each_ending_has_its_address() -> None:
    addresses = EndingAddresses(complete="https://a.example", full="https://b.example")
    assert [addresses.of(ending) for ending in LinkEnding] == ["https://a.example", None, "https://b.example"]
