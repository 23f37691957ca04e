"""Audits of the views and payloads of a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.payloads import commitment
from mephisto_es.events.ids import WorkerId
from mephisto_es.projections.audit.report import FindingKind, ReplayReport

from .support import SALT, RosterProjection, edited, forget, kinds, lives, only, register, unit_stream

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


def test_a_changed_status_in_the_view(path: Path) -> None:
    with edited(path) as db:
        db.execute("UPDATE roster SET kind = 'UnitRejected' WHERE stream = ?", (unit_stream(7),))
    finding = only(audited(path))
    assert finding.kind is FindingKind.VIEW
    assert finding.sentence == f"roster['{unit_stream(7)}'].kind is 'UnitRejected', but the log gives 'UnitAccepted'"


def test_a_row_too_many_and_one_too_few_in_the_view(path: Path) -> None:
    with edited(path) as db:
        db.execute("DELETE FROM roster WHERE stream = ?", (unit_stream(7),))
        db.execute("INSERT INTO roster VALUES ('unit/1/70000', 1, 'UnitCreated')")
    sentences = {finding.sentence for finding in audited(path).findings}
    assert sentences == {
        f"roster['{unit_stream(7)}'] is missing",
        "roster['unit/1/70000'] is stored, but does not follow from the log",
    }


def test_a_view_that_is_gone(path: Path) -> None:
    with edited(path) as db:
        db.execute("DROP TABLE roster")
    assert set(kinds(audited(path))) == {FindingKind.VIEW}


def test_a_payload_that_was_changed(path: Path) -> None:
    with edited(path) as db:
        db.execute("UPDATE payloads SET body = CAST('Eve' AS BLOB) WHERE body = CAST('Ada' AS BLOB)")
    report = audited(path)
    changed = next(finding for finding in report.findings if finding.kind is FindingKind.PAYLOAD_CHANGED)
    assert changed.expected == commitment(b"Ada", SALT, WorkerId(1)).sha256


def test_a_payload_that_is_gone(path: Path) -> None:
    with edited(path) as db:
        db.execute("DELETE FROM payloads WHERE body = CAST('Ada' AS BLOB)")
    report = audited(path)
    missing = next(finding for finding in report.findings if finding.kind is FindingKind.PAYLOAD_MISSING)
    assert (missing.seq, missing.stream) == (1, "worker/1")


def test_a_forgotten_worker_is_no_fault(path: Path) -> None:
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log.commit([forget(1)])
    report = audited(path)
    assert report.findings == ()
    assert (report.payloads, report.erased_payloads) == (1, 1)


def test_an_unknown_view_is_said_not_to_be_compared(path: Path) -> None:
    report = replay(path, ())
    assert report.legal
    assert report.notes == ("the view 'roster' is unknown to this version and was not compared",)
