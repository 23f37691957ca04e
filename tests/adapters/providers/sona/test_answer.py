from __future__ import annotations

import pytest

from mephisto_es.adapters.providers.sona.answer import CreditAnswer, read_credit_answer

CODE = "4711"
#: The documentation's sample, with the namespaces of a running site.
SUCCESS = """<WebstudyCreditResponse xmlns="http://tempuri.org/"><WebstudyCreditResult
 xmlns:a="http://schemas.datacontract.org/2004/07/emsdotnet.sonasystems" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
<a:Errors i:nil="true"/><a:Result><a:anon_id_code i:nil="true"/><a:credit_status>G</a:credit_status>
<a:email i:nil="true"/><a:signup_id>123</a:signup_id><a:survey_code>4711</a:survey_code></a:Result>
</WebstudyCreditResult></WebstudyCreditResponse>"""
FAILURE = """<WebstudyCreditResponse xmlns="http://tempuri.org/"><WebstudyCreditResult
 xmlns:a="http://schemas.datacontract.org/2004/07/emsdotnet.sonasystems" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
<a:Errors xmlns:b="http://schemas.microsoft.com/2003/10/Serialization/Arrays"><b:string>{}</b:string></a:Errors>
<a:Result i:nil="true"/></WebstudyCreditResult></WebstudyCreditResponse>"""


def test_a_success_has_an_element_called_errors_too() -> None:
    assert read_credit_answer(SUCCESS.encode(), CODE) is CreditAnswer.GRANTED


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("You have already received credit for this study.", CreditAnswer.ALREADY_RECEIVED),
        ("You have already participated in this study.", CreditAnswer.ALREADY_RECEIVED),
        (
            "No credit given because you are not a participant, and therefore cannot sign-up for this study.",
            CreditAnswer.NOT_A_PARTICIPANT,
        ),
        ("Invalid experiment_id or credit_token.", CreditAnswer.WRONG_STUDY),
        ("Invalid survey_code.", CreditAnswer.CODE_MISSING),
        ("Invalid survey_code. ## 12345", CreditAnswer.CODE_UNKNOWN),
        ("You are not eligible to participate in this study.", CreditAnswer.NOT_ELIGIBLE),
        ("Web study credit grant error. ## 17", CreditAnswer.OTHER),
    ],
)
def test_the_documented_texts_are_told_apart(text: str, answer: CreditAnswer) -> None:
    code = "" if answer is CreditAnswer.CODE_MISSING else CODE
    for words in (text, text.upper().replace(" ", "_")):
        assert read_credit_answer(FAILURE.format(words).encode(), code) is answer


def test_a_status_without_the_letter_is_no_success() -> None:
    with pytest.raises(ValueError, match="neither a result nor an error"):
        read_credit_answer(SUCCESS.replace(">G<", ">N<").encode(), CODE)


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><body>Down for maintenance</body></html>",
        b"<html><body>credit_status G</body></html>",
        b"granted",
        b"",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><WebstudyCreditResponse>&a;</WebstudyCreditResponse>',
        SUCCESS.encode() + b" " * 70_000,
    ],
)
def test_anything_else_is_not_an_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"not (SONA's|XML)"):
        read_credit_answer(body, CODE)
