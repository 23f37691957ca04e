from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.adapters.providers.sona.study import (
    CodeRefusal,
    CodeRefusedError,
    read_completion_url,
    read_survey_code,
)
from mephisto_es.core.errors import ConfigError

TOKEN = "9185d436e5f94b1581b0918162e8"
URL = f"https://school.sona-systems.com/services/SonaAPI.svc/WebstudyCredit?experiment_id=123&credit_token={TOKEN}&survey_code=XXXX"


def test_the_pasted_url_is_split() -> None:
    study = read_completion_url(f"  {URL}\n")
    assert (study.site_url, study.experiment_id, study.credit_token) == (
        "https://school.sona-systems.com",
        "123",
        TOKEN,
    )
    assert TOKEN not in repr(study)
    address = urlsplit(study.browser_url("4711"))
    assert address.path == "/webstudy_credit.aspx"
    assert parse_qs(address.query) == {"experiment_id": ["123"], "credit_token": [TOKEN], "survey_code": ["4711"]}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            URL.replace("/services/SonaAPI.svc/WebstudyCredit", "/webstudy_credit.aspx"),
            "is the client-side completion URL",
        ),
        (URL.replace("https", "ftp"), "is not a URL"),
        (URL.replace("https://", "https://me:secret@"), "is not a URL"),
        (URL.replace("Webstudy", ""), "does not lead to"),
        (URL.replace(f"credit_token={TOKEN}&", ""), "lacks a valid experiment_id or credit_token"),
        (URL.replace(TOKEN, TOKEN[:5]), "lacks a valid experiment_id or credit_token"),
        (URL.replace("=123", "=abc"), "lacks a valid experiment_id or credit_token"),
    ],
)
def test_another_url_is_refused_without_showing_it(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_completion_url(url)
    assert TOKEN not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.key == "completion_url"


@given(st.integers(10, 9_999_999))
def test_each_code_of_the_site_is_read(code: int) -> None:
    assert read_survey_code([str(code)]) == str(code)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], CodeRefusal.MISSING),
        ([""], CodeRefusal.MISSING),
        (["123", "124"], CodeRefusal.REPEATED),
        (["%SURVEY_CODE%"], CodeRefusal.PLACEHOLDER),
        (["XXXX"], CodeRefusal.PLACEHOLDER),
        (["0123"], CodeRefusal.NOT_A_CODE),
        (["7"], CodeRefusal.NOT_A_CODE),
        (["12345678"], CodeRefusal.NOT_A_CODE),
        (["12 34"], CodeRefusal.NOT_A_CODE),
        (["١٢٣٤"], CodeRefusal.NOT_A_CODE),  # digits, of another script
        (["me@school.edu"], CodeRefusal.NOT_A_CODE),
    ],
)
def test_what_is_no_code_is_refused(values: list[str], reason: CodeRefusal) -> None:
    with pytest.raises(CodeRefusedError) as caught:
        read_survey_code(values)
    assert caught.value.reason is reason
