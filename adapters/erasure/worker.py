"""Erases a worker: deletes what the log and the data folder contain of them; the events stay."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from ...core.command_issuer import CommandIssuer
from ...core.commands.directory import EraseWorker
from ...core.decisions.erase_worker import decide_erase_worker
from ...core.ledger import Ledger
from ...core.lifecycles.task_run import TaskRunStatus
from ...core.lifecycles.worker import WorkerStatus
from ...core.operations.control.requests import ErasureReport
from ...core.payloads import RUNS_FOLDER, refs_of
from ...core.ports import Ids
from ...events import streams
from ...events.agent import AgentMetadataReceived, AgentSubmitted, AgentSubmittedAgain, AgentSubmittedLate
from ...events.ids import TaskRunId, WorkerId
from ...events.onboarding import OnboardingStarted
from ...events.task_run import CallbackFailed
from ...events.worker import WorkerErased, WorkerRegistered
from .files import Traces, clear_journals, delete_uploads, files_with_traces, router_folder
from .unfinished import begin_erasure, end_erasure

#: Seconds in which copies that follow the log elsewhere delete what was erased.
PATIENCE_SECONDS = 5.0


async def erase_worker(
    database: Path,
    ledger: Ledger,
    ids: Ids,
    worker: WorkerId,
    reason: str,
    author: str,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> ErasureReport:
    """Delete a worker's name and everything they sent, and record that.

    Files go first: if this is interrupted, it can be repeated, and an erasure that was recorded before deletes what is
    left. A cancelled call may have deleted files. The journal of a server that runs is not touched; if it still
    contains packets of the worker, it is listed among the files that are left.

    Args:
        database: the log; the data folder is the folder it is in.
        ledger: the ledger of that log; its writer task is running.
        ids: source of command ids.
        worker: the worker.
        reason: recorded in the log, so it names nobody.
        author: who asked for it.
        patience_seconds: how long to wait until copies of the log elsewhere have deleted the values.

    Raises:
        UnknownEntityError: there is no such worker.
        CommandRefusedError: the worker is at work, or a server that has stopped holds work of theirs.
    """
    command = EraseWorker(worker=worker, reason=reason)
    # The state may be ahead of the log: another erasure of the worker may be on its way to the disk.
    await ledger.wait_durable(streams.worker(worker))
    before = _erased_at(ledger, worker)
    if before is None:
        ledger.state.check(decide_erase_worker(ledger.state, command))
    traces = _traces_of(ledger, worker)
    uploads, in_use = _clear_runs(database.parent / RUNS_FOLDER, ledger, traces, before)
    begin_erasure(database)
    seq = before or (await CommandIssuer(ledger, ids, author).issue(command)).events[-1].seq
    values_remain = ledger.log.holds_erased
    unconfirmed = await ledger.offload(partial(ledger.log.unconfirmed, seq, patience_seconds))
    end_erasure(database, values_remain=values_remain)
    return ErasureReport(
        worker=worker,
        seq=seq,
        payloads=len(traces.bodies),
        uploads=tuple(map(str, uploads)),
        left=tuple(map(str, sorted({*files_with_traces(database, traces), *in_use}))),
        held_by_reader=values_remain,
        repeated=before is not None,
        unconfirmed=unconfirmed,
        journals_in_use=tuple(map(str, in_use)),
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
    """Return how a worker's values can be recognized, from the events of the worker and of their agents."""
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
            if isinstance(event, OnboardingStarted):
                continue  # its inputs are the task's
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


def _clear_runs(folder: Path, ledger: Ledger, traces: Traces, erased_at: int | None) -> tuple[list[Path], list[Path]]:
    """Delete a worker's traces from the folders of runs.

    Args:
        folder: the folder of all runs.
        ledger: the ledger of the log.
        traces: the worker's traces.
        erased_at: the position at which the worker was erased before; runs that are younger have nothing of them.

    Returns:
        The uploads that were deleted, and the journals of servers that run, which have something of the worker.
    """
    uploads: list[Path] = []
    in_use: list[Path] = []
    with ExitStack() as stack:
        held = [(run, stack.enter_context(router_folder(run))) for run in _run_folders(folder)]
        for run, router in held:
            if router is not None:
                kept = clear_journals(router, traces, over=_is_over(ledger, run))
                in_use += kept if erased_at is None or _began_at(ledger, run) < erased_at else []
        for run, _ in held:
            uploads += delete_uploads(run, traces)
    return uploads, in_use


def _run_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _began_at(ledger: Ledger, folder: Path) -> int:
    """Return the position of the first event of the run to which a folder belongs; 0 if it belongs to none."""
    stream = _run_stream(folder)
    return ledger.log.history(stream)[0].seq if stream in ledger.state.task_runs else 0


def _run_stream(folder: Path) -> str:
    return streams.task_run(TaskRunId(int(folder.name))) if folder.name.isdecimal() else ""


def _is_over(ledger: Ledger, folder: Path) -> bool:
    """Return True if a folder belongs to a run that cannot be resumed."""
    run = ledger.state.task_runs.get(_run_stream(folder))
    return run is not None and run.status is TaskRunStatus.COMPLETED
