"""The Python router's journal, where a contract test with a process cannot reach."""

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import pytest

from mephisto_es.adapters.architects.router.python.errors import JournalUnwritableError
from mephisto_es.adapters.architects.router.python.journal.journal import REWRITE_BYTES, Journal
from mephisto_es.adapters.architects.router.python.journal.journal_file import JournalFile


def opened(folder: Path) -> Journal:
    return Journal.open(folder, max_outbox_bytes=10**6, new_incarnation=lambda: "first")


def nothing(*_: object) -> None:
    """Takes a callback's place."""


def packets_of(journal: Journal) -> list[tuple[int, object]]:
    return [(entry.seq, msgspec.json.decode(entry.packet)) for entry in journal.outbox.entries_from(0, 10**9)]


async def test_numbers_that_an_operator_has_seen_are_not_given_to_what_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    append = JournalFile.append

    def append_while_an_operator_comes(file: JournalFile, text: bytes, *, durably: bool) -> None:
        append(file, text, durably=durably)
        if journal.outbox.next_seq == 1:
            journal.outbox.acknowledge(10)

    monkeypatch.setattr(JournalFile, "append", append_while_an_operator_comes)
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.write_batches, nothing, nothing)
            await journal.record(b'{"n":1}')
            tasks.cancel_scope.cancel()

    assert packets_of(journal) == [(11, {"n": 1})]
    await journal.close(nothing, nothing)
    assert packets_of(opened(tmp_path)) == [(11, {"n": 1})]


async def test_after_a_failed_write_nothing_of_it_counts_and_the_next_one_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    write: Callable[..., int] = os.write
    failures: list[OSError] = []

    def write_a_part_and_fail(fd: int, text: bytes) -> int:
        write(fd, text[:10])
        raise OSError(28, "No space left on device")

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.write_batches, nothing, failures.append)
            monkeypatch.setattr(os, "write", write_a_part_and_fail)
            journal.note_agent("a", "waiting")
            with pytest.raises(JournalUnwritableError):
                await journal.record(b'{"n":"lost, and longer than what follows"}')
            monkeypatch.undo()
            await journal.record(b'{"n":1}')
            tasks.cancel_scope.cancel()
    await journal.close(nothing, nothing)

    assert failures
    again = opened(tmp_path)
    assert packets_of(again) == [(1, {"n": 1})]
    assert again.agents == {"a": "waiting"}


async def test_a_journal_that_is_written_anew_keeps_all_that_is_not_acknowledged(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, max_outbox_bytes=10**8, new_incarnation=lambda: "first")
    path = tmp_path / "journal-first.jsonl"
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.write_batches, nothing, nothing)
            for _ in range(40):
                await journal.record(b'{"past":"%b"}' % (b"x" * 500_000))
            for number in range(3):
                await journal.record(b'{"kept":%d}' % number)
            assert os.stat(path).st_size > REWRITE_BYTES
            journal.acknowledge(40)
            while os.stat(path).st_size > REWRITE_BYTES:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    await journal.close(nothing, nothing)
    assert packets_of(opened(tmp_path)) == [(41, {"kept": 0}), (42, {"kept": 1}), (43, {"kept": 2})]
