"""Files with names, answers and tokens can be read by their owner only, whatever the process allows others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mephisto_es.adapters.composition.data_dir import make_data_dir
from mephisto_es.adapters.log.audit.backup import back_up
from mephisto_es.adapters.log.audit.salvage import salvage
from mephisto_es.adapters.log.sqlite.log import SqliteLog

from .support import RosterProjection, register


@pytest.fixture(autouse=True)
def generous() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_a_log_and_all_beside_it_are_its_owners(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    make_data_dir(folder)
    with SqliteLog.create_or_open(folder / "mephisto.db", (RosterProjection(),)) as log:
        log.commit([register(1, "Zoë")])
        log.write_anchor()
        beside = {"mephisto.db", "mephisto.db-wal", "mephisto.db-shm", "mephisto.db.anchor", "mephisto.db.lock"}
        assert modes(folder).keys() >= beside
        assert set(modes(folder).values()) == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_copies_are_their_owners(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log.commit([register(1, "Zoë")])
    back_up(path, tmp_path / "monday.db", (RosterProjection(),))
    salvage(path, tmp_path / "saved.db", (RosterProjection(),))
    assert set(modes(tmp_path).values()) == {0o600}
