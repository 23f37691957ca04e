"""Everything that a log's decisions rest on is covered by its chain or checked by its audits."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from mephisto_es.adapters.log.anchor import anchor_path
from mephisto_es.adapters.log.audit.replay import replay, verified
from mephisto_es.adapters.log.sqlite import snapshots
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.chain import link
from mephisto_es.core.errors import UnusableLogError
from mephisto_es.core.payloads import commitment
from mephisto_es.core.ports import AppendResult
from mephisto_es.events import streams
from mephisto_es.events.ids import QualificationId, WorkerId
from mephisto_es.events.worker import QualificationChanged, QualificationGranted
from mephisto_es.projections.audit.report import Finding, FindingKind
from mephisto_es.projections.engine import rebuild

from .damaged_files import INDEX_LEAF, PAGE_BYTES
from .support import SALT, RosterProjection, edited, forget, lives, register, request, unit_request

UNITS = 40
EVENTS = 2 + 9 * UNITS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed, legal log: two workers and the lives of some units."""
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log.commit([register(1, "Ada"), register(2, "Grace")])
        requests = lives(UNITS)
        for start in range(0, len(requests), 50):
            log.commit(requests[start : start + 50])
    return path


def findings(path: Path) -> list[Finding]:
    """The findings of `replay`; the faults of the file itself are also found by `verify`."""
    found = list(replay(path, (RosterProjection(),)).findings)
    of_file = {FindingKind.STRUCTURE, FindingKind.SCHEMA, FindingKind.KEY, FindingKind.EPOCH, FindingKind.CHAIN}
    of_chain = verified(path, projections=(RosterProjection(),)).findings
    assert [one for one in found if one.kind in of_file] == [one for one in of_chain if one.kind in of_file]
    return found


def kinds(path: Path) -> list[FindingKind]:
    return [finding.kind for finding in findings(path)]


