"""Every damage to a log file is noticed and named; a log without damage is legal."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mephisto_es.adapters.log.anchor import anchor_path, append_anchor
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.chain import genesis, link
from mephisto_es.core.errors import UnusableLogError
from mephisto_es.core.ports import Head
from mephisto_es.events import codec
from mephisto_es.events.base import Event
from mephisto_es.events.unit import UnitLaunched
from mephisto_es.events.upcasting import Upcasters
from mephisto_es.projections.audit.report import FindingKind, ReplayReport

from .support import RosterProjection, edited, kinds, lives, only, register, unit_request, unit_stream

UNITS = 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed, legal log: two workers and the lives of some units."""
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log.commit([register(1, "Ada"), register(2, "Grace")])
        requests = lives(UNITS)
        for start in range(0, len(requests), 50):
            log.commit(requests[start : start + 50])
            log.write_anchor()
    return path


EVENTS = 2 + 9 * UNITS


def audited(path: Path) -> ReplayReport:
    report = replay(path, (RosterProjection(),))
    assert report.legal == (not report.findings)
    return report


def test_a_log_without_damage_is_legal(path: Path) -> None:
    report = audited(path)
    assert report.findings == ()
    assert report.events == report.seq == report.anchored_seq == EVENTS
    assert report.streams == {"unit": UNITS, "worker": 2}
    assert report.units == {"accepted": UNITS}
    assert report.views == {"roster": UNITS + 4}
    assert (report.payloads, report.erased_payloads) == (2, 0)
    assert report.notes == ()


def test_an_empty_log_is_legal(tmp_path: Path) -> None:
    SqliteLog.create_or_open(tmp_path / "log.db", (RosterProjection(),)).close()
    report = audited(tmp_path / "log.db")
    assert report.legal
    assert report.events == 0


def test_every_prefix_of_a_log_is_a_legal_log(path: Path, tmp_path: Path) -> None:
    for length in range(0, EVENTS, 23):
        copy = tmp_path / f"prefix-{length}.db"
        shutil.copy(path, copy)
        with edited(copy) as db:
            db.execute("DELETE FROM events WHERE seq > ?", (length,))
            db.execute("DELETE FROM projections")
            for table in RosterProjection.tables:
                db.execute(f"DROP TABLE {table}")
        report = replay(copy, (RosterProjection(),))
        assert report.findings == ()
        assert report.events == length


def test_auditing_a_log_that_is_being_written(path: Path) -> None:
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        for number in range(1000, 1010):
            log.commit([unit_request(number, 0)])
            log.write_anchor()
            assert audited(path).findings == ()


def flip_data(db: sqlite3.Connection, seq: int) -> None:
    (data,) = db.execute("SELECT data FROM events WHERE seq = ?", (seq,)).fetchone()
    place = data.index(b"operator")
    db.execute("UPDATE events SET data = ? WHERE seq = ?", (data[:place] + b"O" + data[place + 1 :], seq))


def test_a_flipped_byte_in_an_event(path: Path) -> None:
    with edited(path) as db:
        flip_data(db, 100)
    finding = only(audited(path))
    assert (finding.kind, finding.seq) == (FindingKind.CHAIN, 100)
    assert finding.stream is not None
    assert finding.sentence.startswith(f"seq 100 ({finding.stream}): the chain is broken")


@pytest.mark.parametrize("place", [0, 1, 5, 20, 60, -1])
def test_a_flipped_bit_anywhere_in_an_event(path: Path, place: int) -> None:
    with edited(path) as db:
        (data,) = db.execute("SELECT data FROM events WHERE seq = 100").fetchone()
        flipped = bytearray(data)
        flipped[place] ^= 1
        db.execute("UPDATE events SET data = ? WHERE seq = 100", (bytes(flipped),))
    report = audited(path)
    assert FindingKind.CHAIN in kinds(report)
    assert {finding.seq for finding in report.findings} == {100}


