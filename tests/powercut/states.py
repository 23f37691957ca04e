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
import trio

from mephisto_es.adapters.architects.router.python.errors import StartError
from mephisto_es.adapters.architects.router.python.journal.journal import Journal
from mephisto_es.adapters.architects.router.python.journal.journal_contents import read_contents
from mephisto_es.adapters.composition.clock_and_ids import SystemClock
from mephisto_es.adapters.composition.ledger import make_log, open_ledger
from mephisto_es.adapters.log.anchor import last_anchor
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.commit_thread import commit_in_thread
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.state_file import read_state, state_path
from mephisto_es.core.errors import LogError
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.operations.services.directory import Directory
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.projections.audit.report import FindingKind
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


def faults_of(
    calls: Sequence[Call],
    folder: Path,
    check: Check,
    random: Random,
    states: int,
    forgets: Callable[[Path], bool] = lambda _: False,
    survivals: Sequence[Survival] = tuple(Survival),
    focus: str = "",
) -> list[str]:
    """Cut the power so many times, at moments spread over a record, and return what is wrong afterwards.

    Args:
        calls: the record.
        folder: the folder of the record.
        check: checks what is left.
        random: chooses the moments, and what survives.
        states: the number of power cuts.
        forgets: tells the files whose syncs the disk only pretends to do.
        survivals: how much of what was not synced may survive.
        focus: how the name of a file begins; every second cut comes while it is written to.
    """
    work = folder / "work"
    changing = [number for number, call in enumerate(calls) if str(work) in call.opened or is_in(call, work)]
    focused = [number for number in changing if escaped(f"/{focus}") in calls[number].arguments]
    moments = sorted(random.choices(changing, k=states // 2) + random.choices(focused, k=states - states // 2))
    disk, told, done = Disk(work, forgets), list[str](), 0
    faults: list[str] = []
    for moment in moments:
        for call in calls[done : moment + 1]:
            disk.apply(call)
            told += said_in(call)
        done = moment + 1
        survival = random.choice(survivals)
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


def check_kept_state(left: Path, told: list[str]) -> Iterator[str]:
    """Open a log with the state that is kept beside it; the newest state that was kept is used."""
    path, durable, kept_seq = left / "data" / LOG, _newest(told, "log"), _newest(told, "state")
    if durable:
        try:
            with SqliteLog.create_or_open(path, PROJECTIONS) as log:
                kept = read_state(path, log)
                if kept_seq and (kept is None or kept.seq < kept_seq):
                    yield f"the state was kept at event {kept_seq}, and is lost"
                if log.head().seq < durable:
                    yield f"event {durable} was durable, and is lost"
        except LogError as error:
            yield f"the log cannot be opened: {error}"
            return
        yield from (finding.sentence for finding in replay(path, PROJECTIONS).findings)
    yield from check_belief(left, told)


def check_belief(left: Path, told: list[str]) -> Iterator[str]:
    """Open a log as each command does; whatever is kept beside it, its state is that of its events.

    A disk that forgets what it claims to have synced may leave a log that is refused, or torn lines of its anchor.
    """
    path = left / "data" / LOG
    path.parent.mkdir(exist_ok=True)
    try:
        yield from trio.run(_disbelieved, path, _newest(told, "log") + 1)
        findings = replay(path, PROJECTIONS).findings
        yield from (finding.sentence for finding in findings if finding.kind is not FindingKind.ANCHOR)
    except LogError as error:
        if is_accepted(path):
            yield f"with what is kept beside it the log cannot be opened: {error}"


async def _disbelieved(path: Path, reached: int) -> list[str]:
    """Open a log twice, and return how its state differs from that of its events.

    In between, a log that has lost events gets others, until it is as long as it was.
    """
    make_log(path)
    found: list[str] = []
    for part in range(2):
        async with open_ledger(path) as (ledger, ids, _):
            found += differences(ledger.state, Ledger(ledger.log, SystemClock(), ledger.offload).state)
            missing = max(1, reached - ledger.log.head().seq)
            async with trio.open_nursery() as nursery:
                for number in range(missing):
                    nursery.start_soon(Directory(ledger, ids).new_project, f"project {number} of part {part}")
    return found


def differences(state: DecisionState, other: DecisionState) -> list[str]:
    """Return the parts in which two states differ."""
    parts = vars(state).keys() - {"_folds"}
    return [f"{part} is not that of the events" for part in sorted(parts) if vars(state)[part] != vars(other)[part]]


def is_accepted(path: Path) -> bool:
    """Return whether a log can be opened for writing, and folded, by itself."""
    state_path(path).unlink(missing_ok=True)
    try:
        with SqliteLog.create_or_open(path, PROJECTIONS) as log:
            Ledger(log, SystemClock(), commit_in_thread)
    except LogError:
        return False
    return True


def _newest(told: Iterable[str], word: str) -> int:
    """Return the last position that was told with a word; 0 if there is none."""
    return max((int(said.partition(" ")[2]) for said in told if said.startswith(f"{word} ")), default=0)
