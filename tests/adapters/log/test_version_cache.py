"""The cache of stream versions in front of the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.version_cache import VersionCache
from mephisto_es.core.ports import AppendRejected, Expect

from .support import (
    is_written,
    request,
    unit_event,
    unit_request,
    unit_stream,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def test_versions_are_remembered_within_bounds() -> None:
    asked: list[str] = []

    def load(stream: str) -> int:
        asked.append(stream)
        return 0

    cache = VersionCache(load, half=4)
    cache.update({f"s{number}": number for number in range(1, 4)})
    assert [cache.get(f"s{number}") for number in (1, 2, 3)] == [1, 2, 3]
    assert asked == []
    for number in range(20):
        cache.update({f"t{number}": 7})
    assert cache.get("t19") == 7
    assert cache.get("s1") == 0
    assert asked == ["s1"]


def test_a_log_larger_than_its_map_still_knows_every_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteLog.create_or_open(path) as log:
        log._versions = VersionCache(log._stored_version, half=3)
        for step in range(3):
            log.commit([unit_request(number, step) for number in range(1, 20)])
        for number in range(1, 20):
            stream = unit_stream(number)
            refused, written = log.commit(
                [
                    request(f"no-{number}", (stream, unit_event(number, 3)), expected={stream: Expect.NONE}),
                    request(f"yes-{number}", (stream, unit_event(number, 3)), expected={stream: 3}),
                ]
            )
            assert isinstance(refused, AppendRejected)
            assert is_written(written)
