"""`mephisto-es schema`: what verbs print with `--json` has a documented, pinned shape.

`json_shapes.json` has each shape as it was first published. Fields may be added; if one is removed or changes its type,
its version has to be raised. Write the file anew with `python -m tests.adapters.cli.json_shapes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.architects.router.handshake import RouterFigures
from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.cli.main import VERBS
from mephisto_es.adapters.cli.operators import RunOperator, RunOperators
from mephisto_es.adapters.cli.schema import CONFIG, ERROR, EXPORT, SHAPES, USER_CONFIG, schema_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.queries.unit_records import UnitRecord
from mephisto_es.projections.registry import PROJECTIONS

from ...json_schema import assert_fits, problems
from ...sample_log import judged_history

TESTS = Path(__file__).parents[2]

PINNED: dict[str, Any] = json.loads(Path(__file__).with_name("json_shapes.json").read_text(encoding="utf-8"))
#: The verbs that read, with what follows the log; a second output of a verb has a number.
PRINTED = {
    "adjudicate": ("1",),
    "blockers": ("1",),
    "diff": ("1", "20"),
    "explain": ("agent-1",),
    "files": ("1",),
    "ledger": ("1",),
    "ledger 2": ("1", "verify"),
    "projections": ("list",),
    "projects": (),
    "quality": ("1", "--no-labels"),
    "reconcile": ("1",),
    "replay": (),
    "report": ("1",),
    "requesters": (),
    "resources list": (),
    "review": ("1",),
    "review 2": ("1", "--late"),
    "review 3": ("1", "--appeals"),
    "runs": (),
    "show": (),
    "status": ("1",),
    "tail": ("--from", "1", "--no-follow"),
    "timeline": ("unit-1",),
    "verify": (),
}
#: Verbs that need no log.
APART = {
    "check": (),
    USER_CONFIG: (),
    "design": ("--classes", "3", "--accuracy", "0.75", "--target-ci", "0.1"),
    "plugins": (),
    "wut": ("task",),
}
#: Verbs that change something or start programs: the test that has them print it compares it with the schema.
ELSEWHERE = {
    "check-config": "adapters/starters/test_new.py",
    "demo": "test_end_to_end.py",
    "import-mephisto": "adapters/mephisto_import/test_content.py",
    "log copy": "adapters/log/test_copying.py",
    "log update": "adapters/log/test_mirrored.py",
    "prove": "adapters/sealing/test_sealing.py",
    "rehearse": "adapters/rehearsal/test_rehearse.py",
    "seal": "adapters/sealing/test_sealing.py",
    "top": "adapters/cli/test_run_reports.py",
    "torture": "adapters/crowd/test_torture.py",
}
#: Verbs that `test_verbs_that_change_something` has print it.
CHANGING = ("backup", "bundle", "doctor", "erase", "pay", "restore")
#: What verbs print that need a server: it is encoded as they do.
OF_SERVERS: dict[str, msgspec.Struct] = {
    "operators": RunOperators(
        (RunOperator(run="run-1", operator="ada:7:1", since="2026-01-31", last_heartbeat=None, is_alive=True),)
    ),
    "router check": RouterFigures(page="none", operator_attached=False, outbox_length=0, version="0.1.0"),
}
#: Schemas of what no verb prints with `--json`.
OTHER = (ERROR, "preferences")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(6, 2, 3, lambda worker, item: {"label": "ab"[item % 2], "sure": worker}))
    return path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(command.main, [*map(str, words)])


def printing_verbs() -> Iterator[str]:
    """Yield the verbs that have `--json`, those of groups with the name of their group."""
    context = click.Context(command.main)
    for name in VERBS:
        verb = command.main.get_command(context, name)
        assert verb is not None
        members = (
            {f"{name} {each}": one for each, one in verb.commands.items()} if isinstance(verb, click.Group) else {}
        )
        for words, one in (members or {name: verb}).items():
            if any("--json" in param.opts for param in one.params):
                yield words


def test_every_verb_that_prints_json_has_a_schema_and_a_test() -> None:
    verbs = {USER_CONFIG if verb == "config" else verb for verb in printing_verbs()}
    assert verbs | set(OTHER) == set(SHAPES)
    tested = {name.rstrip(" 23") for name in PRINTED} | {*APART, *ELSEWHERE, *CHANGING, *OF_SERVERS}
    assert tested == verbs
    for verb, file in ELSEWHERE.items():
        assert f'assert_fits("{verb}",' in (TESTS / file).read_text(encoding="utf-8"), verb


@pytest.mark.parametrize("name", PRINTED)
def test_a_verb_prints_what_its_schema_says(name: str, database: Path) -> None:
    verb = name.rstrip(" 23")
    printed = run(*verb.split(), database, *PRINTED[name], "--json")
    assert printed.exit_code == 0, printed.output
    assert_fits(verb, printed.stdout)


@pytest.mark.parametrize("verb", APART)
def test_a_verb_without_a_log_prints_what_its_schema_says(verb: str) -> None:
    assert_fits(verb, run(verb.removeprefix("user-"), *APART[verb], "--json").stdout)


@pytest.mark.parametrize("verb", OF_SERVERS)
def test_what_is_printed_about_a_server_is_what_its_schema_says(verb: str) -> None:
    assert_fits(verb, msgspec.json.encode(OF_SERVERS[verb]).decode())


def test_verbs_that_change_something(database: Path, tmp_path: Path) -> None:
    log = tmp_path / "data" / "mephisto.db"
    log.parent.mkdir()
    assert_fits("backup", run("backup", database, "-o", log, "--json").stdout)
    assert_fits("bundle", run("bundle", log, "1", "-o", tmp_path / "bundle.zip", "--json").stdout)
    assert_fits("replay", run("replay", "--assert", tmp_path / "bundle.zip", "--json").stdout)
    assert_fits("projections", run("projections", log, "rebuild", "--json").stdout)
    assert run("review", log, "1", "--approve", "agent-1").exit_code == 0
    paid = assert_fits("pay", run("pay", log, "1", "--json").stdout)
    assert len(paid["to_pay"]) == 1
    assert_fits("doctor", run("doctor", log, "-o", tmp_path / "saved.db", "--json").stdout)
    assert_fits("erase", run("erase", log, "worker-1", "--reason", "asked us to", "--json").stdout)
    assert_fits("restore", run("restore", log, "-i", database, "--discard-newer", "--json").stdout)


@pytest.mark.parametrize(
    ("words", "verb", "exit_code"),
    [
        (("status", "nowhere.db", "--json"), "status", 2),
        (("status", "--jsno", "--json"), "status", 2),
        (("timeline", "unit-999999", "--json"), "timeline", 1),
        (("statsu", "--json"), None, 2),
        (("explain", "--json"), "explain", 2),
    ],
)
def test_a_failure_is_json_too(words: tuple[str, ...], verb: str | None, exit_code: int, database: Path) -> None:
    if words[0] == "timeline":
        words = (words[0], str(database), *words[1:])
    failed = run(*words)
    assert (failed.exit_code, failed.stderr) == (exit_code, "")
    assert assert_fits(ERROR, failed.stdout)["error"]["verb"] == verb


def test_what_does_not_fit_is_noticed(database: Path) -> None:
    """The check of schemas is not blind."""
    schema = json.loads(json.dumps(schema_of("status")))
    status = json.loads(run("status", database, "1", "--json").stdout)
    assert list(problems(status, schema, schema, "status")) == []
    assert list(problems({**status, "late": "many"}, schema, schema, "status")) != []
    assert list(problems({**status, "unknown": 1}, schema, schema, "status")) == ["status.unknown is not in the schema"]
    missing = {key: value for key, value in status.items() if key != "progress"}
    assert list(problems(missing, schema, schema, "status")) == ["status.progress is missing"]


def test_a_line_of_an_export_is_what_its_schema_says(database: Path) -> None:
    schema: Any = schema_of(EXPORT)
    for line in run("export", database, "1").stdout.splitlines():
        assert list(json.loads(line)) == list(schema["properties"]) == list(UnitRecord.__struct_fields__)
    assert schema["properties"]["created_at"] == {"type": "string", "format": "date-time"}
    assert schema["properties"]["worker_id"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}


@pytest.mark.parametrize("name", [EXPORT, *SHAPES])
def test_a_published_shape_loses_nothing(name: str) -> None:
    now = json.loads(json.dumps(schema_of(name)))
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
