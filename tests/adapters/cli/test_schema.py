"""`mephisto-es schema`: what verbs print with `--json` has a documented, pinned shape.

`json_shapes.json` has each shape as it was first published. Fields may be added; if one is removed or changes its type,
its version has to be raised. Write the file anew with `python -m tests.adapters.cli.json_shapes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.cli.schema import CONFIG, EXPORT, SHAPES, schema_of, type_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.queries.unit_records import UnitRecord
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import judged_history

PINNED: dict[str, Any] = json.loads(Path(__file__).with_name("json_shapes.json").read_text(encoding="utf-8"))
#: The verbs with what follows the log.
PRINTED = {
    "blockers": ("1",),
    "explain": ("agent-1",),
    "quality": ("1", "--no-labels"),
    "replay": (),
    "report": ("1",),
    "runs": (),
    "status": ("1",),
    "timeline": ("unit-1",),
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(6, 2, 3, lambda worker, item: {"label": "ab"[item % 2], "sure": worker}))
    return path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(command.main, [*map(str, words)])


@pytest.mark.parametrize("verb", PRINTED)
def test_a_verb_prints_what_its_schema_says(verb: str, database: Path) -> None:
    printed = run(verb, database, *PRINTED[verb], "--json")
    assert printed.exit_code == 0, printed.output
    found = json.loads(printed.stdout)
    msgspec.convert(found, type_of(verb))
    schema: Any = schema_of(verb)
    properties = schema["$defs"][schema["$ref"].rpartition("/")[2]]["properties"]
    assert found.keys() <= properties.keys()


def test_a_line_of_an_export_is_what_its_schema_says(database: Path) -> None:
    schema: Any = schema_of(EXPORT)
    for line in run("export", database, "1").stdout.splitlines():
        assert list(json.loads(line)) == list(schema["properties"]) == list(UnitRecord.__struct_fields__)
    assert schema["properties"]["created_at"] == {"type": "string", "format": "date-time"}
    assert schema["properties"]["worker_id"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}


@pytest.mark.parametrize("name", [EXPORT, *SHAPES])
def test_a_published_shape_loses_nothing(name: str) -> None:
    now = json.loads(msgspec.json.encode(schema_of(name)))
    assert now["$id"] == PINNED[name]["$id"]
    assert list(lost(PINNED[name], now, name)) == []


def lost(before: Any, now: Any, where: str) -> Iterator[str]:
    """Yield what a schema had that it has no longer; what is new does not matter."""
    if isinstance(before, dict):
        for key, value in before.items():
            if key in ("default", "description", "title", "$schema"):
                continue
            if not isinstance(now, dict) or key not in now:
                yield f"{where}.{key}"
            elif key != "required":
                yield from lost(value, now[key], f"{where}.{key}")
    elif isinstance(before, list) and isinstance(now, list):
        yield from (f"{where}: {one}" for one in before if one not in now)
    elif before != now:
        yield f"{where}: {before} is now {now}"


def test_the_verb_lists_and_prints_schemas() -> None:
    assert run("schema").stdout.splitlines() == [CONFIG, EXPORT, *SHAPES]
    assert json.loads(run("schema", "status").stdout)["$id"] == "urn:mephisto-es:json:status:1"
    assert json.loads(run("schema", CONFIG).stdout)["$id"] == "urn:mephisto-es:config:1"
    assert run("schema", "statsu").exit_code == 2
