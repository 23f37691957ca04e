from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.adapters.providers.link.arrival import (
    Arrival,
    ArrivalNames,
    ArrivalRefusal,
    ArrivalRefusedError,
    check_names,
    read_arrival,
)
from mephisto_es.core.errors import ConfigError

NAMES = ArrivalNames("participantId", "assignmentId", "projectId")
PLACEHOLDERS = [
    "{{%PROLIFIC_PID%}}",
    "%SURVEY_CODE%",
    "{{MW_ID}}",
    "${e://Field/pid}",
    "[%pid%]",
    "<id>",
    "XXXX",
    "ASSIGNMENT_ID_NOT_AVAILABLE",
]


def refusal(query: str, names: ArrivalNames = NAMES) -> ArrivalRefusal:
    with pytest.raises(ArrivalRefusedError) as caught:
        read_arrival(query, names)
    return caught.value.reason


def test_named_parameters_tell_who_has_arrived() -> None:
    query = "utm=x&participantId=AB12&assignmentId=7&projectId=p%2F1"
    assert read_arrival(query, NAMES) == Arrival(participant="AB12", work="7", study="p/1")
    assert read_arrival(query, NAMES._replace(ignores_case=True)).participant == "ab12"
    assert read_arrival("participantId=AB12", NAMES) == Arrival(participant="AB12")
    assert read_arrival("id=x", ArrivalNames("id")).fields() == {"participant": "x", "work": "", "study": ""}


def test_a_missing_id_of_the_work_may_be_refused() -> None:
    assert refusal("participantId=a", NAMES._replace(is_complete=True)) is ArrivalRefusal.MISSING


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
@pytest.mark.parametrize("written", [str, lambda text: quote(text, safe="")])
def test_a_placeholder_is_nobody(placeholder: str, written: type[str]) -> None:
    assert refusal(f"participantId={written(placeholder)}") is ArrivalRefusal.PLACEHOLDER


def test_what_does_not_tell_who_has_arrived() -> None:
    assert refusal("") is ArrivalRefusal.MISSING
    assert refusal("participantId=%20") is ArrivalRefusal.MISSING
    assert refusal("participantid=a") is ArrivalRefusal.MISSING
    assert refusal("participantId=a&participantId=b") is ArrivalRefusal.REPEATED
    assert read_arrival("participantId=a&participantId=a", NAMES).participant == "a"
    assert refusal(f"participantId={'a' * 201}") is ArrivalRefusal.UNUSABLE
    assert refusal("participantId=a%00b") is ArrivalRefusal.UNUSABLE
    assert refusal("&".join(f"a{number}=1" for number in range(99))) is ArrivalRefusal.UNUSABLE
    assert refusal("participantId=" + "a" * 5000) is ArrivalRefusal.UNUSABLE


@given(st.text(max_size=300))
def test_no_query_breaks_it(query: str) -> None:
    try:
        arrival = read_arrival(query, NAMES)
    except ArrivalRefusedError:
        return
    assert 0 < len(arrival.participant) <= 200


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=100))
def test_any_ordinary_id_arrives_as_it_was_sent(participant: str) -> None:
    if set(participant.upper()) == {"X"}:
        return
    assert read_arrival(urlencode({"participantId": participant}), NAMES).participant == participant


def test_names_are_checked_before_anybody_arrives() -> None:
    check_names(NAMES)
    for names in (ArrivalNames("a b"), ArrivalNames(""), ArrivalNames("a", "a")):
        with pytest.raises(ConfigError):
            check_names(names)
