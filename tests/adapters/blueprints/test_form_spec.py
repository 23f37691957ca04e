"""The description of a form is checked before a worker sees it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mephisto_es.adapters.blueprints.form_spec import FIELD_TYPES, PairwiseField, ScaleField, read_form
from mephisto_es.core.errors import ConfigError

ROOT = Path(__file__).parents[3]
CHOICE = {"name": "kind", "type": "choice", "options": ["news", {"value": 2, "label": "two"}]}


def test_a_form_is_read() -> None:
    form = [
        {"name": "good", "type": "scale", "min": 0, "max": 10, "label": "How good?"},
        {"name": "better", "type": "pairwise", "items": ["a", "b"], "as": "audio"},
    ]
    scale, pairwise = read_form(form, "form")
    assert scale == ScaleField(name="good", min=0, max=10, label="How good?")
    assert isinstance(pairwise, PairwiseField)
    assert pairwise.drawing == "audio"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ("text", "Expected `array`, got `str`"),
        ([], "is empty. Add a field"),
        (["text"], "Expected `object`, got `str`"),
        ([{"type": "text"}], "a field has no name (type: text)"),
        ([{"name": "a", "type": "tekst"}], "the field 'a' has the unknown type 'tekst'. Did you mean 'text'?"),
        ([{"name": "a", "type": ["text"]}], "the field 'a' has the unknown type ['text']"),
        ([{"name": "a", "type": "text", "requird": True}], "unknown setting 'requird'. Did you mean 'required'?"),
        ([{"name": "a", "type": "text", "max_length": "x"}], "Expected `int | null`, got `str`"),
        ([{"name": "a", "type": "text"}] * 2, "the field 'a' is there twice. Give each field another name"),
        ([{"name": "a", "type": "select"}], "the field 'a' has no options. Add options: [first, second]"),
        ([{"name": "a", "type": "choice", "options": ["x", "x"]}], "has 'x' twice in its options"),
        ([{"name": "a", "type": "choice", "options": [{"label": "x"}]}], "has options that cannot be read"),
        ([{"name": "a", "type": "scale", "min": 5, "max": 1}], "goes from 5 to 1. Set min below max"),
        ([{"name": "a", "type": "scale", "max": 100}], "has 100 points, at most 21 fit on a phone. Use type: slider"),
        ([{"name": "a", "type": "slider", "min": 1, "max": 1}], "goes from 1 to 1"),
        ([{"name": "a", "type": "slider", "step": 0}], "has the step 0. It must be positive"),
        ([{"name": "a", "type": "multi_choice", "options": ["x"], "min_choices": 2}], "asks for 2 to 1 of 1 options"),
        ([{"name": "a", "type": "matrix", "options": ["x"]}], "has no rows. Add rows: [first, second]"),
        ([{"name": "a", "type": "rubric", "criteria": [{"name": "x"}]}], "has no levels of 'x'"),
        ([{"name": "a", "type": "rubric"}], "has no criteria"),
        ([{"name": "a", "type": "ranking", "items": ["x"]}], "compares 1 items. List the names of 2 to 12 columns"),
        ([{"name": "a", "type": "best_worst", "items": ["x", "y"]}], "List the names of 3 to 12 columns"),
        ([{"name": "a", "type": "pairwise", "items": ["x", "y", "z"]}], "List the names of 2 columns"),
        ([{"name": "a", "type": "pairwise", "items": ["x", "tie"]}], "compares an item called 'tie'"),
        ([{"name": "a", "type": "pairwise", "items": ["x", "y"], "as": "film"}], "Invalid enum value 'film'"),
        ([{"name": "presented_order", "type": "text"}], "in which order things were presented. Choose another name"),
    ],
)
def test_a_wrong_description_is_named(fields: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)) as error:
        read_form(fields, "mephisto.blueprint.form")
    assert str(error.value).startswith("mephisto.blueprint.form")


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ({"field": "knd", "is": "news"}, "depends on 'knd', which is no field before it. Did you mean 'kind'?"),
        ({"field": "later", "is": True}, "depends on 'later', which is no field before it"),
        (
            {"field": "kind", "is": "new"},
            "the answer 'new' to 'kind', which is not a possible answer. Did you mean 'news'?",
        ),
        ({"field": "kind", "is": ["news", "2"]}, "the answer '2' to 'kind', which is not a possible answer"),
        ({"field": "words", "is": "x"}, "depends on 'words', whose answers cannot be listed"),
        ({"field": "kind"}, "missing required field `is`"),
    ],
)
def test_a_condition_that_never_holds_is_named(condition: object, complaint: str) -> None:
    fields = [
        CHOICE,
        {"name": "words", "type": "text"},
        {"name": "why", "type": "text", "show_if": condition},
        {"name": "later", "type": "checkbox"},
    ]
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        read_form(fields, "form")


@pytest.mark.parametrize("value", ["news", 2, ["news", 2]])
def test_a_condition_that_may_hold_is_taken(value: object) -> None:
    fields = [CHOICE, {"name": "why", "type": "text", "show_if": {"field": "kind", "is": value}}]
    assert len(read_form(fields, "form")) == 2


def test_the_forms_of_the_documentation_can_be_drawn() -> None:
    text = (ROOT / "docs" / "tutorial" / "stock_page.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    forms = [block["form"] for block in blocks if "form" in block]
    assert forms
    for form in forms:
        read_form(form, "form")


def test_all_types_of_fields_are_documented() -> None:
    text = (ROOT / "docs" / "tutorial" / "stock_page.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(FIELD_TYPES)


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ({"name": "rating", "label": "How good?"}, "form: a field has no type (name: rating, label: How good?)"),
        ({"type": "text"}, "form: a field has no name (type: text)"),
        ({}, "form: a field has no name (it is empty)"),
    ],
)
def test_a_field_without_type_or_name_is_shown(field: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_form([field], "form")
    assert str(refused.value).startswith(problem)
