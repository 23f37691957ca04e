"""When pages move from the `-wal` file to the log's own file."""

from __future__ import annotations

from pathlib import Path

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.wal_pages import LARGE_COMMIT_BYTES, MOST_PAGES, USUAL_PAGES
from mephisto_es.core.payloads import commitment
from mephisto_es.events.ids import WorkerId

from .support import SALT, register, unit_request

PAGE_BYTES = 4096
#: Makes a commit after which SQLite would move its pages at once.
LARGE = "x" * (USUAL_PAGES * PAGE_BYTES + LARGE_COMMIT_BYTES)


def test_the_pages_of_a_large_commit_move_when_the_log_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path) as log:
        log.commit([register(1, LARGE)])
        log.commit([unit_request(1, 0)])
        had_upkeep, size = log.has_upkeep, path.stat().st_size
        log.do_upkeep()
        assert (had_upkeep, log.has_upkeep) == (True, False)
        assert size < LARGE_COMMIT_BYTES
        assert path.stat().st_size > len(LARGE)
        assert log.payload(commitment(LARGE.encode(), SALT, WorkerId(1))) == LARGE.encode()


def test_other_commits_move_pages_as_usual(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    small = "x" * (LARGE_COMMIT_BYTES // 2)
    with SqliteLog.create_or_open(path) as log:
        log.commit([register(1, LARGE)])
        log.do_upkeep()
        size = path.stat().st_size
        for worker in range(2, 3 + 2 * USUAL_PAGES * PAGE_BYTES // LARGE_COMMIT_BYTES):
            log.commit([register(worker, small)])
            assert not log.has_upkeep
        assert path.stat().st_size > size + USUAL_PAGES * PAGE_BYTES // 2


def test_a_writer_that_never_rests_does_not_fill_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path) as log:
        for worker in range(1, 2 + MOST_PAGES * PAGE_BYTES // len(LARGE)):
            log.commit([register(worker, LARGE)])
        assert path.stat().st_size > len(LARGE)
        assert path.with_name(f"{path.name}-wal").stat().st_size < 2 * MOST_PAGES * PAGE_BYTES


def test_a_log_that_is_closed_before_has_everything_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with SqliteLog.create_or_open(path) as log:
        log.commit([register(1, LARGE)])
    assert path.stat().st_size > len(LARGE)
    with SqliteLog.create_or_open(path) as log:
        assert log.payload(commitment(LARGE.encode(), SALT, WorkerId(1))) == LARGE.encode()
