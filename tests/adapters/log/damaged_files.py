"""Damages copies of a log at random, and checks what every command says about them.

Usage: damaged_files.py COUNT [FIRST_SEED]; without a seed the files are new ones. Prints each command that took too
long, failed without a sentence, or gave a verdict that is not true; then it ends with status 1.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

from click.testing import CliRunner, Result

from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.log.anchor import anchor_path
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.mephisto_db.tables import TABLES
from mephisto_es.projections.registry import PROJECTIONS
from mephisto_es.tests.histories import history

LIMIT_SECONDS = 60.0
PAGE_BYTES = 4096
#: The first byte of a leaf page of an index, by SQLite's file format.
INDEX_LEAF = 10
#: The exit codes that commands document.
EXIT_CODES = {0, 1, 2}
#: Commands that only read, apart from those that judge.
READING = (
    ("runs",),
    ("status", "1"),
    ("timeline", "unit-1"),
    ("timeline", "worker-1"),
    ("explain", "worker-1"),
    ("blockers", "1"),
    ("ledger", "1", "verify"),
    ("export", "1"),
    ("show",),
    ("show", "--seq", "100"),
    ("diff", "50", "150"),
    ("projections", "list"),
    ("resources", "list"),
    ("backup",),
)

#: The columns of `events` that the chain covers. The others repeat the events, and `replay` compares them.
_CHAINED = "chained columns"
#: The tables that a verdict is about; `replay` judges all. `doctor` makes the view anew from the events.
_JUDGED = {"verify": ("meta", _CHAINED), "doctor": ("meta", "events", "payloads")}
#: Rows of the tables that decide, by table.
Content = dict[str, list[tuple[object, ...]]]


def _flip_bits(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 1, 8))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _flip_in_page_header(data: bytearray, random: Random) -> None:
    """Change a byte where SQLite keeps counts and pointers, which does more harm than elsewhere."""
    page = random.randrange(len(data) // PAGE_BYTES)
    data[page * PAGE_BYTES + random.randrange(64)] = random.randrange(256)


def _truncate(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data)) :]


def _truncate_a_little(data: bytearray, random: Random) -> None:
    del data[len(data) - random.randrange(1, 3 * PAGE_BYTES) :]


def _zero_page(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data) // PAGE_BYTES) * PAGE_BYTES
    data[start : start + PAGE_BYTES] = bytes(PAGE_BYTES)


def _lose_end_of_page(data: bytearray, random: Random) -> None:
    """Lose the end of a page, so that its last rows seem to have the position 0."""
    end = random.randrange(1, len(data) // PAGE_BYTES + 1) * PAGE_BYTES
    length = random.randrange(1, PAGE_BYTES)
    data[end - length : end] = bytes(length)


def _random_page(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data) // PAGE_BYTES) * PAGE_BYTES
    data[start : start + PAGE_BYTES] = random.randbytes(PAGE_BYTES)


def _swap_pages(data: bytearray, random: Random) -> None:
    one, other = (random.randrange(len(data) // PAGE_BYTES) * PAGE_BYTES for _ in range(2))
    first, second = data[one : one + PAGE_BYTES], data[other : other + PAGE_BYTES]
    data[one : one + PAGE_BYTES], data[other : other + PAGE_BYTES] = second, first


def _copy_page(data: bytearray, random: Random) -> None:
    one, other = (random.randrange(len(data) // PAGE_BYTES) * PAGE_BYTES for _ in range(2))
    data[one : one + PAGE_BYTES] = data[other : other + PAGE_BYTES]


def _shift(data: bytearray, random: Random) -> None:
    """Lose some bytes in the middle, as a bad copy does."""
    start = random.randrange(len(data))
    del data[start : start + random.randrange(1, 512)]


def _append(data: bytearray, random: Random) -> None:
    data += random.randbytes(random.randrange(1, 2 * PAGE_BYTES))


DAMAGES: tuple[Callable[[bytearray, Random], None], ...] = (
    _flip_bits,
    _flip_in_page_header,
    _truncate,
    _truncate_a_little,
    _zero_page,
    _lose_end_of_page,
    _random_page,
    _swap_pages,
    _copy_page,
    _shift,
    _append,
)


class Original(NamedTuple):
    """A log without damage, in a folder with its anchor and perhaps its WAL."""

    folder: Path
    content: Content


def make_originals(folder: Path) -> list[Original]:
    """Make a log that was closed, and one as a crash leaves it, with most of it in its WAL."""
    closed, crashed = folder / "closed", folder / "crashed"
    for each in (closed, crashed):
        each.mkdir()
    requests = history(Random(1), 1200)
    with SqliteLog.create_or_open(closed / "mephisto.db", PROJECTIONS) as log:
        log.commit(requests[:60])
        log.write_anchor()
        log.commit(requests[60:])
    open_log = folder / "open.db"
    with SqliteLog.create_or_open(open_log, PROJECTIONS) as log:
        for start in range(0, len(requests), 50):
            log.commit(requests[start : start + 50])
            log.write_anchor()
        for suffix in ("", "-wal", ".anchor"):
            shutil.copy(f"{open_log}{suffix}", crashed / f"mephisto.db{suffix}")
    return [Original(each, content_of(each / "mephisto.db")) for each in (closed, crashed)]


def content_of(path: Path) -> Content:
    """Read everything that decides, with no more code than SQLite's.

    Raises:
        sqlite3.Error: some of it cannot be read.
    """
    tables = ("meta", "events", "payloads", *(table.name for table in TABLES))
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        content = {table: db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables}
        content[_CHAINED] = db.execute("SELECT seq, epoch, data, chain FROM events ORDER BY seq").fetchall()
        if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            raise sqlite3.DatabaseError("the integrity check failed")
        return content


def damage(original: Original, folder: Path, random: Random) -> str:
    """Copy a log, damage one of its files, and return what was done."""
    shutil.copytree(original.folder, folder)
    files = sorted(file for file in folder.iterdir() if file.stat().st_size > PAGE_BYTES)
    target = random.choice([*files, *files, anchor_path(folder / "mephisto.db")])
    kind = random.choice(DAMAGES if target in files else (_flip_bits, _truncate, _append, _shift))
    data = bytearray(target.read_bytes())
    kind(data, random)
    target.write_bytes(data)
    return f"{kind.__name__.strip('_')} in {target.name} of {original.folder.name}"


def problems_of(original: Original, folder: Path, seed: int) -> Iterator[str]:
    """Damage a copy of a log, run the commands on it, and yield what is wrong with their answers."""
    random = Random(seed)
    done = damage(original, folder, random)
    path = folder / "mephisto.db"
    saved = folder / "saved.db"
    for words in (("verify",), ("replay",), ("doctor", "-o", str(saved)), *random.sample(READING, 2)):
        arguments = ("-o", str(folder / "backup.db")) if words == ("backup",) else ()
        began = time.monotonic()
        result = CliRunner().invoke(main, [words[0], str(path), *words[1:], *arguments])
        seconds = time.monotonic() - began
        for problem in _judge(original, path, saved, words[0], result):
            yield f"seed {seed}, {done}: {' '.join(words)}: {problem}"
        if seconds > LIMIT_SECONDS:
            yield f"seed {seed}, {done}: {' '.join(words)}: took {seconds:.1f} s"


def _judge(original: Original, path: Path, saved: Path, verb: str, result: Result) -> Iterator[str]:
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        yield "".join(traceback.format_exception(result.exception))
    elif result.exit_code not in EXIT_CODES:
        yield f"exit code {result.exit_code}"
    elif result.exit_code and not (result.stderr or "✗" in result.stdout or "lost" in result.stdout):
        yield f"exit code {result.exit_code} without a reason: {result.output}"
    elif result.exit_code == 0 and verb in {"verify", "replay", "doctor"}:
        yield from _untrue(original, path, verb)
    if verb == "doctor" and saved.exists():
        yield from _not_saved(original, path, saved)


def _untrue(original: Original, path: Path, verb: str) -> Iterator[str]:
    """Check a verdict that nothing is wrong."""
    try:
        content = content_of(path)
    except sqlite3.Error as error:
        yield f"said that nothing is wrong, but {error}"
        return
    for table in _JUDGED.get(verb, content):
        if content[table] != original.content[table]:
            yield f"said that nothing is wrong, but {table} is not what it was"


def _not_saved(original: Original, path: Path, saved: Path) -> Iterator[str]:
    """Check a log that doctor saved: a prefix of the original, and all of it if every event is readable."""
    with closing(sqlite3.connect(saved)) as db:
        rows = db.execute("SELECT * FROM events ORDER BY 1").fetchall()
    events = original.content["events"]
    if rows != events[: len(rows)]:
        yield "doctor saved events that are not those of the log"
    # A damaged anchor contradicts the log, so the events before it are in doubt.
    anchor_is_whole = (original.folder / anchor_path(path).name).read_bytes() == anchor_path(path).read_bytes()
    if len(rows) < len(events) and anchor_is_whole and _events_are_whole(original, path):
        yield f"doctor saved {len(rows)} of {len(events)} events, although all are whole"


def _events_are_whole(original: Original, path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            # The chain of all events begins with the key in `meta`: if that is damaged, none of them can be trusted.
            tables = ("meta", "events")
            return all(
                db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() == original.content[table]
                for table in tables
            )
    except sqlite3.Error:
        return False


def run(count: int, first: int) -> bool:
    """Check so many damaged files, print what is wrong, and return whether nothing was."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        originals = make_originals(folder)
        slowest, bad = 0.0, Counter[str]()
        for seed in range(first, first + count):
            began = time.monotonic()
            for problem in problems_of(originals[seed % 2], folder / "damaged", seed):
                sys.stdout.write(f"{problem}\n")
                bad[problem.partition(": ")[2].partition(":")[0]] += 1
            slowest = max(slowest, time.monotonic() - began)
            shutil.rmtree(folder / "damaged")
    sys.stdout.write(
        f"{count} damaged files from seed {first} on: {bad.total()} wrong answers {dict(bad) or ''}, "
        f"at most {slowest:.1f} s for the commands on one file\n"
    )
    return not bad


if __name__ == "__main__":
    sys.exit(0 if run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else Random().randrange(10**9)) else 1)
