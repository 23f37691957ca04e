"""Records programs, cuts the power at many moments, and starts the product on what is left.

Nothing that anybody was told may be lost, and what is left can be used.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from math import inf
from pathlib import Path
from random import Random

import msgspec

from mephisto_es.adapters.architects.router.python.errors import StartError
from mephisto_es.adapters.architects.router.python.journal.journal import Journal
from mephisto_es.adapters.architects.router.python.journal.journal_contents import read_contents
from mephisto_es.adapters.log.anchor import last_anchor
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import LogError
from mephisto_es.projections.registry import PROJECTIONS

from ..adapters.log.support import RosterProjection
from .disk import Disk, Survival
from .record_log import LOG, TOLD
from .trace import COMMAND, Call, escaped, read_calls, strings

ROOT = Path(__file__).resolve().parents[2]
RECORD_SECONDS = 120
MAX_OUTBOX_BYTES = 2**30

_SUBMISSION = re.compile(rb"submission-\d+")

#: Checks a folder that a power cut left, and yields what is wrong, given what was told before.
Check = Callable[[Path, list[str]], Iterator[str]]


def record(module: str, folder: Path, arguments: Sequence[str]) -> list[Call]:
    """Run a module with strace and return the calls, in order."""
    trace = folder / "trace"
    work = folder / "work"
    work.mkdir()
    command = [*COMMAND, str(trace), sys.executable, "-m", f"tests.powercut.{module}", str(work), *arguments]
    subprocess.run(command, cwd=ROOT, check=True, timeout=RECORD_SECONDS, stdin=subprocess.DEVNULL)
    with trace.open(encoding="ascii") as lines:
        return list(read_calls(lines))


def faults_of(calls: Sequence[Call], folder: Path, check: Check, random: Random, states: int) -> list[str]:
    """Cut the power so many times, at moments spread over a record, and return what is wrong afterwards."""
    work = folder / "work"
    changing = [number for number, call in enumerate(calls) if str(work) in call.opened or is_in(call, work)]
    moments = sorted(random.choices(changing, k=states))
    disk, told, done = Disk(work), list[str](), 0
    faults: list[str] = []
    for moment in moments:
        for call in calls[done : moment + 1]:
            disk.apply(call)
            told += said_in(call)
        done = moment + 1
        survival = random.choice(list(Survival))
        with tempfile.TemporaryDirectory(dir=folder) as left:
            disk.cut(random, survival, Path(left))
            faults += [f"call {moment}, {survival.value}: {fault}" for fault in check(Path(left), told)]
    return faults


def is_in(call: Call, folder: Path) -> bool:
    """Return whether a call names a file in a folder."""
    return escaped(str(folder)) in call.arguments


def said_in(call: Call) -> list[str]:
    """Return the lines that a call adds to the file of what was told."""
    if call.name != "write" or f"{escaped('/' + TOLD)}>" not in call.arguments:
        return []
    return b"".join(strings(call.arguments)).decode().splitlines()


def check_router(left: Path, told: list[str]) -> Iterator[str]:
    """Open the journal; every submission that was answered is in it, with its file."""
    data = left / "data"
    data.mkdir(exist_ok=True)
    try:
        Journal.open(data, max_outbox_bytes=MAX_OUTBOX_BYTES, new_incarnation=lambda: "new")
    except StartError as error:
        yield f"the router does not start: {error}"
        return
    [path] = data.glob("journal-*.jsonl")
    with path.open("rb") as lines:
        whole = read_contents(lines).size_bytes
    packets = dict(_packets(path.read_bytes()[:whole].splitlines()))
    for submission in told:
        if submission not in packets:
            yield f"{submission} was answered and is lost"
            continue
        for file in packets[submission]:
            stored = data / "uploads" / file["filename"]
            if not stored.exists() or sha256(stored.read_bytes()).hexdigest() != file["sha256"]:
                yield f"{submission} was answered, and its file is lost"


def _packets(lines: Iterable[bytes]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    for line in lines:
        record = msgspec.json.decode(line[9:])
        if "packet" in record:
            data = record["packet"]["data"]
            yield data["final_data"], data.get("files", [])


def check_log(left: Path, told: list[str]) -> Iterator[str]:
    """Open the log; every command that was acknowledged is in it, every anchor that was written is there."""
    path = left / LOG
    try:
        with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
            commands = {recorded.envelope.command for recorded in log.read()}
            anchored = last_anchor(path)
    except LogError as error:
        yield f"the log cannot be opened: {error}"
        return
    for said in told:
        word, _, seq = said.partition(" ")
        if word == "anchor" and (anchored is None or anchored.seq < int(seq)):
            yield f"{said} is lost"
        elif word != "anchor" and said not in commands:
            yield f"{said} was acknowledged and is lost"
    yield from (finding.sentence for finding in replay(path, (RosterProjection(),)).findings)


def check_run(left: Path, told: list[str]) -> Iterator[str]:
    """Open the log and the journal of a whole run; every submission that was answered is in one of them."""
    path, found = left / "data" / LOG, set[bytes]()
    try:
        if path.exists():
            with SqliteLog.create_or_open(path, PROJECTIONS) as log, closing(log.connect()) as db:
                found = {
                    text for (body,) in db.execute("SELECT body FROM payloads") for text in _SUBMISSION.findall(body)
                }
            yield from (finding.sentence for finding in replay(path, PROJECTIONS).findings)
        for data in left.glob("data/runs/*/router_data"):
            Journal.open(data, max_outbox_bytes=MAX_OUTBOX_BYTES, new_incarnation=lambda: "new")
            for journal in data.glob("journal-*.jsonl"):
                with journal.open("rb") as lines:
                    outbox = read_contents(lines).outbox
                packets = b"".join(entry.packet for entry in outbox.entries_from(0, inf))
                found |= set(_SUBMISSION.findall(packets))
    except (LogError, StartError) as error:
        yield f"what is left cannot be opened: {error}"
        return
    yield from (f"{said} was answered and is lost" for said in told if said.encode() not in found)
