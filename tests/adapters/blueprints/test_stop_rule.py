"""Further workers until a label is sure enough, as a configuration asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from mephisto_es.adapters.blueprints.paired_chat import PairedChatBlueprint
from mephisto_es.adapters.blueprints.static_task import SharedStaticTaskState, StaticTaskBlueprint
from mephisto_es.core.abstractions.blueprint import PlannedUnits
from mephisto_es.core.commands.labels import LabelPlan
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.state.label_model import StopRule

from .settings import run_config

ITEMS = [{"text": f"text {number}"} for number in range(10)]
CHOICE = {"type": "choice", "name": "label", "options": ["cat", {"value": 2, "label": "two"}, "bird"]}
FORM = [CHOICE, {"type": "text", "name": "why"}]


def blueprint(**settings: object) -> StaticTaskBlueprint:
    shared = SharedStaticTaskState(static_task_data=ITEMS)
    config = run_config(StaticTaskBlueprint, **settings)
    StaticTaskBlueprint.assert_task_args(config, shared)
    return StaticTaskBlueprint(config, shared)


def sizes(task: StaticTaskBlueprint) -> list[int]:
    data = task.get_initialization_data()
    assert isinstance(data, Iterable)
    return [len(one.unit_data) for one in data]


def test_the_form_says_what_the_answers_are() -> None:
    task = blueprint(form=FORM, stop_when={})
    assert task.label_plan == LabelPlan(
        answer="label", classes=("cat", "2", "bird"), accuracy=None, rule=StopRule(0.95, 2, 5)
    )
    assert sizes(task) == [2] * 10
    assert task.count_units() == PlannedUnits(50, 5, 20)
    assert blueprint(form=FORM).label_plan is None


def test_another_page_needs_the_answer_and_its_classes(tmp_path: Path) -> None:
    settings = {
        "answer": "animal.kind",
        "classes": [True, False],
        "confidence": 0.9,
        "min": 1,
        "max": 3,
        "accuracy": 0.8,
    }
    task = blueprint(stop_when=settings)
    assert task.label_plan == LabelPlan(
        answer="animal.kind", classes=("true", "false"), accuracy=0.8, rule=StopRule(0.9, 1, 3)
    )


def test_a_share_of_the_items_may_get_more_at_first() -> None:
    task = blueprint(form=FORM, stop_when={}, overlap={"fraction": 0.2, "count": 4})
    assert sorted(sizes(task)) == [2] * 8 + [4] * 2
    assert task.count_units() == PlannedUnits(50, 5, 24)
    with pytest.raises(ConfigError, match=r"overlap.count is 6, and .*stop_when.max is 5.*Raise"):
        blueprint(form=FORM, stop_when={}, overlap={"fraction": 0.2, "count": 6})


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        ({"confidnece": 0.9}, "has no 'confidnece'.*Did you mean 'confidence'"),
        ({"min": "two"}, "cannot be used.*Write for instance"),
        ({"confidence": 1}, r"confidence is 1.*0\.95"),
        ({"min": 3, "max": 2}, "asks for 3 to 2 answers"),
        ({"max": 1000}, "max is at most 100"),
        ({"answer": "lable"}, "no such field.*Did you mean 'label'"),
        ({"answer": "why"}, r"does not say which answers there are.*classes: \[cat"),
        ({"classes": ["cat", "cat"]}, "are 2, of which 1 differ"),
        ({"classes": ["cat", "brid"]}, "'brid', which is no option.*Did you mean 'bird'"),
        ({"accuracy": 0.3}, r"accuracy is 0\.3.*between 0\.34 and 0\.999"),
    ],
)
def test_settings_that_make_no_sense_are_refused(stop: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        blueprint(form=FORM, stop_when=stop)


def test_the_answer_must_be_known() -> None:
    with pytest.raises(ConfigError, match=r"the form has 2 choices: label, other.*answer: label"):
        blueprint(form=[CHOICE, {**CHOICE, "name": "other"}], stop_when={})
    with pytest.raises(ConfigError, match="no form says it"):
        blueprint(stop_when={"classes": ["cat", "dog"]})


def test_the_first_units_are_said_once() -> None:
    assert sizes(blueprint(form=FORM, stop_when={}, units_per_assignment=2)) == [2] * 10
    with pytest.raises(ConfigError, match=r"units_per_assignment is 3, and .*min is 2.*Remove"):
        blueprint(form=FORM, stop_when={}, units_per_assignment=3)


def test_partners_in_a_chat_are_as_many_as_the_chat_needs() -> None:
    config = run_config(PairedChatBlueprint, stop_when={"classes": ["a", "b"], "answer": "x"}, units_per_assignment=2)
    with pytest.raises(ConfigError, match="work together"):
        PairedChatBlueprint.assert_task_args(config, SharedStaticTaskState(static_task_data=ITEMS))
