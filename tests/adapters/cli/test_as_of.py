"""The verbs about points in time and views: show, diff, projections."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlite_utils
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.composition.data_dir import LOCAL_DATA_DIR
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import TaskRunId
from mephisto_es.projections.engine.projection import ReadPayload
from mephisto_es.projections.mephisto_db import MephistoDB
from mephisto_es.projections.mephisto_db.tables import TABLES
from mephisto_es.projections.queries.diff import ChangeKind, changes
from mephisto_es.projections.queries.view_rows import counts_of, rows_of
from mephisto_es.projections.registry import PROJECTIONS

from ...histories import history, numbered
from ...projections.views import rebuilt
from ..log.support import RosterProjection, lives

HISTORY = history(Random(1), 400)
EVENTS = numbered(HISTORY)
Rows = dict[str, dict[Any, dict[str, Any]]]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    with SqliteLog.create_or_open(folder / "mephisto.db", PROJECTIONS) as log:
        log.commit(HISTORY)
    return folder


@pytest.fixture
def data(original: Path, tmp_path: Path) -> Path:
    """Copy the data folder, for a test that writes to it."""
    return Path(shutil.copytree(original, tmp_path / "data"))


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))


def ask(*words: str | Path | int) -> Result:
    return CliRunner().invoke(command.main, list(map(str, words)))


def answer(*words: str | Path | int) -> str:
    result = ask(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def structured(*words: str | Path | int) -> Any:
    return json.loads(answer(*words, "--json"))


def tables_at(seq: int, data: Path) -> Rows:
    """Return the tables after the first events, with the payloads that remain at the end."""
    with SqliteLog.open_read_only(data / "mephisto.db") as log, closing(rebuilt(EVENTS[:seq], log.payload)) as view:
        db = MephistoDB(view)
        return {table.name: {row[table.key]: row for row in rows_of(db, table)} for table in TABLES}


def keyed(shown: Any) -> Rows:
    return {table.name: {row[table.key]: row for row in shown["tables"][table.name]} for table in TABLES}


# show


@pytest.mark.parametrize("seq", [0, 1, 120, len(EVENTS) - 1, len(EVENTS)])
def test_a_position_shows_what_the_events_up_to_it_give(original: Path, seq: int) -> None:
    shown = structured("show", original, "--seq", seq)
    assert (shown["seq"], shown["at"]) == (seq, EVENTS[seq - 1].envelope.at if seq else 0)
    assert keyed(shown) == tables_at(seq, original)


def test_a_time_shows_all_that_had_happened_by_then(original: Path) -> None:
    assert structured("show", original, "--at", "2025-12-31")["seq"] == 0
    assert structured("show", original, "--at", "2030-01-01") == structured("show", original)


def test_people_see_how_many_rows_and_one_table_at_a_time(original: Path) -> None:
    shown = answer("show", original, "--seq", 200)
    rows = tables_at(200, original)
    assert shown.startswith("seq 200  2026-01-01 00:0")
    for table in TABLES:
        line = next(line for line in shown.splitlines() if line.startswith(f"{table.name} "))
        assert line.split()[1] == str(len(rows[table.name]))
    units = answer("show", original, "--seq", 200, "--table", "units").splitlines()
    assert units[1].split() == list(next(iter(rows["units"].values())))
    assert [int(line.split()[0]) for line in units[2:]] == list(rows["units"])


def test_a_run_shows_its_rows_and_those_they_refer_to(original: Path) -> None:
    everything = keyed(structured("show", original))
    runs = list(everything["task_runs"])
    assert len(runs) > 1
    for run in runs:
        shown = keyed(structured("show", original, "--run", run))
        assert list(shown["task_runs"]) == [run]
        for name in ("assignments", "units", "agents", "onboarding_agents"):
            assert shown[name] == {k: row for k, row in everything[name].items() if row["task_run_id"] == run}
        assert {row["agent_id"] for row in shown["agent_payloads"].values()} <= set(shown["agents"])
        assert {row["unit_id"] for row in shown["unit_review"].values()} <= set(shown["units"])
        workers = {row["worker_id"] for name in ("agents", "onboarding_agents") for row in shown[name].values()}
        assert set(shown["workers"]) == workers
        assert {row["worker_id"] for row in shown["granted_qualifications"].values()} <= workers
        assert len(shown["tasks"]) == len(shown["requesters"]) == 1
        assert shown["projects"] == {}
        with MephistoDB(original / "mephisto.db") as db:
            for table in TABLES:
                assert sum(counts_of(db, table, TaskRunId(run)).values()) == len(shown[table.name])


def test_what_is_asked_twice_or_not_there_is_refused(original: Path) -> None:
    both = ask("show", original, "--seq", 1, "--at", "2026-01-01")
    assert both.exit_code == 2
    beyond = ask("show", original, "--seq", 10**6)
    assert beyond.exit_code == 1
    assert f"the nearest is seq {len(EVENTS)}" in beyond.stderr


# diff


@pytest.mark.parametrize(("before", "after"), [(0, 50), (120, 240), (240, 120), (len(EVENTS), len(EVENTS))])
def test_the_changes_lead_from_one_moment_to_the_other(original: Path, before: int, after: int) -> None:
    found = structured("diff", original, before, after)
    assert (found["before"]["seq"], found["after"]["seq"]) == (before, after)
    rows = tables_at(before, original)
    columns = {table.name: table.columns for table in TABLES}
    for change in found["changes"]:
        table, key = change["table"], change["key"]
        if change["kind"] == "removed":
            assert rows[table].pop(key) == dict.fromkeys(columns[table]) | {
                name: old for name, (old, _) in change["columns"].items()
            }
            continue
        row = rows[table].setdefault(key, dict.fromkeys(columns[table]))
        for name, (old, new) in change["columns"].items():
            assert row[name] == old
            row[name] = new
    assert rows == tables_at(after, original)


def test_people_read_what_changed(original: Path) -> None:
    with SqliteLog.open_read_only(original / "mephisto.db") as log:
        views = [rebuilt(EVENTS[:seq], log.payload) for seq in (120, 240)]
    found = list(changes(*map(MephistoDB, views)))
    for view in views:
        view.close()
    lines = answer("diff", original, 120, 240).splitlines()
    assert lines[0] == "seq 120 to 240"
    assert [line[0] for line in lines[1:]] == [
        {ChangeKind.ADDED: "+", ChangeKind.CHANGED: "~", ChangeKind.REMOVED: "-"}[each.kind] for each in found
    ]
    assert any(" → " in line for line in lines)


def test_moments_may_be_times(original: Path) -> None:
    found = structured("diff", original, "2025-12-31", "2030-01-01")
    assert (found["before"]["seq"], found["after"]["seq"]) == (0, len(EVENTS))
    wrong = ask("diff", original, "yesterday", 4)
    assert wrong.exit_code == 2
    assert "'yesterday' is not a time" in wrong.stderr


# projections


def break_a_status(data: Path) -> None:
    with closing(sqlite3.connect(data / "mephisto.db", isolation_level=None)) as db:
        db.execute("UPDATE units SET status = 'nonsense' WHERE unit_id = (SELECT min(unit_id) FROM units)")


def test_the_views_are_listed(data: Path) -> None:
    (view,) = structured("projections", data, "list")["views"]
    assert (view["name"], view["seq"], view["head"], view["current"]) == (PROJECTIONS[0].name, *[len(EVENTS)] * 2, True)
    assert view["rows"] == {name: len(rows) for name, rows in tables_at(len(EVENTS), data).items()}
    with closing(sqlite3.connect(data / "mephisto.db", isolation_level=None)) as db:
        db.execute("UPDATE projections SET code = 'older'")
    assert "another version" in answer("projections", data, "list")


def test_a_rebuilt_view_is_compared_and_swapped(data: Path) -> None:
    before = structured("show", data)
    break_a_status(data)
    assert not replay(data / "mephisto.db", PROJECTIONS).legal
    (done,) = structured("projections", data, "rebuild")["rebuilt"]
    assert done["seq"] == len(EVENTS)
    (difference,) = done["differences"]
    assert "status is 'nonsense'" in difference
    assert structured("show", data) == before
    assert replay(data / "mephisto.db", PROJECTIONS).legal
    (again,) = structured("projections", data, "rebuild")["rebuilt"]
    assert (again["generation"], again["differences"]) == (done["generation"] + 1, [])


def test_a_view_of_another_version_is_made_anew_and_not_compared(data: Path) -> None:
    with closing(sqlite3.connect(data / "mephisto.db", isolation_level=None)) as db:
        db.execute("UPDATE projections SET code = 'older'")
    assert "the old one: was not compared" in answer("projections", data, "rebuild", "--name", PROJECTIONS[0].name)
    assert structured("projections", data, "list")["views"][0]["current"]


class Curious(RosterProjection):
    """A projection that looks, while it is built, at what others can read of it."""

    #: The same code as that of `Roster`, as far as its fingerprint goes.
    __module__ = RosterProjection.__module__

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seen: list[int] = []

    def create(self, db: sqlite_utils.Database) -> None:
        super().create(db)
        self._look()

    def apply(self, db: sqlite3.Connection, events: Sequence[RecordedEvent], payload: ReadPayload) -> None:
        super().apply(db, events, payload)
        self._look()

    def _look(self) -> None:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as db:
            self.seen.append(db.execute("SELECT count(*) FROM roster").fetchone()[0])


def test_readers_see_the_old_generation_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log.commit(lives(3))
        curious = Curious(path)
        assert log.rebuild(curious).differences == ()
        # Made and filled beside the file, then made and filled in it, inside the transaction that swaps.
        assert curious.seen == [3, 3, 3]


def test_an_operator_at_work_is_not_disturbed(data: Path) -> None:
    with SqliteLog.create_or_open(data / "mephisto.db", PROJECTIONS):
        result = ask("projections", data, "rebuild")
        assert result.exit_code == 2
        assert "is being written by process" in result.stderr
        assert structured("projections", data, "list")["views"][0]["current"]


# all of them

ARGUMENTS: dict[str, list[str | int]] = {"show": ["--seq", 100], "diff": [100, 120], "projections": ["list"]}


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_a_copied_file_needs_nothing_beside_it(verb: str, original: Path, tmp_path: Path) -> None:
    shutil.copy(original / "mephisto.db", tmp_path / "copied elsewhere.db")
    said = structured(verb, original, *ARGUMENTS[verb])
    assert structured(verb, tmp_path / "copied elsewhere.db", *ARGUMENTS[verb]) == said


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_the_database_may_be_left_out(verb: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data.rename(tmp_path / LOCAL_DATA_DIR)
    assert structured(verb, *ARGUMENTS[verb]) == structured(verb, tmp_path / LOCAL_DATA_DIR, *ARGUMENTS[verb])


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_what_is_no_log_ends_in_a_sentence(verb: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no log\n" * 1000)
    for path in (tmp_path / "notes.txt", tmp_path / "nowhere.db"):
        result = ask(verb, path, *ARGUMENTS[verb])
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_help_has_an_example(verb: str) -> None:
    assert f"mephisto-es {verb} mephisto_data" in ask(verb, "--help").stdout