def test_a_flipped_byte_in_the_chain(path: Path) -> None:
    with edited(path) as db:
        db.execute("UPDATE events SET chain = zeroblob(32) WHERE seq = 101")
    finding = only(audited(path))
    assert (finding.kind, finding.seq) == (FindingKind.CHAIN, 101)
    assert finding.found == "00" * 32


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("stream", "unit/1/9999"),
        ("version", 77),
        ("kind", "unit_adored"),
        ("at", 999),
        ("command", "another"),
    ],
)
def test_a_changed_column(path: Path, column: str, value: str | int) -> None:
    with edited(path) as db:
        db.execute(f"UPDATE events SET {column} = ? WHERE seq = 100", (value,))
    finding = only(audited(path))
    assert (finding.kind, finding.seq, finding.found) == (FindingKind.COLUMN, 100, str(value))
    assert f"column {column} is {value!r}" in finding.sentence


@pytest.mark.parametrize("place", range(1, 9))
def test_a_row_that_says_wrong_what_its_columns_are(path: Path, place: int) -> None:
    with closing(sqlite3.connect(path)) as db:
        stream, data = db.execute("SELECT stream, data FROM events WHERE seq = 100").fetchone()
    content = bytearray(path.read_bytes())
    # A row's columns follow what it says of their types, from the stream on: 0 stands for NULL.
    content[content.rindex(stream.encode(), 0, content.index(data)) - place] = 0
    path.write_bytes(content)
    report = audited(path)
    assert not report.legal
    assert any(finding.seq in (None, 100) for finding in report.findings)


def test_a_deleted_row(path: Path) -> None:
    with edited(path) as db:
        (stream,) = db.execute("SELECT stream FROM events WHERE seq = 100").fetchone()
        db.execute("DELETE FROM events WHERE seq = 100")
    report = audited(path)
    assert report.findings[0].kind is FindingKind.MISSING_EVENT
    assert report.findings[0].seq == 100
    assert kinds(report)[1:] == [FindingKind.VERSION]
    assert report.findings[1].stream == stream
    assert report.events == EVENTS - 1


def test_the_first_row_deleted(path: Path) -> None:
    with edited(path) as db:
        db.execute("DELETE FROM events WHERE seq <= 3")
    report = audited(path)
    assert (report.findings[0].kind, report.findings[0].seq) == (FindingKind.MISSING_EVENT, 1)
    assert "up to seq 3" in report.findings[0].sentence


def test_swapped_rows(path: Path) -> None:
    with edited(path) as db:
        db.execute("UPDATE events SET seq = -1 WHERE seq = 100")
        db.execute("UPDATE events SET seq = 100 WHERE seq = 103")
        db.execute("UPDATE events SET seq = 103 WHERE seq = -1")
    report = audited(path)
    assert {finding.seq for finding in report.findings if finding.kind is FindingKind.CHAIN} >= {100, 103}


def test_a_cut_tail(path: Path) -> None:
    with edited(path) as db:
        db.execute("DELETE FROM events WHERE seq > 300")
    finding = only(audited(path))
    assert (finding.kind, finding.seq, finding.expected) == (FindingKind.LOST_TAIL, 300, str(EVENTS))


def test_a_cut_tail_without_an_anchor_shows_in_the_view(path: Path) -> None:
    anchor_path(path).unlink()
    with edited(path) as db:
        db.execute("DELETE FROM events WHERE seq > 300")
    report = audited(path)
    assert report.findings[0].kind is FindingKind.LOST_TAIL
    assert any("no anchor file" in note for note in report.notes)


