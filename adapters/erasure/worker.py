"""Forgetting a worker: what the log and the data folder hold of it goes, and what happened stays provable."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import msgspec

from ...core.command_issuer import CommandIssuer
from ...core.commands.directory import EraseWorker
from ...core.decisions.erase_worker import decide_erase_worker
from ...core.ledger import Ledger
from ...core.lifecycles.task_run import TaskRunStatus
from ...core.lifecycles.worker import WorkerStatus
from ...core.payloads import RUNS_FOLDER, refs_of
from ...events import streams
from ...events.agent import AgentMetadataReceived, AgentSubmitted, AgentSubmittedAgain, AgentSubmittedLate
from ...events.ids import TaskRunId, WorkerId
from ...events.task_run import CallbackFailed
from ...events.worker import WorkerErased, WorkerRegistered
from ..composition.ledger import open_ledger
from ..log.sqlite.file_identity import has_wal
from .files import Traces, clear_journals, delete_uploads, files_with_traces, router_folder
from .unfinished import begin_erasure, end_erasure

#: Who the log says it was.
ACTOR = "privacy"


class ErasureReport(msgspec.Struct, frozen=True, kw_only=True):
    """Report of an erasure."""

    worker: WorkerId
    #: Position of the event that says so.
    seq: int
    #: Names, submissions, updates and notes that were deleted.
    payloads: int
    #: Uploaded files that were deleted.
    uploads: tuple[str, ...]
    #: Files below the data folder that still hold the worker's name or words: somebody put them there.
    left: tuple[str, ...]
    #: A reader holds the log open, and with it a `-wal` file in which deleted bytes may stand until it is gone.
    held_by_reader: bool
    #: True if the worker had been erased before: only remains were deleted.
    repeated: bool = False

    @property
    def complete(self) -> bool:
        """True if nothing of the worker is left in the data folder."""
        return not self.left and not self.held_by_reader


async def erase_worker(database: Path, worker: WorkerId, reason: str) -> ErasureReport:
    """Delete a worker's name and all that it sent, and write down that this was done.

    Files go first: if this is interrupted it can be done again, and an erasure that was recorded already deletes what
    an interrupted one left. A cancelled call may have deleted files.

    Args:
        database: the log; the data folder is the folder it is in.
        worker: who.
        reason: goes into the event; say nothing personal in it.

    Raises:
        UnusableLogError: there is no such log, or another process writes it.
        UnknownEntityError: there is no such worker.
        CommandRefusedError: the worker is at work, or a server holds work of theirs.
    """
    command = EraseWorker(worker=worker, reason=reason)
    async with open_ledger(database) as (ledger, ids):
        before = _erased_at(ledger, worker)
        if before is None:
            ledger.state.check(decide_erase_worker(ledger.state, command))
        traces = _traces_of(ledger, worker)
        uploads = _clear_runs(database.parent / RUNS_FOLDER, ledger, traces)
        begin_erasure(database)
        seq = before or (await CommandIssuer(ledger, ids, ACTOR).issue(command)).events[-1].seq
    end_erasure(database)
    return ErasureReport(
        worker=worker,
        seq=seq,
        payloads=len(traces.bodies),
        uploads=tuple(map(str, uploads)),
        left=tuple(map(str, files_with_traces(database, traces))),
        held_by_reader=has_wal(database),
        repeated=before is not None,
    )


def _erased_at(ledger: Ledger, worker: WorkerId) -> int | None:
    """Return the position at which a worker was erased; None if that has not happened.

    Raises:
        UnknownEntityError: there is no such worker.
    """
    if ledger.state.workers[streams.worker(worker)].status is not WorkerStatus.ERASED:
        return None
    history = ledger.log.history(streams.worker(worker))
    return next(recorded.seq for recorded in history if isinstance(recorded.envelope.event, WorkerErased))


def _traces_of(ledger: Ledger, worker: WorkerId) -> Traces:
    """By what the worker's values are known, from its events and those of its agents."""
    state = ledger.state
    name = ""
    bodies: list[bytes] = []
    uploads: set[str] = set()
    tokens = {stream: agent.token for stream, agent in state.agents.items() if agent.worker == worker}
    tokens |= {stream: agent.token for stream, agent in state.onboardings.items() if agent.worker == worker}
    engagements = [stream for stream, one in state.engagements.items() if one.worker == worker]
    for stream in (streams.worker(worker), *engagements, *tokens):
        for _, envelope in ledger.log.history(stream):
            event = envelope.event
            found = [body for ref in refs_of(event) if (body := ledger.log.payload(ref)) is not None]
            bodies += found
            if isinstance(event, WorkerRegistered) and found:
                name = found[0].decode(errors="replace")
            if isinstance(event, AgentSubmitted | AgentSubmittedAgain | AgentSubmittedLate | AgentMetadataReceived):
                uploads |= {file.filename for file in event.files}
    bodies += _failure_messages(ledger, worker)
    return Traces(name, frozenset(tokens.values()), frozenset(uploads), tuple(bodies))


def _failure_messages(ledger: Ledger, worker: WorkerId) -> list[bytes]:
    """Return what functions of tasks said when they failed on a worker; that may quote the worker."""
    failures = (
        envelope.event
        for stream in ledger.state.task_runs
        for _, envelope in ledger.log.history(stream)
        if isinstance(envelope.event, CallbackFailed) and envelope.event.worker == worker
    )
    return [body for event in failures for ref in refs_of(event) if (body := ledger.log.payload(ref)) is not None]


def _clear_runs(folder: Path, ledger: Ledger, traces: Traces) -> list[Path]:
    """Delete what is in the runs' folders, once no server uses any of them; gives the uploads that were deleted."""
    uploads: list[Path] = []
    with ExitStack() as stack:
        held = [(run, stack.enter_context(router_folder(run))) for run in _run_folders(folder)]
        for run, router in held:
            if router is not None:
                clear_journals(router, traces, over=_is_over(ledger, run))
        for run, _ in held:
            uploads += delete_uploads(run, traces)
    return uploads


def _run_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _is_over(ledger: Ledger, folder: Path) -> bool:
    """Return True if a folder belongs to a run that cannot be resumed."""
    run = ledger.state.task_runs.get(streams.task_run(TaskRunId(int(folder.name)))) if folder.name.isdecimal() else None
    return run is not None and run.status is TaskRunStatus.COMPLETED
