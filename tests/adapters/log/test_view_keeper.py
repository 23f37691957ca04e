"""Snapshots of a view that a writer takes beside its work: equal to the fold, and gone with whoever is erased."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio

from mephisto_es.adapters.log.sqlite import snapshots
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.view_keeper import ViewKeeper
from mephisto_es.projections.engine import rebuild
from mephisto_es.projections.mephisto_db import MephistoDbProjection

from ...sample_log import sample_history
from .support import RosterProjection, edited, forget, is_written, lives, register

VIEW = MephistoDbProjection()
ROSTER = RosterProjection()


async def beside(take: Callable[[], None]) -> None:
    await trio.lowlevel.checkpoint()
    take()


def positions(path: Path) -> list[int]:
    with edited(path) as db:
        return [seq for (seq,) in db.execute("SELECT seq FROM snapshots ORDER BY seq")]


def test_a_snapshot_is_what_the_fold_gives(tmp_path: Path) -> None:
    path, history = tmp_path / "log.db", sample_history()
    with SqliteLog.create_or_open(path, (VIEW,)) as log:
        log.commit(history[: len(history) // 2])
        snapshot = snapshots.taken(path, VIEW)
        assert snapshot is not None
        assert snapshot.seq == log.head().seq
        log.keep_snapshot(snapshot, log.erasures)
        assert log.last_snapshot(VIEW) == 0, "it is stored after the next commit"
        log.commit(history[len(history) // 2 :])
        assert log.last_snapshot(VIEW) == snapshot.seq
        with edited(path) as db:
            found = snapshots.nearest(db, VIEW, log.head().seq)
        assert found is not None
        folded = rebuild.temporary_database()
        rebuild.build(folded, [VIEW], log.read(until=snapshot.seq), log.payload)
        for table in VIEW.tables:
            assert list(rebuild.differences(found.view, folded, table)) == []
        with open_as_of(path, seq=snapshot.seq + 1) as moment:
            assert moment.db.find_task_runs()


def test_a_snapshot_taken_before_an_erasure_is_discarded(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path, (ROSTER,)) as log:
        log.commit([register(1, "Ada Lovelace")])
        for takes_place_first in (True, False):
            erasures = log.erasures
            snapshot = snapshots.taken(path, ROSTER)
            assert snapshot is not None
            if takes_place_first:
                log.keep_snapshot(snapshot, erasures)
                log.commit([forget(1), register(2, "Grace Hopper")])
            else:
                log.commit([forget(2)])
                log.keep_snapshot(snapshot, erasures)
            log.commit(lives(1))
            assert log.last_snapshot(ROSTER) == 0
    assert positions(path) == []


def test_a_snapshot_that_no_commit_follows_is_stored_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path, (ROSTER,)) as log:
        log.commit([register(1, "Ada"), *lives(2)])
        snapshot = snapshots.taken(path, ROSTER)
        assert snapshot is not None
        log.keep_snapshot(snapshot, log.erasures)
    assert positions(path) == [snapshot.seq]


def test_a_snapshot_that_cannot_be_stored_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path, (ROSTER,)) as log:
        log.commit([register(1, "Ada")])
        snapshot = snapshots.taken(path, ROSTER)
        assert snapshot is not None
        log.keep_snapshot(snapshot._replace(digest=None), log.erasures)  # type: ignore[arg-type]  # is refused
        [written] = log.commit([register(2, "Grace")])
        assert is_written(written)
        with edited(path) as db:
            db.execute("ALTER TABLE snapshots RENAME TO elsewhere")
            assert log.last_snapshot(ROSTER) == 0
            db.execute("ALTER TABLE elsewhere RENAME TO snapshots")
    assert positions(path) == []


def test_there_is_no_snapshot_of_a_view_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path, (ROSTER,)) as log:
        log.commit(lives(1))
        assert snapshots.taken(path, VIEW) is None
        with edited(path) as db:
            db.execute("UPDATE projections SET code = 'other'")
        assert snapshots.taken(path, ROSTER) is None


async def test_a_snapshot_is_taken_after_so_many_events(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path, (ROSTER,)) as log:
        keeper = ViewKeeper(log, ROSTER, beside, every_events=20)
        taken: list[int] = []
        for number in range(1, 16):
            log.commit([register(number, f"worker {number}"), register(100 + number, f"worker {100 + number}")])
            await keeper.keep()
            taken.append(log.last_snapshot(ROSTER))
        assert taken == [0] * 10 + [20] * 5
    assert positions(path) == [20]
    with SqliteLog.create_or_open(path, (ROSTER,)) as log:
        await ViewKeeper(log, ROSTER, beside, every_events=20).keep()
        path.rename(tmp_path / "moved.db")
        await ViewKeeper(log, ROSTER, beside, every_events=1).keep()
        (tmp_path / "moved.db").rename(path)
    assert positions(path) == [20], "what cannot be read costs nothing"
