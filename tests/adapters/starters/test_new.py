"""`mephisto-es new`: a task that works as it is, and a schema by which editors complete its configuration.

`.ci/follow_readme` rehearses a new task.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.starters.config_schema import config_schema
from mephisto_es.adapters.starters.starter import StarterKind

from ...json_schema import assert_fits

ROOT = Path(__file__).resolve().parents[3]
CONFIGURATIONS = sorted(
    [*ROOT.glob("examples/*/hydra_configs/conf/*.yaml"), *ROOT.glob("docs/tutorial/**/conf/*.yaml")]
)


def new(folder: Path, kind: StarterKind) -> Result:
    return CliRunner().invoke(command.main, ["new", str(folder), "--kind", kind.value])


@pytest.mark.parametrize("kind", StarterKind)
def test_each_kind_has_what_it_needs(kind: StarterKind, tmp_path: Path) -> None:
    folder = tmp_path / "lab_7"
    result = new(folder, kind)
    assert result.exit_code == 0, result.output
    assert "mephisto-es rehearse run_task.py" in result.stdout
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {f"  {folder / name}" for name in written} == {
        line for line in result.stdout.splitlines() if line[:1] == " "
    }
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in written}
    assert not [
        name for name, text in texts.items() if "__NAME__" in text or "__FILES__" in text or "__ABOUT__" in text
    ]
    compile(texts["run_task.py"], "run_task.py", "exec")
    config = yaml.safe_load(texts["hydra_configs/conf/lab_7.yaml"])
    assert config["mephisto"]["task"]["task_name"] == "lab_7"
    first, second, *_ = texts["hydra_configs/conf/lab_7.yaml"].splitlines()
    assert (first, second) == ("#@package _global_", "# yaml-language-server: $schema=../../config.schema.json")
    assert (folder / "hydra_configs" / "conf" / "../../config.schema.json").is_file()
    assert list(unknown_settings(config, json.loads(texts["config.schema.json"]))) == []
    checked = CliRunner().invoke(command.main, ["check-config", str(folder), "--json"])
    assert checked.exit_code == 0, checked.output
    assert_fits("check-config", checked.stdout)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    assert new(tmp_path / "my_task", StarterKind.HTML).exit_code == 0
    page = tmp_path / "my_task" / "page.html"
    page.write_text("mine")
    again = new(tmp_path / "my_task", StarterKind.HTML)
    assert (again.exit_code, page.read_text()) == (2, "mine")
    assert "is not empty" in again.stderr
    bad = new(tmp_path / "My Task", StarterKind.FORM)
    assert bad.exit_code == 2
    assert "'My Task' cannot be the name of a task" in bad.stderr
    assert "for example my_task" in bad.stderr


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_the_schema_knows_every_setting_of_the_examples(path: Path) -> None:
    assert list(unknown_settings(yaml.safe_load(path.read_text(encoding="utf-8")), config_schema())) == []


def test_the_schema_names_types_choices_and_meanings() -> None:
    schema: Any = config_schema()
    sections = schema["properties"]["mephisto"]["properties"]
    duration = sections["task"]["properties"]["assignment_duration_in_seconds"]
    assert duration["default"] == 1800
    assert {"type": "integer"} in duration["anyOf"]
    assert duration["description"] == "Time a worker has for a unit."
    assert sections["task"]["additionalProperties"] is False
    assert {"min_gold", "min_seconds"} == sections["quality"]["properties"].keys()
    assert sections["blueprint"]["properties"]["form"]["anyOf"][0] == {"$ref": "#/$defs/form"}
    scale = schema["$defs"]["ScaleField"]
    assert scale["properties"]["type"] == {"enum": ["scale"]}
    assert set(scale["required"]) >= {"type", "name"}


def test_the_schema_has_the_keys_of_settings_that_are_mappings() -> None:
    schema: Any = config_schema()
    blueprint = schema["properties"]["mephisto"]["properties"]["blueprint"]["properties"]
    assert blueprint["stop_when"]["anyOf"][0] == {"$ref": "#/$defs/stop_when"}
    stop_when = schema["$defs"][schema["$defs"]["stop_when"]["$ref"].rpartition("/")[2]]
    assert stop_when["properties"].keys() == {"confidence", "min", "max", "answer", "classes", "accuracy"}
    assert stop_when["additionalProperties"] is False
    assert stop_when["properties"]["max"] == {
        "type": "integer",
        "description": "Answers to an item at most.",
        "default": 5,
    }
    overlap = schema["$defs"][schema["$defs"]["overlap"]["$ref"].rpartition("/")[2]]
    assert overlap["required"] == ["fraction", "count"]
    assert all(one["description"] for one in (*stop_when["properties"].values(), *overlap["properties"].values()))


def unknown_settings(config: Any, schema: Any) -> Iterator[str]:
    """Yield the settings of a configuration that a schema does not have."""
    sections = schema["properties"]["mephisto"]["properties"]
    for section, settings in config.get("mephisto", {}).items():
        known = sections[section].get("properties")
        for name in settings if known is not None else ():
            if name not in known:
                yield f"{section}.{name}"
