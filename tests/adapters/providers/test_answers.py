"""Answers of the sites as their documentation shows them, with more fields and statuses than anybody knows."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.adapters.providers.api.amounts import answer_decoder
from mephisto_es.adapters.providers.api.calls import OpenEnum
from mephisto_es.adapters.providers.connect import answers as connect
from mephisto_es.adapters.providers.prolific.api import answers as prolific
from mephisto_es.adapters.providers.prolific.api.webhooks import WebhookKind
from mephisto_es.adapters.providers.sona.answer import read_credit_answer

ENUMS: list[type[OpenEnum]] = [
    prolific.ProlificStudyStatus,
    prolific.ProlificSubmissionStatus,
    connect.ConnectProjectStatus,
    connect.ConnectAssignmentStatus,
    connect.ConnectCompletionType,
    WebhookKind,
]
STRUCTS: list[type[msgspec.Struct]] = [
    kind
    for module in (prolific, connect)
    for name, kind in vars(module).items()
    if name.startswith(("Prolific", "Connect")) and isinstance(kind, type) and issubclass(kind, msgspec.Struct)
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", ENUMS)
def test_a_value_that_nobody_knows_is_tolerated(kind: type[OpenEnum]) -> None:
    for value in ("SOMETHING NEW", "", "active "):
        assert msgspec.json.decode(msgspec.json.encode(value), type=kind) is kind["UNKNOWN"]
    for member in kind:
        assert msgspec.json.decode(msgspec.json.encode(member.value), type=kind) is member


@given(st.sampled_from(STRUCTS), JSON)
def test_no_json_breaks_a_decoder(kind: type[msgspec.Struct], value: object) -> None:
    fields = {field.encode_name: value for field in msgspec.structs.fields(kind)}
    for body in (msgspec.json.encode(value), msgspec.json.encode({**fields, "something_new": value})):
        try:
            answer_decoder(kind)(body)
        except msgspec.DecodeError:
            continue


@given(st.binary(max_size=300), st.sampled_from(["", "4711"]))
def test_no_bytes_break_the_reading_of_xml(body: bytes, code: str) -> None:
    with pytest.raises(ValueError, match="answer"):
        read_credit_answer(body, code)


def test_prolific_by_its_documentation() -> None:
    submission = answer_decoder(prolific.ProlificSubmission)(
        b'{"id": "625d4a831bcda2d59ac5a251", "started_at": "string", "status": "APPROVED",'
        b' "study_id": "60aca280709ee40ec37d4885", "completed_at": "string", "entered_code": "8E8AC860",'
        b' "participant": "60bf9310e8dec401be6e9615", "bonus_payments": [1000, 2536]}'
    )
    assert (submission.participant, submission.code) == ("60bf9310e8dec401be6e9615", "8E8AC860")
    assert submission.bonus_without_screen_out_cents(None) == 3536
    setup = answer_decoder(prolific.ProlificBonusSetup)(
        b'{"id": "621014cb8e9e0f81e387021f", "total_amount": 1133.34, "study": "620ca2735fcbba4fa2b3211a",'
        b' "amount": 850, "fees": 283.34, "vat": 0}'
    )
    assert (setup.amount_cents, setup.fees_cents, setup.vat_cents, setup.total_cents) == (850, 284, 0, 1134)
    balance = answer_decoder(prolific.ProlificBalance)(
        b'{"currency_code": "GBP", "total_balance": 630, "balance_breakdown": {"rewards": 450, "fees": 150, "vat": 30},'
        b' "available_balance": 210, "available_balance_breakdown": {"rewards": 150, "fees": 50, "vat": 10}}'
    )
    assert (balance.total_cents, balance.available_cents) == (630, 210)
    cost = answer_decoder(prolific.ProlificStudyCost)(
        b'{"rewards": {"rewards": {"amount": 100, "currency": "USD"}, "fees": {"amount": 100, "currency": "USD"},'
        b' "tax": {"amount": 100, "currency": "USD"}}}'
    )
    assert cost.rewards is not None
    assert cost.rewards.total_cents == 300
    # PsyNet saw this on a person who was screened out and got a bonus of thirty cents.
    screened = answer_decoder(prolific.ProlificSubmission)(
        b'{"id": "s", "status": "SCREENED OUT", "bonus_payments": [20, 30]}'
    )
    assert screened.bonus_without_screen_out_cents(20) == 30
    assert screened.bonus_without_screen_out_cents(None) == 50
