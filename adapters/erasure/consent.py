"""Withdraws a worker's consent to one run: deletes what the log and the run's folder contain of them in that run."""

from __future__ import annotations

from pathlib import Path

from ...core.ledger import Ledger
from ...core.operations.services.consents import Consents
from ...core.payloads import RUNS_FOLDER
from ...core.ports import Ids
from ...events import streams
from ...events.agent import AgentMetadataReceived, AgentSubmitted, AgentSubmittedAgain, AgentSubmittedLate
from ...events.ids import TaskRunId, WorkerId
from .files import Traces, clear_journals, delete_uploads, router_folder


async def withdraw_consent(
    database: Path, ledger: Ledger, ids: Ids, run: TaskRunId, worker: WorkerId, reason: str, author: str
) -> int:
    """Withdraw a worker's consent to a run, and delete the payloads, packets and uploads of the worker in it.

    The name of the worker and what they sent in other runs stay. A cancelled call may have done a part of this;
    repeating it does the rest.

    Args:
        database: the log; the data folder is the folder it is in.
        ledger: the ledger of that log; its writer task is running.
        ids: source of ids.
        run: the run.
        worker: the worker.
        reason: recorded in the log, so it names nobody.
        author: who asked for it.

    Returns:
        The number of payloads that were deleted.

    Raises:
        UnknownEntityError: there is no such run, or the worker was never in it.
        CommandRefusedError: the worker has given no consent or is at work, or a server that has stopped holds work of
            theirs.
    """
    deleted = await Consents(run, ledger, ids, author).withdraw(worker, reason)
    traces, folder = _traces_of(ledger, run, worker), database.parent / RUNS_FOLDER / str(run)
    if folder.is_dir():
        delete_uploads(folder, traces)
    with router_folder(folder) as router:
        if router is not None:
            clear_journals(router, traces, over=False)
    return deleted


def _traces_of(ledger: Ledger, run: TaskRunId, worker: WorkerId) -> Traces:
    """Return how what a worker sent in a run is recognized in files; payloads are gone by now."""
    state = ledger.state
    agents = {stream: one.token for stream, one in state.agents.items() if one.worker == worker}
    agents |= {stream: one.token for stream, one in state.onboardings.items() if one.worker == worker}
    tokens = {stream: token for stream, token in agents.items() if streams.run_of(stream) == run}
    uploads = {
        file.filename
        for stream in tokens
        for _, envelope in ledger.log.history(stream)
        if isinstance(envelope.event, AgentSubmitted | AgentSubmittedAgain | AgentSubmittedLate | AgentMetadataReceived)
        for file in envelope.event.files
    }
    return Traces("", frozenset(tokens.values()), frozenset(uploads), ())
