"""An overlap gives a share of the items more workers, always the same ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mephisto_es.adapters.blueprints.paired_chat import PairedChatBlueprint
from mephisto_es.adapters.blueprints.static_task import SharedStaticTaskState, StaticTaskBlueprint
from mephisto_es.core.abstractions.agent import InitializationData
from mephisto_es.core.abstractions.blueprint import PlannedUnits
from mephisto_es.core.errors import ConfigError

from .settings import run_config

ITEMS = [{"text": f"text {number}", "source": "ab"[number % 10 == 0]} for number in range(40)]


def blueprint(shared: SharedStaticTaskState | None = None, **settings: object) -> StaticTaskBlueprint:
    shared = shared or SharedStaticTaskState(static_task_data=ITEMS)
    config = run_config(StaticTaskBlueprint, **settings)
    StaticTaskBlueprint.assert_task_args(config, shared)
    return StaticTaskBlueprint(config, shared)


def sizes(task: StaticTaskBlueprint) -> list[int]:
    data = task.get_initialization_data()
    assert isinstance(data, list)
    assert all(isinstance(one, InitializationData) for one in data)
    return [len(one.unit_data) for one in data]


def test_a_share_of_the_items_gets_more_units() -> None:
    task = blueprint(overlap={"fraction": 0.25, "count": 3})
    assert Counter(sizes(task)) == {1: 30, 3: 10}
    assert task.count_units() == PlannedUnits(30 + 30, 3)
    assert sizes(task) == sizes(blueprint(overlap={"fraction": 0.25, "count": 3}))
    assert sizes(task) != sizes(blueprint(overlap={"fraction": 0.25, "count": 3, "seed": 1}))


def test_each_value_of_a_column_has_its_share() -> None:
    chosen = sizes(blueprint(overlap={"fraction": 0.5, "count": 2, "stratify_by": "source"}))
    assert Counter(zip((item["source"] for item in ITEMS), chosen, strict=True)) == {
        ("a", 1): 18,
        ("a", 2): 18,
        ("b", 1): 2,
        ("b", 2): 2,
    }


def test_items_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("text\n" + "".join(f"{number}\n" for number in range(10)))
    task = blueprint(
        SharedStaticTaskState(), data_csv=str(file), units_per_assignment=2, overlap={"fraction": 0.3, "count": 5}
    )
    assert Counter(sizes(task)) == {2: 7, 5: 3}
    assert task.count_units() == PlannedUnits(14 + 15, 5)


@pytest.mark.parametrize(
    ("overlap", "said"),
    [
        ({"fraction": 0.2}, "cannot be used: Object missing required field `count`.*Write for instance"),
        ({"fraction": 0.2, "cuont": 3}, "has no 'cuont'.*Did you mean 'count'"),
        ({"fraction": 1.2, "count": 3}, r"fraction is 1\.2.*0\.2 for a fifth"),
        ({"fraction": 0.2, "count": 1}, "count is 1, and every item gets 1 units anyway"),
        ({"fraction": "some", "count": 3}, "cannot be used"),
    ],
)
def test_an_overlap_that_makes_no_sense_is_refused(overlap: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        blueprint(overlap=overlap)


def test_an_overlap_needs_the_column_and_all_items() -> None:
    with pytest.raises(ConfigError, match=r"'sourec', which item 1 does not have.*Did you mean 'source'"):
        blueprint(overlap={"fraction": 0.2, "count": 3, "stratify_by": "sourec"}).get_initialization_data()

    def generated() -> Iterator[dict[str, str]]:
        yield from ITEMS

    with pytest.raises(ConfigError, match=r"is a generator.*Pass a list"):
        blueprint(SharedStaticTaskState(static_task_data=generated()), overlap={"fraction": 0.2, "count": 3})


def test_partners_in_a_chat_are_as_many_as_the_chat_needs() -> None:
    config = run_config(PairedChatBlueprint, overlap={"fraction": 0.2, "count": 3}, units_per_assignment=2)
    with pytest.raises(ConfigError, match="work together"):
        PairedChatBlueprint.assert_task_args(config, SharedStaticTaskState(static_task_data=ITEMS))
