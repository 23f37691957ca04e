"""`mephisto-es files`: the files that workers uploaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.exports.files import safe_name
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import RUN, sample_history
from ...sample_uploads import EVIL, add_uploads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder with a log and two uploads, of which one is here."""
    path = tmp_path / "data" / "mephisto.db"
    path.parent.mkdir()
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(sample_history())
    add_uploads(path)
    return path.parent


def ask(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(command.main, ["files", str(folder), str(RUN), *options])


def test_files_are_listed_and_those_that_are_away_counted(folder: Path) -> None:
    listed = ask(folder)
    assert listed.exit_code == 1
    assert "\x1b" not in listed.stdout
    assert "not here" in listed.stdout
    assert listed.stderr == "1 of the files are not here: the run's server may still have them\n"
    found = json.loads(ask(folder, "--json").stdout)
    assert found["missing"] == 1
    assert [(one["fieldname"], one["place"]) for one in found["files"]] == [("photo", "here"), ("voice", "away")]
    assert [one["sent_with"] for one in found["files"]] == ["agent_metadata_received"] * 2


def test_copies_stay_in_their_folder_under_safe_names(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copied = ask(folder, "-o", str(out))
    assert copied.exit_code == 1
    [copy] = list(out.rglob("*.png"))
    assert copy.read_bytes() == b"PNG"
    assert copy.parent.parent == out
    lines = [json.loads(line) for line in (out / "files.jsonl").read_text().splitlines()]
    assert [line["path"] for line in lines] == [copy.relative_to(out).as_posix(), None]
    assert lines[0]["originalname"] == EVIL


@pytest.mark.parametrize(
    ("original", "safe"),
    [
        ("me.png", "me.png"),
        (EVIL, "b_me_31m_.png"),
        ("", "file"),
        ("...", "file"),
        (".bashrc", "bashrc"),
        ("größe ß.txt", "größe_ß.txt"),
        ("x" * 300 + ".wav", "x" * 76 + ".wav"),
        ("a." + "y" * 300, "a." + "y" * 78),
    ],
)
def test_names_from_strangers_are_harmless(original: str, safe: str) -> None:
    assert safe_name(original) == safe


def test_a_run_without_uploads_has_an_empty_list(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(sample_history())
    copied = CliRunner().invoke(command.main, ["files", str(path), str(RUN), "-o", str(tmp_path / "new" / "uploads")])
    assert copied.exit_code == 0, copied.output
    assert (tmp_path / "new" / "uploads" / "files.jsonl").read_text() == ""