def test_a_log_rewritten_from_an_event_on_differs_from_its_anchor(path: Path) -> None:
    with edited(path) as db:
        flip_data(db, 200)
        chain = genesis_of(db)
        for seq, epoch, data in db.execute("SELECT seq, epoch, data FROM events ORDER BY seq").fetchall():
            chain = link(chain, seq, epoch, data)
            db.execute("UPDATE events SET chain = ? WHERE seq = ?", (chain, seq))
    report = audited(path)
    assert set(kinds(report)) == {FindingKind.ANCHOR}
    assert report.findings[0].seq == 202  # the first anchor after it: commits of 50 after one of 2


def test_an_event_that_is_not_json(path: Path) -> None:
    with edited(path) as db:
        db.execute("UPDATE events SET data = ? WHERE seq = 100", (b"\xff\xfe",))
    report = audited(path)
    assert kinds(report) == [FindingKind.CHAIN, FindingKind.UNDECODABLE]
    assert [finding.seq for finding in report.findings] == [100, 100]


def genesis_of(db: sqlite3.Connection) -> bytes:
    return genesis(*db.execute("SELECT pseudonym_key, created_by FROM meta").fetchone())


def forged(path: Path, change: Callable[[bytes], bytes], seq: int) -> None:
    """Change an event and make chain and anchor agree with it, as only somebody with both files can."""
    with edited(path) as db:
        chain, at = genesis_of(db), 0
        rows = db.execute("SELECT seq, epoch, data, at FROM events ORDER BY seq").fetchall()
        for position, epoch, data, when in rows:
            after = change(data) if position == seq else data
            chain, at = link(chain, position, epoch, after), when
            db.execute("UPDATE events SET data = ?, chain = ? WHERE seq = ?", (after, chain, position))
    anchor_path(path).unlink()
    append_anchor(path, Head(EVENTS, chain, at))


def test_an_illegal_step_with_a_whole_chain(path: Path) -> None:
    launched = 2 + UNITS + 5
    forged(path, lambda data: data.replace(b'{"kind":"unit_launched"}', b'{"kind":"unit_accepted"}'), launched)
    with edited(path) as db:
        db.execute("UPDATE events SET kind = 'unit_accepted' WHERE seq = ?", (launched,))
    finding = only(audited(path))
    assert (finding.kind, finding.seq, finding.stream) == (FindingKind.ILLEGAL_STEP, launched, unit_stream(5))
    assert "unit_accepted is not a legal step from 'created'" in finding.sentence


def test_a_kind_of_a_newer_version(path: Path) -> None:
    forged(path, lambda data: data.replace(b'{"kind":"unit_launched"}', b'{"kind":"unit_adored"}'), 2 + UNITS + 5)
    finding = only(audited(path))
    assert finding.kind is FindingKind.UNKNOWN_KIND
    assert "'unit_adored'" in finding.sentence


def test_an_event_in_a_stream_where_it_does_not_belong(path: Path) -> None:
    forged(path, lambda data: data.replace(b'"stream":"worker/2"', b'"stream":"agent/1/2"'), 2)
    with edited(path) as db:
        db.execute("UPDATE events SET stream = 'agent/1/2' WHERE seq = 2")
    finding = only(audited(path))
    assert (finding.kind, finding.seq, finding.stream) == (FindingKind.WRONG_STREAM, 2, "agent/1/2")
    assert (finding.expected, finding.found) == ("worker", "agent")
    assert "worker_registered belongs in streams of the category 'worker'" in finding.sentence


class UnitOffered(Event, frozen=True, kw_only=True, tag="unit_offered"):
    """The event that an earlier release wrote for `UnitLaunched`."""


def test_a_retired_event_is_legal_under_its_own_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retired = Upcasters()
    retired.add(UnitOffered, lambda _: UnitLaunched())
    monkeypatch.setattr(codec._codec, "_upcasters", retired)
    launched = 2 + UNITS + 5
    forged(path, lambda data: data.replace(b'{"kind":"unit_launched"}', b'{"kind":"unit_offered"}'), launched)
    finding = only(audited(path))
    assert (finding.kind, finding.seq) == (FindingKind.COLUMN, launched)
    assert "column kind is 'unit_launched', but the event says 'unit_offered'" in finding.sentence
    with edited(path) as db:
        db.execute("UPDATE events SET kind = 'unit_offered' WHERE seq = ?", (launched,))
    with SqliteLog.open_read_only(path) as log:
        assert list(log.read())[launched - 1].envelope.event == UnitLaunched()
        assert log.history(unit_stream(5))[1].envelope.event == UnitLaunched()
    report = audited(path)
    assert report.legal
    assert report.views == {"roster": UNITS + 4}