# Schema


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DROP TRIGGER events_stay", "the trigger 'events_stay' is missing"),
        ("DROP INDEX events_by_command", "the index 'events_by_command' is missing"),
        ("CREATE TRIGGER spy AFTER INSERT ON events BEGIN SELECT 1; END", "the trigger 'spy' does not belong in a log"),
        ("CREATE TRIGGER spy AFTER INSERT ON roster BEGIN SELECT 1; END", "the trigger 'spy' does not belong in a log"),
        ("CREATE UNIQUE INDEX brake ON events(kind, at, data)", "the index 'brake' does not belong in a log"),
        ("ALTER TABLE payloads ADD COLUMN more TEXT", "the table 'payloads' is not the one that a log has"),
    ],
)
def test_a_changed_schema_is_named_and_not_written_to(path: Path, statement: str, sentence: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
    (finding,) = findings(path)
    assert (finding.kind, finding.sentence) == (FindingKind.SCHEMA, sentence)
    with pytest.raises(UnusableLogError, match=rf"cannot be written to: {sentence}; let `mephisto-es doctor`"):
        SqliteLog.create_or_open(path)


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("CREATE TABLE diary(day TEXT)", "the table 'diary' does not belong in a log"),
        ("CREATE VIEW diary AS SELECT 1", "the view 'diary' does not belong in a log"),
        ("CREATE INDEX quick ON roster(kind)", "the table 'roster' of the view 'roster' has other columns or indexes"),
    ],
)
def test_a_foreign_table_is_named_and_does_no_harm(path: Path, statement: str, sentence: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
    (finding,) = findings(path)
    assert finding.kind is FindingKind.SCHEMA
    assert finding.sentence.startswith(sentence)
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        assert log.head().seq == EVENTS


def test_tables_beside_an_unknown_projection_may_be_its_own(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE diary(day TEXT)")
        db.execute("INSERT INTO projections VALUES ('diary', 1, 'newer', 3, 1)")
        db.commit()
    report = replay(path, (RosterProjection(),))
    assert report.legal
    assert "the view 'diary' is unknown to this version and was not compared" in report.notes


# Indexes


def damage_index(path: Path, text: bytes) -> None:
    """Change a letter of a value in an index, and nowhere else."""
    data = bytearray(path.read_bytes())
    (place,) = (
        start + data[start : start + PAGE_BYTES].index(text)
        for start in range(0, len(data), PAGE_BYTES)
        if data[start] == INDEX_LEAF and text in data[start : start + PAGE_BYTES]
    )
    data[place + len(text) - 1] ^= 1
    path.write_bytes(data)


def test_a_damaged_index_is_named_before_and_after_it_lets_a_command_in_twice(path: Path) -> None:
    qualification, stream = QualificationId(5), streams.worker(WorkerId(1))
    granted = request("grant-it", (stream, QualificationGranted(qualification=qualification, value=1)))
    changed = request("change-it", (stream, QualificationChanged(qualification=qualification, value=2)))
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log.commit([granted, changed])
    damage_index(path, b"change-it")
    assert set(kinds(path)) == {FindingKind.STRUCTURE}
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        # The writer looks at the tail only, and in the index.
        (outcome,) = log.commit([changed])
        assert isinstance(outcome, AppendResult)
        assert not outcome.repeated
    found = {finding.kind: finding for finding in findings(path)}
    assert set(found) == {FindingKind.STRUCTURE, FindingKind.COMMAND}
    assert (found[FindingKind.COMMAND].seq, found[FindingKind.COMMAND].found) == (
        EVENTS + 3,
        f"the command of seq {EVENTS + 2}",
    )


def test_a_command_that_occurs_twice_is_named(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP INDEX events_by_command")
        db.execute("DROP TRIGGER events_stay")
        (command,) = db.execute("SELECT command FROM events WHERE seq = 20").fetchone()
        db.execute("UPDATE events SET command = ? WHERE seq = 90", (command,))
    found = [finding for finding in findings(path) if finding.kind is FindingKind.COMMAND]
    assert [(one.seq, one.sentence) for one in found] == [
        (90, f"seq 90: the command {command!r} was executed before, at seq 20")
    ]


def test_events_of_a_command_that_are_not_adjacent_are_named(path: Path) -> None:
    def reordered(data: bytes) -> bytes:
        return data.replace(b'"ordinal":0', b'"ordinal":1')

    rechain(path, {60: reordered}, command=None)
    (finding,) = findings(path)
    assert (finding.kind, finding.seq) == (FindingKind.COMMAND, 60)
    assert "it is event 1 of its command, but does not follow event 0 of it" in finding.sentence


def rechain(path: Path, changes: dict[int, Callable[[bytes], bytes]], command: str | None = "same") -> None:
    """Change events, and make the chain agree with them, as somebody who can write the file does."""
    with SqliteLog.open_read_only(path) as log:
        chain = log.genesis
    with edited(path) as db:
        for seq, epoch, data in db.execute("SELECT seq, epoch, data FROM events ORDER BY seq").fetchall():
            after = changes[seq](data) if seq in changes else data
            chain = link(chain, seq, epoch, after)
            db.execute("UPDATE events SET data = ?, chain = ? WHERE seq = ?", (after, chain, seq))
            if seq in changes and command is None:
                db.execute("UPDATE events SET command = NULL WHERE seq = ?", (seq,))
    anchor_path(path).unlink()


# What decides and is no event


@pytest.mark.parametrize("column", ["pseudonym_key", "created_by"])
def test_the_key_and_the_origin_of_a_log_are_part_of_its_chain(path: Path, column: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"UPDATE meta SET {column} = ?", (bytes(32) if column == "pseudonym_key" else "another",))
        db.commit()
    (finding,) = findings(path)
    assert (finding.kind, finding.seq) == (FindingKind.CHAIN, 1)


def test_a_log_without_its_key(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM meta")
        db.commit()
    (finding,) = findings(path)
    assert (finding.kind, finding.sentence) == (
        FindingKind.KEY,
        "the key of the log is missing or damaged; restore a backup",
    )


def test_the_epoch_of_an_event_is_part_of_the_chain(path: Path) -> None:
    with edited(path) as db:
        db.execute("UPDATE events SET epoch = 2 WHERE seq >= 100")
    assert kinds(path)[0] is FindingKind.CHAIN


def test_an_event_that_a_fenced_writer_appended(path: Path) -> None:
    SqliteLog.create_or_open(path).close()
    with SqliteLog.create_or_open(path) as log:
        log.commit([unit_request(UNITS + 1, 0)])
        assert log.epoch == 3
    with edited(path) as db:
        data = db.execute("SELECT data FROM events WHERE seq = ?", (EVENTS,)).fetchone()[0]
        before = db.execute("SELECT chain FROM events WHERE seq = ?", (EVENTS - 1,)).fetchone()[0]
        chain = link(before, EVENTS, 4, data)
        db.execute("UPDATE events SET epoch = 4, chain = ? WHERE seq = ?", (chain, EVENTS))
        data = db.execute("SELECT data FROM events WHERE seq = ?", (EVENTS + 1,)).fetchone()[0]
        chain = link(chain, EVENTS + 1, 3, data)
        db.execute("UPDATE events SET chain = ? WHERE seq = ?", (chain, EVENTS + 1))
    anchor_path(path).unlink()
    late, stored = findings(path)
    assert (late.kind, late.seq) == (FindingKind.EPOCH, EVENTS + 1)
    assert "writer 3 appended it, after writer 4 had taken over" in late.sentence
    assert stored.sentence == "the log says that its last writer was 3, but writer 4 appended to it"


def test_a_stored_epoch_that_is_too_low_is_named_and_not_used(path: Path) -> None:
    for _ in range(2):
        with SqliteLog.create_or_open(path) as log:
            log.commit([unit_request(UNITS + log.epoch, 0)])
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE writer SET epoch = 1")
        db.commit()
    (finding,) = findings(path)
    assert (finding.kind, finding.expected, finding.found) == (FindingKind.EPOCH, "at least 3", "1")
    with SqliteLog.create_or_open(path) as log:
        assert log.epoch == 4


@pytest.mark.parametrize("subject", [2, None])
def test_the_owner_of_a_payload_is_part_of_its_commitment(path: Path, subject: int | None) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE payloads SET subject = ? WHERE subject = 1", (subject,))
        db.commit()
    (finding,) = findings(path)
    assert finding.kind is FindingKind.PAYLOAD_CHANGED
    assert finding.expected == commitment(b"Ada", SALT, WorkerId(1)).sha256


def test_a_payload_that_was_taken_from_its_owner_and_erased_with_another(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE payloads SET subject = 2 WHERE subject = 1")
        db.commit()
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log.commit([forget(2)])
    (finding,) = [one for one in findings(path) if one.kind is FindingKind.PAYLOAD_MISSING]
    assert (finding.seq, finding.stream) == (1, "worker/1")


def test_a_salt_cannot_absorb_a_part_of_the_body(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE payloads SET salt = ?, body = ? WHERE subject = 1", (SALT + b"A", b"da"))
        db.commit()
    assert kinds(path)[0] is FindingKind.PAYLOAD_CHANGED


# Snapshots


@pytest.fixture
def with_snapshot(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log with a snapshot of its view in the middle."""
    monkeypatch.setattr(rebuild, "BATCH_EVENTS", 50)
    monkeypatch.setattr(snapshots, "SNAPSHOT_EVENTS", 200)
    with SqliteLog.create_or_open(path) as log:
        log.rebuild(RosterProjection())
    assert replay(path, (RosterProjection(),)).legal
    return path


def test_a_snapshot_that_was_forged_is_named(with_snapshot: Path) -> None:
    projection = RosterProjection()
    with closing(sqlite3.connect(with_snapshot)) as db:
        forged = snapshots.at(db, projection, 200)
        assert forged is not None
        forged.view.execute("UPDATE roster SET version = 99 WHERE stream = 'unit/1/7'")
        state = zlib.compress(forged.view.serialize())
        (chain,) = db.execute("SELECT chain FROM events WHERE seq = 200").fetchone()
        (code,) = db.execute("SELECT code FROM snapshots").fetchone()
        digest = sha256(chain + code.encode() + state).digest()
        db.execute("UPDATE snapshots SET state = ?, digest = ?", (state, digest))
        db.commit()
    (finding,) = findings(with_snapshot)
    assert (finding.kind, finding.seq) == (FindingKind.SNAPSHOT, 200)
    assert "roster['unit/1/7'].version is 99, but the log gives" in finding.sentence


def test_a_snapshot_that_is_damaged_is_named(with_snapshot: Path) -> None:
    with closing(sqlite3.connect(with_snapshot)) as db:
        db.execute("UPDATE snapshots SET state = zeroblob(length(state))")
        db.commit()
    (finding,) = findings(with_snapshot)
    assert (finding.kind, finding.seq) == (FindingKind.SNAPSHOT, 200)
    assert "it is damaged" in finding.sentence
