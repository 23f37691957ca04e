"""The verbs that protect a log: verify, doctor, backup, on intact and damaged logs."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.composition.data_dir import LOCAL_DATA_DIR
from mephisto_es.adapters.log.anchor import anchor_path, last_anchor, line
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.registry import PROJECTIONS

from ...histories import history, numbered
from ..log.support import edited

HISTORY = history(Random(1), 300)
EVENTS = numbered(HISTORY)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Create a data folder with a log that was anchored twice."""
    folder = tmp_path / "data"
    folder.mkdir()
    with SqliteLog.create_or_open(folder / "mephisto.db", PROJECTIONS) as log:
        log.commit(HISTORY[:60])
        log.write_anchor()
        log.commit(HISTORY[60:])
    return folder


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))


def ask(*words: str | Path) -> Result:
    return CliRunner().invoke(command.main, list(map(str, words)))


def structured(code: int, *words: str | Path) -> Any:
    result = ask(*words, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def edit(path: Path, *statements: str) -> None:
    """Change a file past its triggers."""
    with edited(path) as db:
        for statement in statements:
            db.execute(statement)


def flip(path: Path, seq: int) -> None:
    """Change a letter of an event."""
    edit(path, f"UPDATE events SET data = CAST(replace(data, 'actor', 'sctor') AS BLOB) WHERE seq = {seq}")


# verify


def test_a_whole_log_is_said_to_be_whole(data: Path) -> None:
    said = ask("verify", data)
    assert said.exit_code == 0
    assert said.stdout.startswith(f"intact  {data / 'mephisto.db'}: {len(EVENTS):,} events")
    report = structured(0, "verify", data)
    assert (report["whole"], report["seq"], report["anchored_seq"]) == (True, len(EVENTS), len(EVENTS))
    assert report["chain"] == replay(data / "mephisto.db", ()).chain


def test_the_head_is_one_line_to_keep(data: Path) -> None:
    said = ask("verify", data, "--anchor")
    anchored = last_anchor(data / "mephisto.db")
    assert anchored is not None
    assert said.stdout == f"{line(anchored)}\n"


def test_an_event_that_was_changed_is_named(data: Path) -> None:
    flip(data / "mephisto.db", 70)
    report = structured(1, "verify", data)
    assert [(each["kind"], each["seq"]) for each in report["findings"]] == [("chain", 70)]
    said = ask("verify", data, "--anchor")
    assert said.exit_code == 1
    assert "not intact" in said.stdout
    assert "seq 70" in said.stdout


def test_who_rewrote_log_and_anchors_is_found_by_a_line_kept_elsewhere(data: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text(ask("verify", data, "--anchor").stdout)
    assert structured(0, "verify", data, "--kept", kept)["anchored_seq"] == len(EVENTS)
    anchor_path(data / "mephisto.db").unlink()
    edit(data / "mephisto.db", "DELETE FROM events WHERE seq > 100")
    assert structured(0, "verify", data)["notes"]
    report = structured(1, "verify", data, "--kept", kept)
    assert [each["kind"] for each in report["findings"]] == ["lost_tail"]
    missing = ask("verify", data, "--kept", tmp_path / "nowhere")
    assert missing.exit_code == 2
    assert "there is no anchor file at" in missing.stderr


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    SqliteLog.create_or_open(tmp_path / "log.db").close()
    assert structured(0, "verify", tmp_path / "log.db")["seq"] == 0


# doctor


def commands(path: Path) -> list[str]:
    with SqliteLog.open_read_only(path) as log:
        return [each.envelope.command for each in log.read()]


def quarantined(path: Path) -> list[Any]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_a_whole_log_is_copied_whole(data: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.db"
    done = structured(0, "doctor", data, "-o", saved)
    assert (done["whole"], done["seq"], done["quarantine"], done["faults"]) == (True, len(EVENTS), None, [])
    before, after = replay(data / "mephisto.db", PROJECTIONS), replay(saved, PROJECTIONS)
    assert after.legal
    assert (after.chain, after.views, after.payloads) == (before.chain, before.views, before.payloads)
    assert after.anchored_seq == len(EVENTS)
    with SqliteLog.open_read_only(saved) as new, SqliteLog.open_read_only(data / "mephisto.db") as old:
        assert new.pseudonym_key == old.pseudonym_key


def first_of_a_command(least: int) -> int:
    return next(each.seq for each in EVENTS if each.seq >= least and each.envelope.ordinal == 0)


def test_what_is_before_a_fault_is_saved_and_the_rest_is_kept_apart(data: Path, tmp_path: Path) -> None:
    saved, fault = tmp_path / "saved.db", first_of_a_command(100)
    flip(data / "mephisto.db", fault)
    before = (data / "mephisto.db").read_bytes()
    result = ask("doctor", data, "-o", saved)
    assert result.exit_code == 1
    assert f"{saved}: {fault - 1:,} events" in result.stdout
    assert f"seq {fault}" in result.stdout
    assert (data / "mephisto.db").read_bytes() == before
    assert replay(saved, PROJECTIONS).findings == ()
    rest = quarantined(tmp_path / "saved.db.quarantine")
    assert [row["seq"] for row in rest] == list(range(fault, len(EVENTS) + 1))
    said = json.loads(rest[1]["data"])
    assert (said["stream"], said["version"]) == (rest[1]["stream"], rest[1]["version"])
    assert len(rest[0]["chain"]) == 64


def test_half_a_command_is_not_saved(data: Path, tmp_path: Path) -> None:
    second = next(each.seq for each in EVENTS if each.seq > 100 and each.envelope.ordinal == 1)
    flip(data / "mephisto.db", second)
    assert structured(1, "doctor", data, "-o", tmp_path / "saved.db")["seq"] == second - 2
    assert EVENTS[second - 1].envelope.command not in commands(tmp_path / "saved.db")


def test_a_saved_log_goes_on(data: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.db"
    cut = first_of_a_command(100)
    edit(data / "mephisto.db", f"DELETE FROM events WHERE seq = {cut}")
    structured(1, "doctor", data, "-o", saved)
    done = set(commands(saved))
    with SqliteLog.create_or_open(saved, PROJECTIONS) as log:
        log.commit([request for request in HISTORY if request.command not in done])
    assert replay(saved, PROJECTIONS).seq == len(EVENTS)
    assert replay(saved, PROJECTIONS).legal


def test_a_lost_end_is_said_and_all_that_is_left_saved(data: Path, tmp_path: Path) -> None:
    edit(data / "mephisto.db", "DELETE FROM events WHERE seq > 100")
    done = structured(1, "doctor", data, "-o", tmp_path / "saved.db")
    assert [each["kind"] for each in done["faults"]] == ["lost_tail"]
    assert done["seq"] <= 100
    assert done["quarantined"] == 100 - done["seq"]


def test_events_after_the_last_anchor_that_agrees_are_not_relied_on(data: Path, tmp_path: Path) -> None:
    anchors = anchor_path(data / "mephisto.db")
    first, second = anchors.read_text().splitlines()
    forged = second.replace(second.split()[1], "ab" * 32)
    anchors.write_text(f"{first}\n{forged}\n")
    done = structured(1, "doctor", data, "-o", tmp_path / "saved.db")
    assert done["seq"] == int(first.split()[0])
    assert done["faults"][0]["kind"] == "anchor"


def test_a_file_that_breaks_off_gives_what_can_be_read(data: Path, tmp_path: Path) -> None:
    path = data / "mephisto.db"
    with closing(sqlite3.connect(path)) as db:
        page_bytes = db.execute("PRAGMA page_size").fetchone()[0]
        leaves = "SELECT pageno FROM dbstat WHERE name = 'events' AND pagetype = 'leaf' ORDER BY pageno"
        try:
            pages = [row[0] for row in db.execute(leaves)]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite was built without dbstat")
    with path.open("r+b") as file:
        file.seek((pages[len(pages) // 2] - 1) * page_bytes)
        file.write(bytes(page_bytes))
    done = structured(1, "doctor", path, "-o", tmp_path / "saved.db")
    assert 0 < done["seq"] < len(EVENTS)
    assert done["faults"][-1]["kind"] == "unreadable"
    assert replay(tmp_path / "saved.db", PROJECTIONS).legal


def test_bytes_that_are_no_text_are_kept_too(data: Path, tmp_path: Path) -> None:
    edit(data / "mephisto.db", f"UPDATE events SET data = x'ff00' WHERE seq = {len(EVENTS)}")
    structured(1, "doctor", data, "-o", tmp_path / "saved.db")
    last = quarantined(tmp_path / "saved.db.quarantine")[-1]
    assert (last["data"], last["data_base64"]) == (None, "/wA=")


# backup


def test_a_copy_of_a_log_that_is_being_written(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with SqliteLog.create_or_open(data / "mephisto.db", PROJECTIONS) as log:
        report = structured(0, "backup", data, "-o", copy)
        assert log.head().seq == report["seq"]
    assert (report["legal"], report["seq"], report["anchored_seq"]) == (True, len(EVENTS), len(EVENTS))
    assert sorted(file.name for file in tmp_path.iterdir() if "copy" in file.name) == ["copy.db", "copy.db.anchor"]
    assert replay(copy, PROJECTIONS).chain == replay(data / "mephisto.db", PROJECTIONS).chain
    with SqliteLog.create_or_open(copy, PROJECTIONS) as log:
        assert log.head().seq == len(EVENTS)


def test_a_copy_of_a_log_that_lost_its_end_says_so(data: Path, tmp_path: Path) -> None:
    edit(data / "mephisto.db", "DELETE FROM events WHERE seq > 100")
    report = structured(1, "backup", data, "-o", tmp_path / "copy.db")
    assert "lost_tail" in {each["kind"] for each in report["findings"]}


# all of them


@pytest.mark.parametrize("verb", ["doctor", "backup"])
def test_nothing_is_written_over(verb: str, data: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    there.write_text("somebody's")
    result = ask(verb, data, "-o", there)
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert there.read_text() == "somebody's"


@pytest.mark.parametrize("verb", ["doctor", "backup"])
def test_a_folder_that_is_not_there_leaves_nothing_behind(verb: str, data: Path, tmp_path: Path) -> None:
    result = ask(verb, data, "-o", tmp_path / "nowhere" / "new.db")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "nowhere").exists()


OUTPUT = {"verify": [], "doctor": ["-o", "new.db"], "backup": ["-o", "new.db"]}


@pytest.mark.parametrize("verb", OUTPUT)
def test_a_copied_file_needs_nothing_beside_it(
    verb: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    shutil.copy(data / "mephisto.db", elsewhere / "copied.db")
    assert structured(0, verb, "copied.db", *OUTPUT[verb])["seq"] == len(EVENTS)


@pytest.mark.parametrize("verb", OUTPUT)
def test_the_database_may_be_left_out(verb: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(data, tmp_path / LOCAL_DATA_DIR)
    assert structured(0, verb, *OUTPUT[verb])["seq"] == len(EVENTS)


@pytest.mark.parametrize("verb", OUTPUT)
def test_what_is_no_log_ends_in_a_sentence(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("no log\n" * 1000)
    for path in ("notes.txt", "nowhere.db"):
        result = ask(verb, path, *OUTPUT[verb])
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
        assert not Path("new.db").exists()


@pytest.mark.parametrize("verb", OUTPUT)
def test_help_has_an_example(verb: str) -> None:
    assert f"mephisto-es {verb} mephisto_data" in ask(verb, "--help").stdout
