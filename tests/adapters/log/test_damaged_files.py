"""Every command ends on any file, in time, with a named fault or a true verdict; and doctor saves what is whole."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random, SystemRandom

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.log.anchor import anchor_path
from mephisto_es.adapters.log.audit.replay import replay, verified
from mephisto_es.adapters.log.audit.salvage import salvage
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.reader import LogReader, ascending
from mephisto_es.core.errors import DamagedLogError, LogError, UnusableLogError
from mephisto_es.core.payloads import refs_of
from mephisto_es.events.base import PayloadRef
from mephisto_es.projections.audit.report import FindingKind
from mephisto_es.projections.mephisto_db import MephistoDB
from mephisto_es.projections.registry import PROJECTIONS

from ...histories import history
from .damaged_files import INDEX_LEAF, PAGE_BYTES, Original, make_originals, problems_of

#: Seeds of one test; `damaged_files.py` takes as many as you like.
SEEDS = 12


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Original]:
    return make_originals(tmp_path_factory.mktemp("originals"))


@pytest.fixture
def path(originals: list[Original], tmp_path: Path) -> Path:
    """A copy of a log that was closed."""
    shutil.copytree(originals[0].folder, tmp_path / "log")
    return tmp_path / "log" / "mephisto.db"


def check(originals: list[Original], folder: Path, seeds: list[int]) -> None:
    problems: list[str] = []
    for seed in seeds:
        problems += problems_of(originals[seed % 2], folder / str(seed), seed)
        shutil.rmtree(folder / str(seed))
    assert problems == []


@pytest.mark.parametrize("group", range(3))
def test_each_command_on_damaged_files(originals: list[Original], tmp_path: Path, group: int) -> None:
    check(originals, tmp_path, list(range(group * SEEDS, (group + 1) * SEEDS)))


def test_each_command_on_files_damaged_in_a_new_way(originals: list[Original], tmp_path: Path) -> None:
    check(originals, tmp_path, [SystemRandom().randrange(10**9) for _ in range(SEEDS)])


def test_doctor_answers_for_the_log_and_not_for_a_view_that_it_makes_anew(
    originals: list[Original], tmp_path: Path
) -> None:
    """A bit of a view was flipped; doctor was taken to be wrong because the log was intact."""
    check(originals, tmp_path, [357695954])


def test_doctor_trusts_no_event_if_the_key_of_their_chain_is_damaged(originals: list[Original], tmp_path: Path) -> None:
    """A bit of the key was flipped; doctor was asked to save events of which nobody can tell whether they are whole."""
    check(originals, tmp_path, [398152163])


def pages_of(path: Path, table: str) -> list[int]:
    """The offsets of the leaf pages of a table: those without which its rows cannot be read."""
    original = path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        query = f"SELECT count(*), sum(length(quote({'data' if table == 'events' else 'body'}))) FROM {table}"
        rows = db.execute(query).fetchone()
    found: list[int] = []
    for start in range(PAGE_BYTES, len(original), PAGE_BYTES):
        if original[start] != 13:
            continue
        path.write_bytes(original[:start] + bytes(PAGE_BYTES) + original[start + PAGE_BYTES :])
        with closing(sqlite3.connect(path)) as db:
            try:
                db.execute("SELECT pseudonym_key FROM meta").fetchone()
            except sqlite3.DatabaseError:
                continue  # a page of the schema
            try:
                changed = db.execute(query).fetchone() != rows
            except sqlite3.DatabaseError:
                changed = True
        if changed:
            found.append(start)
    path.write_bytes(original)
    return found


def zero(path: Path, start: int) -> None:
    data = bytearray(path.read_bytes())
    data[start : start + PAGE_BYTES] = bytes(PAGE_BYTES)
    path.write_bytes(data)


def ask(*words: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


def test_rows_that_go_backwards_are_refused() -> None:
    def rows() -> Iterator[tuple[int, str]]:
        yield from ((3, "a"), (4, "b"), (4, "c"))

    read = ascending(rows(), 2)
    assert [next(read), next(read)] == [(3, "a"), (4, "b")]
    with pytest.raises(DamagedLogError, match="seq 5: the rest of the file cannot be read: seq 4 comes after seq 4"):
        next(read)


def test_a_page_whose_end_was_lost_does_not_send_readers_back(path: Path) -> None:
    """The positions of its last rows are then 0, although the page says that they follow."""
    cut, refused = path.with_name("cut.db"), 0
    for page in pages_of(path, "events"):
        data = bytearray(path.read_bytes())
        data[page + PAGE_BYTES - 1234 : page + PAGE_BYTES] = bytes(1234)
        cut.write_bytes(data)
        seqs: list[int] = []
        with LogReader(cut) as log:
            try:
                seqs += (row.seq for row in log.raw())
            except DamagedLogError:
                refused += 1
        assert seqs == sorted(set(seqs))
        assert not verified(cut).whole
    assert refused


@pytest.mark.parametrize("verb", ["verify", "replay", "doctor"])
def test_a_file_without_its_end_is_named(path: Path, verb: str) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1234])
    options = ("-o", path.with_name("saved.db")) if verb == "doctor" else ()
    result = ask(verb, path, *options)
    assert result.exit_code == 1
    assert "SQLite finds the file damaged" in result.stdout


def test_a_bad_page_of_payloads_costs_no_event(path: Path, tmp_path: Path) -> None:
    with LogReader(path) as log:
        events = log.head().seq
    page, *_ = pages_of(path, "payloads")
    zero(path, page)
    saved = tmp_path / "saved.db"
    result = ask("doctor", path, "-o", saved, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["seq"], report["quarantined"]) == (events, 0)
    assert report["lost_payloads"] > 0
    assert report["payloads"] > 0
    kinds = {finding.kind for finding in replay(saved, PROJECTIONS).findings}
    assert kinds == {FindingKind.PAYLOAD_MISSING}
    assert "payloads are lost; their events are saved" in ask("doctor", path, "-o", tmp_path / "again.db").stdout


def test_events_after_a_bad_page_are_kept_for_people(path: Path, tmp_path: Path) -> None:
    with LogReader(path) as log:
        events = log.head().seq
    pages = pages_of(path, "events")
    zero(path, pages[len(pages) // 2])
    report = salvage(path, tmp_path / "saved.db", PROJECTIONS)
    lost = events - report.seq - report.quarantined
    assert report.quarantined > 0
    assert 0 < lost < 60
    assert verified(tmp_path / "saved.db").whole


def test_a_log_without_its_key_is_not_saved_under_another(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM meta")
        db.commit()
    result = ask("doctor", path, "-o", tmp_path / "saved.db")
    assert result.exit_code == 1
    assert "the key of the log is missing or damaged" in result.stderr
    assert list(tmp_path.glob("saved*")) == []


def test_errors_of_sqlite_while_reading_are_sentences(path: Path) -> None:
    page, *_ = pages_of(path, "payloads")
    zero(path, page)
    with LogReader(path) as log:
        refs = [ref for recorded in log.read() for ref in refs_of(recorded.envelope.event)]
        with pytest.raises(LogError, match=r"the payload .* cannot be read: .*mephisto-es verify"):
            list(map(log.payload, refs))


def test_a_reader_whose_file_loses_its_end_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(history(Random(3), 300))
    with LogReader(path) as reader, MephistoDB(path) as db:
        path.write_bytes(path.read_bytes()[:8192])
        for read in (
            reader.head,
            lambda: list(reader.read()),
            lambda: list(reader.raw()),
            lambda: reader.history("unit/1/1"),
            lambda: reader.find("x"),
            lambda: reader.chain_at(5),
            lambda: reader.pseudonym_key,
            reader.projection_positions,
            lambda: reader.payload(PayloadRef("00", 1)),
            lambda: db.find_units(),
            lambda: db.get_unit(1),
        ):
            with pytest.raises(LogError, match=r"cannot be read|malformed"):
                read()


def test_values_of_the_view_that_have_the_wrong_type(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA writable_schema=ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, 'STRICT', '') WHERE name = 'units'")
        db.commit()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE units SET pay_cents = 'much'")
        db.commit()
    with MephistoDB(path) as db, pytest.raises(UnusableLogError, match=r"units .*pay_cents.*projections rebuild"):
        db.find_units()


def test_the_rows_of_a_damaged_view_are_not_counted(path: Path) -> None:
    original = path.read_bytes()
    refused: list[str] = []
    for page in range(PAGE_BYTES, len(original), PAGE_BYTES):
        if original[page] != INDEX_LEAF:  # SQLite counts rows in the smallest index of a table
            continue
        zero(path, page)
        result = ask("projections", path, "list")
        refused += [result.stderr] if result.exit_code == 1 else []
        path.write_bytes(original)
    assert all("cannot be read: database disk image is malformed" in each for each in refused)
    assert any("the table units" in each for each in refused)


def test_an_anchor_file_without_line_ends(path: Path) -> None:
    anchor_path(path).write_bytes(b"7" * 5_000_000)
    report = verified(path)
    assert [finding.kind for finding in report.findings] == [FindingKind.ANCHOR]
