"""The verb that puts a backup in the place of a log."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.audit.backup import back_up
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import AppendRequest
from mephisto_es.events import streams
from mephisto_es.events.base import Event
from mephisto_es.events.payment import PaymentRequested
from mephisto_es.events.worker import WorkerErased
from mephisto_es.projections.registry import PROJECTIONS

from ...histories import history, numbered
from ..log.support import edited

#: Commands before the backup.
BEFORE = 100


def numbers(requests: Sequence[AppendRequest], kind: type[Event]) -> list[int]:
    """Return the numbers of the streams in which such an event happens."""
    return [streams.number_of(new.stream) for each in requests for new in each.events if isinstance(new.event, kind)]


HISTORY = next(
    found
    for seed in range(60)
    if (found := history(Random(seed), 500))
    and numbers(found[BEFORE:], WorkerErased)
    and numbers(found[BEFORE:], PaymentRequested)
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Create a data folder with a log, and a backup of its first part beside the folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    with SqliteLog.create_or_open(folder / "mephisto.db", PROJECTIONS) as log:
        log.commit(HISTORY[:BEFORE])
        back_up(folder / "mephisto.db", backup_of(folder), PROJECTIONS)
        log.commit(HISTORY[BEFORE:])
        log.write_anchor()
    return folder


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))


def backup_of(data: Path) -> Path:
    return data.with_name("monday.db")


def ask(data: Path, *words: str) -> Result:
    return CliRunner().invoke(command.main, ["restore", str(data), "-i", str(backup_of(data)), *words])


def head(path: Path) -> str:
    """Return the head of a legal log."""
    report = replay(path, PROJECTIONS)
    assert report.legal, report.findings
    return report.chain


def test_a_log_that_has_more_is_not_replaced_unasked(data: Path) -> None:
    before = head(data / "mephisto.db")
    result = ask(data)
    assert result.exit_code == 2
    lacking = len(numbered(HISTORY)) - len(numbered(HISTORY[:BEFORE]))
    assert f"has {lacking:,} events that {backup_of(data)} lacks; to give them up, add --discard-newer" in result.stderr
    assert head(data / "mephisto.db") == before


def test_what_has_to_be_done_again_is_listed(data: Path) -> None:
    before = head(data / "mephisto.db")
    result = ask(data, "--discard-newer")
    assert result.exit_code == 0, result.output
    assert head(data / "mephisto.db") == head(backup_of(data))
    (kept,) = data.glob("mephisto.db.replaced-*Z")
    assert head(kept) == before
    assert f"the replaced log is {kept}" in result.stdout
    for worker in numbers(HISTORY[BEFORE:], WorkerErased):
        assert f"erase again: mephisto-es erase {data / 'mephisto.db'} worker-{worker}\n" in result.stdout
    for payment in numbers(HISTORY[BEFORE:], PaymentRequested):
        assert f"look up before you pay: payment-{payment} was requested" in result.stdout


def test_a_lost_log_is_restored_and_can_be_written(data: Path) -> None:
    for file in data.iterdir():
        file.unlink()
    report = json.loads(ask(data, "--json").stdout)
    assert (report["replaced"], report["discarded"], report["anchored_seq"]) == (None, None, None)
    with SqliteLog.create_or_open(data / "mephisto.db", PROJECTIONS) as log:
        log.commit(HISTORY[BEFORE:])
    assert head(data / "mephisto.db")


def test_the_anchors_of_a_lost_log_say_how_much_is_lost(data: Path) -> None:
    (data / "mephisto.db").unlink()
    result = ask(data)
    assert result.exit_code == 0, result.output
    known, saved = len(numbered(HISTORY)), len(numbered(HISTORY[:BEFORE]))
    assert f"the replaced log once had {known:,} events; {saved:,} are restored" in result.stdout
    assert head(data / "mephisto.db") == head(backup_of(data))


def test_a_file_that_is_no_log_is_replaced_and_kept(data: Path) -> None:
    (data / "mephisto.db").write_text("the disk made this of it")
    result = ask(data)
    assert result.exit_code == 0, result.output
    (kept,) = data.glob("mephisto.db.replaced-*Z")
    assert kept.read_text() == "the disk made this of it"
    assert head(data / "mephisto.db") == head(backup_of(data))


def test_another_log_is_not_replaced_unasked(data: Path) -> None:
    for file in data.iterdir():
        file.unlink()
    with SqliteLog.create_or_open(data / "mephisto.db", PROJECTIONS) as log:
        log.commit(history(Random(1), 50))
    result = ask(data)
    assert result.exit_code == 2
    assert "is another log than the one" in result.stderr


def test_a_damaged_backup_restores_nothing(data: Path) -> None:
    before = head(data / "mephisto.db")
    with edited(backup_of(data)) as db:
        db.execute("DELETE FROM events WHERE seq > 100")
    result = ask(data, "--discard-newer")
    assert result.exit_code == 1
    assert "nothing was restored" in result.stdout
    assert head(data / "mephisto.db") == before


def test_a_backup_that_is_not_there_restores_nothing(data: Path) -> None:
    before = head(data / "mephisto.db")
    backup_of(data).unlink()
    result = ask(data, "--discard-newer")
    assert result.exit_code == 2
    assert f"there is no log at {backup_of(data)}" in result.stderr
    assert head(data / "mephisto.db") == before


def test_a_log_that_is_being_written_is_not_replaced(data: Path) -> None:
    with SqliteLog.create_or_open(data / "mephisto.db", PROJECTIONS):
        result = ask(data, "--discard-newer")
    assert result.exit_code == 2
    assert "is being written by process" in result.stderr


@pytest.mark.parametrize("failing", range(6))
def test_a_disk_that_fails_at_any_step_leaves_one_log_or_the_other(
    failing: int, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = {head(data / "mephisto.db"), head(backup_of(data))}
    steps = 0

    def may_fail(act: Callable[..., None]) -> Callable[..., None]:
        def acted(*given: Any, **named: Any) -> None:
            nonlocal steps
            steps += 1
            if steps == failing + 1:
                raise OSError(5, "Input/output error")
            act(*given, **named)

        return acted

    with monkeypatch.context() as patched:
        for name in ("link", "replace", "rename"):
            patched.setattr(os, name, may_fail(getattr(os, name)))
        result = ask(data, "--discard-newer")
    assert (result.exit_code != 0) == (steps > failing)
    # Only the anchors may be those of the other log.
    assert replay(data / "mephisto.db", ()).chain in heads
    again = ask(data, "--discard-newer")
    assert again.exit_code == 0, again.output
    assert head(data / "mephisto.db") == head(backup_of(data))
