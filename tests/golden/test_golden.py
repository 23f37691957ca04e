"""A log of each release: today's code finds it legal, with the head it had, and gives the views it had."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mephisto_es.adapters.log.anchor import anchor_path, last_anchor
from mephisto_es.adapters.log.audit.replay import replay, verified
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.state.entity_states import EntityStates
from mephisto_es.events.codec import KINDS
from mephisto_es.events.upcasting import UPCASTERS
from mephisto_es.projections.mephisto_db.tables import TABLES
from mephisto_es.projections.registry import PROJECTIONS

HERE = Path(__file__).parent
RELEASES = sorted(path.name.removesuffix(".db.gz") for path in HERE.glob("*.db.gz"))
Tables = dict[str, list[dict[str, object]]]

every_release = pytest.mark.parametrize("release", RELEASES)


def unpacked(release: str) -> bytes:
    return gzip.decompress((HERE / f"{release}.db.gz").read_bytes())


@pytest.fixture
def path(release: str, tmp_path: Path) -> Path:
    """The log of a release, with its anchor beside it."""
    path = tmp_path / "log.db"
    path.write_bytes(unpacked(release))
    shutil.copy(HERE / f"{release}.anchor", anchor_path(path))
    return path


def stored_tables(path: Path) -> Tables:
    """The view's tables as a file has them, with the columns it has."""
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        names = {row["name"] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        tables = [table for table in TABLES if table.name in names]
        return {
            table.name: [dict(row) for row in db.execute(f"SELECT * FROM {table.name} ORDER BY {table.key}")]
            for table in tables
        }


@every_release
def test_it_is_legal_and_its_head_is_what_it_was(release: str, path: Path) -> None:
    before = stored_tables(path)
    anchored = last_anchor(path)
    assert anchored is not None
    assert verified(path).head == anchored
    SqliteLog.create_or_open(path, PROJECTIONS).close()
    report = replay(path, PROJECTIONS)
    assert report.findings == ()
    assert (report.seq, report.chain, report.anchored_seq) == (anchored.seq, anchored.chain.hex(), anchored.seq)
    after = stored_tables(path)
    assert before
    for name, rows in before.items():
        # Later releases may add columns, and say nothing else in those that there were.
        assert [{column: now[column] for column in was} for was, now in zip(rows, after[name], strict=True)] == rows


@every_release
def test_an_operator_can_start_from_it(release: str, path: Path) -> None:
    world = EntityStates()
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        for recorded in log.read():
            world.apply(recorded.envelope)
    assert len(world.task_runs) > 1
    assert len(world.units) > 1


def test_the_releases_together_have_every_event() -> None:
    found: set[str] = set()
    for release in RELEASES:
        with closing(sqlite3.connect(":memory:")) as db:
            db.deserialize(unpacked(release))
            found |= {kind for (kind,) in db.execute("SELECT DISTINCT kind FROM events")}
    assert found == KINDS | UPCASTERS.kinds, "make the golden log of this release with make.py"