def test_a_time_that_falls(path: Path) -> None:
    forged(path, lambda data: data.replace(b'"at":1000', b'"at":999'), 100)
    with edited(path) as db:
        db.execute("UPDATE events SET at = 999 WHERE seq = 100")
    assert (only(audited(path)).kind, only(audited(path)).seq) == (FindingKind.TIME, 100)


def test_a_garbage_page(path: Path) -> None:
    size = path.stat().st_size
    seen = 0
    for page in range(1, size // 4096):
        copy = path.with_name("garbage.db")
        shutil.copy(path, copy)
        shutil.copy(anchor_path(path), anchor_path(copy))
        with copy.open("r+b") as file:
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
        try:
            report = replay(copy, (RosterProjection(),))
        except UnusableLogError:
            seen += 1
            continue
        assert not report.legal, f"page {page} of garbage was not noticed"
        seen += 1
    assert seen == size // 4096 - 1


def live_copy(path: Path) -> tuple[Path, int]:
    """A copy, with everything beside it, of a log whose last 100 commits are only in its `-wal` file."""
    copy = path.with_name("copy.db")
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log._db.execute("PRAGMA wal_autocheckpoint=0")
        for number in range(1000, 1100):
            log.commit([unit_request(number, 0)])
        log.write_anchor()
        for suffix in ("", "-wal", ".anchor"):
            shutil.copy(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
        return copy, log.head().seq


def test_a_copy_with_its_wal_is_whole(path: Path) -> None:
    copy, seq = live_copy(path)
    assert audited(copy).findings == ()
    assert audited(copy).seq == seq


def test_a_copy_without_its_wal(path: Path) -> None:
    copy, seq = live_copy(path)
    copy.with_name("copy.db-wal").unlink()
    finding = only(audited(copy))
    assert (finding.kind, finding.expected) == (FindingKind.LOST_TAIL, str(seq))


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_wal_that_is_cut_or_flipped(path: Path, damage: str) -> None:
    copy, seq = live_copy(path)
    wal = copy.with_name("copy.db-wal")
    content = bytearray(wal.read_bytes())
    place = len(content) * 6 // 10
    if damage == "cut":
        del content[place:]
    else:
        content[place] ^= 1
    wal.write_bytes(content)
    finding = only(audited(copy))
    assert (finding.kind, finding.expected) == (FindingKind.LOST_TAIL, str(seq))
    assert EVENTS <= int(finding.found or 0) < seq


def test_a_first_fault_does_not_hide_the_next(path: Path) -> None:
    with edited(path) as db:
        flip_data(db, 50)
        flip_data(db, 51)
        flip_data(db, 150)
        db.execute("UPDATE events SET version = 50 WHERE seq = 200")
        db.execute("DELETE FROM events WHERE seq > 300")
    assert [(finding.kind, finding.seq) for finding in audited(path).findings] == [
        (FindingKind.CHAIN, 50),
        (FindingKind.CHAIN, 51),
        (FindingKind.CHAIN, 150),
        (FindingKind.COLUMN, 200),
        (FindingKind.LOST_TAIL, 300),
    ]


def test_findings_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mephisto_es.projections.audit.report.MAX_FINDINGS", 10)
    with edited(path) as db:
        db.execute("UPDATE events SET at = seq")
    report = audited(path)
    assert len(report.findings) == 10
    assert report.findings_left_out == EVENTS - 10
