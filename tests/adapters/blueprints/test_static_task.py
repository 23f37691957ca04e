from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mephisto_es.adapters.blueprints.static_task import SharedStaticTaskState, StaticTaskBlueprint
from mephisto_es.core.abstractions.agent import InitializationData
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.errors import ConfigError

from .settings import run_config

ITEMS = [{"text": "one"}, {"text": "two"}]
OWN_PAGE = '<script src="/wrap_crowd_source.js"></script><script>mine()</script>'
BUNDLE = "render(document)"
STOCK_FILES = {
    "index.html",
    "static_task_page.js",
    "static_task_page.css",
    "form.js",
    "form_rules.js",
    "mephisto_client.js",
}


def blueprint(shared: SharedStaticTaskState | None = None, **settings: object) -> StaticTaskBlueprint:
    shared = shared or SharedStaticTaskState(static_task_data=ITEMS)
    config = run_config(StaticTaskBlueprint, **settings)
    StaticTaskBlueprint.assert_task_args(config, shared)
    return StaticTaskBlueprint(config, shared)


def served(static_dir: Path) -> set[str]:
    return {str(path.relative_to(static_dir)) for path in static_dir.rglob("*") if path.is_file()}


def test_a_file_gives_an_assignment_for_each_row(tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("text\none\ntwo\n")
    task = blueprint(SharedStaticTaskState(), data_csv=str(file), units_per_assignment=3)
    data = task.get_initialization_data()
    assert isinstance(data, Iterator)
    assert list(data) == [InitializationData(shared=item, unit_data=({}, {}, {})) for item in ITEMS]


def test_a_generator_is_not_read_before_it_is_needed() -> None:
    taken: list[int] = []

    def items() -> Iterator[dict[str, Any]]:
        for number in range(3):
            taken.append(number)
            yield {"number": number}

    data = blueprint(SharedStaticTaskState(static_task_data=items())).get_initialization_data()
    assert taken == []
    assert isinstance(data, Iterator)
    assert next(data).shared == {"number": 0}
    assert taken == [0]


async def test_an_async_generator_does_too() -> None:
    async def items() -> AsyncIterator[dict[str, Any]]:
        for item in ITEMS:
            yield item

    data = blueprint(SharedStaticTaskState(static_task_data=items())).get_initialization_data()
    assert isinstance(data, AsyncIterator)
    assert [item.shared async for item in data] == ITEMS


def test_an_item_that_is_no_object_is_refused_when_it_comes() -> None:
    wrong: Any = iter([{"text": "one"}, "just a text"])
    data = blueprint(SharedStaticTaskState(static_task_data=wrong)).get_initialization_data()
    assert isinstance(data, Iterator)
    next(data)
    with pytest.raises(ConfigError, match=r"static_task_data: item 2 is a str\. Each item must be a dict"):
        next(data)


async def test_an_item_of_an_async_generator_is_checked_too_and_the_generator_closed() -> None:
    closed: list[bool] = []

    async def items() -> AsyncGenerator[dict[str, Any]]:
        try:
            yield {"text": "one"}
            yield {"text": "x" * 100}
        finally:
            closed.append(True)

    config = run_config(StaticTaskBlueprint)
    config.task.max_item_bytes = 80
    data = StaticTaskBlueprint(config, SharedStaticTaskState(static_task_data=items())).get_initialization_data()
    assert isinstance(data, AsyncIterator)
    await anext(data)
    with pytest.raises(
        ConfigError, match=r"static_task_data: item 2 has \d+ bytes as JSON, more than .*max_item_bytes \(80\)"
    ):
        await anext(data)
    assert closed


@pytest.mark.parametrize(
    ("settings", "shared", "complaint"),
    [
        ({}, SharedStaticTaskState(), "comes from nowhere"),
        ({"data_csv": "a.csv", "data_json": "b.json"}, SharedStaticTaskState(), "comes from data_csv, data_json"),
        ({"data_csv": "a.csv"}, SharedStaticTaskState(static_task_data=ITEMS), "from data_csv, static_task_data"),
        ({"data_csv": "nowhere.csv"}, SharedStaticTaskState(), "nowhere.csv cannot be read"),
        ({}, SharedStaticTaskState(static_task_data=[]), "static_task_data is empty"),
        ({"units_per_assignment": 0}, None, "units_per_assignment is 0"),
        ({"task_source": "nowhere"}, None, "no page at nowhere"),
        ({"form": [{"type": "text"}]}, None, r"a field has no name \(type: text\)"),
        ({"form": [{"name": "a", "type": "tekst"}]}, None, "tekst"),
        ({"form": [{"name": "a", "type": "text", "requird": True}]}, None, "requird"),
        ({"form": [{"name": "a", "type": "text"}] * 2}, None, "'a' is there twice"),
        ({"form": [{"name": "a", "type": "select"}]}, None, "has no options"),
        ({"form": [{"name": "a", "type": "scale", "min": 5, "max": 1}]}, None, "from 5 to 1"),
        ({"onboarding": {"form": [{"name": "a", "type": "choice"}]}}, None, "onboarding.form: the field 'a'"),
    ],
)
def test_a_wrong_setting_is_named(
    settings: dict[str, object], shared: SharedStaticTaskState | None, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        blueprint(shared, **settings)


def test_another_shared_state_is_refused() -> None:
    with pytest.raises(ConfigError, match="SharedStaticTaskState"):
        StaticTaskBlueprint.assert_task_args(run_config(StaticTaskBlueprint), SharedTaskState())


def test_the_stock_page_gets_its_settings(tmp_path: Path) -> None:
    form = [{"name": "rating", "type": "scale", "min": 1, "max": 5, "required": True}]
    task = blueprint(form=form, show=["text"], instructions="Read, then rate.", submit_label="Done")
    task.build_page(tmp_path)
    assert served(tmp_path) >= STOCK_FILES
    assert task.get_frontend_args() == {
        "task_title": "Rate",
        "task_description": "Say what you think.",
        "instructions": "Read, then rate.",
        "frontend": {"form": form, "show": ["text"], "submit_label": "Done"},
    }


def test_media_are_served_beside_the_page(tmp_path: Path) -> None:
    (tmp_path / "media" / "cats").mkdir(parents=True)
    (tmp_path / "media" / "cats" / "a 1.png").write_bytes(b"cat")
    (tmp_path / "media" / ".hidden").write_text("a secret")
    static_dir = tmp_path / "static"
    static_dir.mkdir()
    shared = SharedStaticTaskState(static_task_data=[{"cat": "cats/a 1.png"}, {"cat": "https://example.org/b.png"}])
    task = blueprint(shared, media_dir=str(tmp_path / "media"), show=[{"name": "cat", "as": "image"}])
    task.build_page(static_dir)
    assert (static_dir / "media" / "cats" / "a 1.png").read_bytes() == b"cat"
    assert not (static_dir / "media" / ".hidden").exists()
    assert task.get_frontend_args()["frontend"]["media"] == "/media/"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (
            {"form": [{"name": "a", "type": "pairwise", "items": ["text", "txt"]}]},
            "the field 'a' names 'txt', which is",
        ),
        ({"instructions": "Read {{ txt }}."}, "the text 'Read {{ txt }}.' of mephisto.blueprint names 'txt'"),
        ({"form": [{"name": "a", "type": "text", "label": "Is {{tetx}} good?"}]}, "Did you mean 'text'?"),
        (
            {"form": [{"name": "a", "type": "ranking", "items": ["text", "id"], "as": "image"}]},
            "item 1 shows 'one' (text), which is not a web address",
        ),
    ],
)
def test_what_a_form_says_of_the_item_must_be_in_it(settings: dict[str, object], complaint: str) -> None:
    shared = SharedStaticTaskState(static_task_data=[{"id": 1, "text": "one"}])
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        blueprint(shared, **settings)


