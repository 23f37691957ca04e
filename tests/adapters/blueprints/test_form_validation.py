"""Answers are checked on the server as on the page: `form_cases.json` is for both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.adapters.blueprints.form_spec import read_form
from mephisto_es.adapters.blueprints.form_validation import MAX_PROBLEMS, problems_of

CASES_FILE = Path(__file__).parent / "form_cases.json"


class Case(msgspec.Struct):
    """A form, answers, and what is wrong with them by field."""

    form: list[dict[str, Any]]
    answers: dict[str, Any]
    problems: dict[str, str]


CASES = msgspec.json.decode(CASES_FILE.read_bytes(), type=list[Case])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.form[-1]['type']}-{case.answers}"[:60])
def test_answers_are_judged_as_the_page_judges_them(case: Case) -> None:
    fields = read_form(case.form, "form")
    assert problems_of(fields, case.answers) == tuple(f"{name}: {problem}" for name, problem in case.problems.items())


@pytest.mark.parametrize("submission", [None, "text", 1, ["a"]])
def test_a_submission_that_is_no_object_is_one_problem(submission: object) -> None:
    fields = read_form([{"name": "a", "type": "text"}], "form")
    assert problems_of(fields, submission) == ("the submission is no object",)


def test_answers_to_other_fields_are_mentioned_without_their_names() -> None:
    fields = read_form([{"name": "a", "type": "pairwise", "items": ["p", "q"]}], "form")
    assert problems_of(fields, {"a": "p", "presented_order": {"a": ["q", "p"]}}) == ()
    [problem] = problems_of(fields, {"a": "p", "Ann Smith": "secret"})
    assert problem == "there are answers to fields that the form does not have"


def test_there_are_not_more_problems_than_anybody_reads() -> None:
    fields = read_form([{"name": f"f{n}", "type": "text", "required": True} for n in range(100)], "form")
    assert len(problems_of(fields, {})) == MAX_PROBLEMS


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(CASES), ANYTHING)
def test_no_submission_is_too_strange(case: Case, value: object) -> None:
    fields = read_form(case.form, "form")
    for answers in (value, dict.fromkeys([field.name for field in fields], value)):
        for problem in problems_of(fields, answers):
            assert isinstance(problem, str)
