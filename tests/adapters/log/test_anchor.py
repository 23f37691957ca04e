"""Anchors, and the checks of a log's tail when it is opened for writing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mephisto_es.adapters.log.anchor import Anchors, anchor_path, append_anchor, last_anchor
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import (
    DamagedLogError,
    LogError,
)
from mephisto_es.core.ports import Head

from .support import (
    edited,
    filled,
    lives,
    unit_request,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def test_the_head_is_anchored_on_close(path: Path) -> None:
    assert filled(path) == last_anchor(path)


def test_an_anchor_is_written_once_for_each_head(path: Path) -> None:
    with SqliteLog.create_or_open(path) as log:
        log.write_anchor()
        for number in (1, 2):
            log.commit([unit_request(number, 0)])
            log.write_anchor()
            log.write_anchor()
    assert [head.seq for head in Anchors(anchor_path(path))] == [1, 2]


def test_an_anchor_that_cannot_be_written_says_so_and_releases_the_log(path: Path) -> None:
    log = SqliteLog.create_or_open(path)
    log.commit([unit_request(1, 0)])
    anchor_path(path).mkdir()
    with pytest.raises(LogError, match=r"the anchor file .* could not be written: Is a directory"):
        log.write_anchor()
    with pytest.raises(LogError, match="the log itself is whole"):
        log.close()
    anchor_path(path).rmdir()
    with SqliteLog.create_or_open(path) as again:
        assert again.head().seq == 1


def test_a_torn_anchor_is_left_out_and_written_over(path: Path) -> None:
    head = filled(path)
    whole = anchor_path(path).read_bytes()
    with anchor_path(path).open("ab") as file:
        file.write(b"99999 ab")
    assert last_anchor(path) == head
    assert list(Anchors(anchor_path(path))) == [head]
    later = Head(head.seq + 1, bytes(32), head.at)
    append_anchor(path, later)
    assert list(Anchors(anchor_path(path))) == [head, later]
    assert anchor_path(path).read_bytes().startswith(whole)


def test_a_log_shorter_than_its_anchor_is_not_written_to(path: Path) -> None:
    head = filled(path)
    append_anchor(path, Head(head.seq + 5, bytes(32), head.at))
    with pytest.raises(DamagedLogError, match=f"seq {head.seq + 5}: .*now ends at {head.seq}"):
        SqliteLog.create_or_open(path)


def test_a_log_that_is_gone_is_not_begun_anew(path: Path) -> None:
    filled(path)
    path.unlink()
    with pytest.raises(DamagedLogError, match="its anchor says that it had 28 events"):
        SqliteLog.create_or_open(path)
    assert not path.exists()


def test_a_log_that_differs_from_its_anchor_is_not_written_to(path: Path) -> None:
    head = filled(path)
    anchor_path(path).write_text(f"{head.seq} {'ab' * 32} {head.at}\n")
    with pytest.raises(DamagedLogError, match="differs from the anchor"):
        SqliteLog.create_or_open(path)


def test_the_tail_after_the_last_anchor_is_verified(path: Path) -> None:
    with SqliteLog.create_or_open(path) as log:
        log.commit(lives(3)[:5])
        first = log.write_anchor()
        log.commit(lives(3)[5:])
    anchor_path(path).write_text(f"{first.seq} {first.chain.hex()} {first.at}\n")
    with edited(path) as db:
        db.execute("UPDATE events SET data = CAST(replace(CAST(data AS TEXT), '1000', '1001') AS BLOB) WHERE seq = 9")
    with pytest.raises(DamagedLogError, match=r"seq 9 .*chain is broken"):
        SqliteLog.create_or_open(path)