def test_submissions_are_checked_against_the_form_of_the_stock_page(tmp_path: Path) -> None:
    form = [{"name": "rating", "type": "scale", "required": True}]
    assert blueprint(form=form).check_submission({"rating": 6}) == ("rating: is not one of the answers",)
    assert blueprint(form=form).check_submission({"rating": 5}) == ()
    assert blueprint().check_submission({"anything": 1}) == ()
    (tmp_path / "built.js").write_text(BUNDLE)
    assert blueprint(form=form, task_source=str(tmp_path / "built.js")).check_submission({"rating": 6}) == ()


def test_a_page_of_ones_own_is_served_as_it_is(tmp_path: Path) -> None:
    page, static_dir = tmp_path / "page", tmp_path / "static"
    (page / "img").mkdir(parents=True)
    (page / "node_modules" / "huge").mkdir(parents=True)
    (page / "index.html").write_text(OWN_PAGE)
    (page / "img" / "a.svg").write_text("<svg/>")
    (page / "node_modules" / "huge" / "x.js").write_text("")
    (page / ".env").write_text("a secret")
    static_dir.mkdir()
    blueprint(task_source=str(page)).build_page(static_dir)
    assert (static_dir / "index.html").read_text() == OWN_PAGE
    assert {"img/a.svg", "mephisto_client.js"} < served(static_dir)
    assert not {name for name in served(static_dir) if name.startswith((".", "node_modules"))}
    assert "static_task_page.js" not in served(static_dir)


def test_a_bundle_gets_a_page_around_it(tmp_path: Path) -> None:
    bundle, static_dir = tmp_path / "built.js", tmp_path / "static"
    bundle.write_text(BUNDLE)
    static_dir.mkdir()
    blueprint(task_source=str(bundle)).build_page(static_dir)
    assert (static_dir / "bundle.js").read_text() == BUNDLE
    page = (static_dir / "index.html").read_text()
    assert page.index("/wrap_crowd_source.js") < page.index('<div id="app">') < page.index("/bundle.js")


def test_a_folder_without_a_page_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no index\.html"):
        blueprint(task_source=str(tmp_path))
