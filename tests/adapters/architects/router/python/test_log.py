"""The router's log keeps within its limits."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mephisto_es.adapters.architects.router.python.log import BoundedLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "router.log"


@pytest.fixture
def fd(path: Path) -> Iterator[int]:
    opened = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    yield opened
    os.close(opened)


def test_a_file_that_grows_too_large_keeps_its_end_in_whole_lines(path: Path, fd: int) -> None:
    log = BoundedLog(fd, lambda: 0, max_bytes=1000, kept_bytes=100)
    for number in range(250):
        log.write(f"line {number}\n")
    lines = path.read_text().splitlines()
    assert lines[-1] == "line 249"
    assert lines == [f"line {number}" for number in range(250 - len(lines), 250)]
    assert path.stat().st_size <= 1000


def test_lines_beyond_those_of_a_minute_are_counted(path: Path, fd: int) -> None:
    seconds = 0.0
    log = BoundedLog(fd, lambda: seconds)
    for number in range(1000):
        log.write(f"line {number}\n")
    assert len(path.read_text().splitlines()) == 300
    seconds = 60
    log.write("later\n")
    assert path.read_text().splitlines()[-2:] == ['{"event":"lines_suppressed","count":700}', "later"]


def test_a_log_that_cannot_be_written_is_no_error(path: Path, fd: int) -> None:
    read_only = os.open(path, os.O_RDONLY)
    BoundedLog(read_only, lambda: 0).write("nobody reads this\n")
    os.close(read_only)
