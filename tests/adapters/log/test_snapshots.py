"""Snapshots: reads as of a position are the same with and without them, and an invalid one is ignored."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite import snapshots
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.engine import rebuild
from mephisto_es.projections.mephisto_db.tables import TABLES
from mephisto_es.projections.registry import PROJECTIONS

from ...histories import history
from .support import forget, register

HISTORY = history(Random(1), 300)
Tables = dict[str, list[tuple[object, ...]]]
#: Positions beside snapshots, on them, and before the first.
PLACES = (1, 49, 50, 51, 120, 150, 199)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots of logs that a test can afford."""
    monkeypatch.setattr(snapshots, "SNAPSHOT_EVENTS", 50)
    monkeypatch.setattr(rebuild, "BATCH_EVENTS", 25)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(HISTORY)
    return path


def rebuild_views(path: Path) -> None:
    with SqliteLog.create_or_open(path) as log:
        for projection in PROJECTIONS:
            log.rebuild(projection)


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def stored(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        return [seq for (seq,) in db.execute("SELECT seq FROM snapshots ORDER BY seq")]


def shown(path: Path, seq: int) -> Tables:
    with open_as_of(path, seq=seq) as as_of:
        return {t.name: as_of.db.execute(f"SELECT * FROM {t.name} ORDER BY 1").fetchall() for t in TABLES}


def test_a_moment_is_the_same_with_them_and_without(path: Path) -> None:
    assert stored(path) == []
    folded = {seq: shown(path, seq) for seq in PLACES}
    rebuild_views(path)
    assert stored(path) == list(range(50, replay(path, ()).seq + 1, 50))
    assert {seq: shown(path, seq) for seq in PLACES} == folded
    assert replay(path, PROJECTIONS).legal


def test_the_events_before_one_are_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rebuild_views(path)
    folded: list[int] = []
    apply = rebuild.apply_batch

    def counting(db: sqlite3.Connection, projections: object, page: list[object], payload: object) -> None:
        folded.append(len(page))
        apply(db, projections, page, payload)  # type: ignore[arg-type]  # whatever it was called with

    monkeypatch.setattr(rebuild, "apply_batch", counting)
    shown(path, 120)
    assert sum(folded) == 20


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE snapshots SET state = zeroblob(length(state))",
        "UPDATE snapshots SET digest = zeroblob(32)",
        "UPDATE snapshots SET seq = seq + 1000 WHERE seq = 100; UPDATE snapshots SET seq = 100 WHERE seq = 50",
        "UPDATE snapshots SET code = 'mephisto_db older'",
    ],
)
def test_one_that_is_not_what_was_stored_is_not_believed(path: Path, damage: str) -> None:
    folded = {seq: shown(path, seq) for seq in PLACES}
    rebuild_views(path)
    changed(path, *damage.split("; "))
    assert {seq: shown(path, seq) for seq in PLACES} == folded


def test_those_of_other_code_go_with_the_next_rebuild(path: Path) -> None:
    rebuild_views(path)
    before = stored(path)
    changed(path, "UPDATE snapshots SET code = 'mephisto_db older', seq = seq + 1")
    rebuild_views(path)
    assert stored(path) == before


def test_a_view_that_is_too_large_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "LIMIT_BYTES", 1000)
    rebuild_views(path)
    assert stored(path) == []


def test_what_is_forgotten_is_in_none_of_them(path: Path) -> None:
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit([register(900, "Ada Lovelace of Ockham")])
    rebuild_views(path)
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit([forget(900)])
    assert stored(path) == []
    assert not any(b"Ada Lovelace" in file.read_bytes() for file in path.parent.iterdir())
