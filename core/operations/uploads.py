"""Fetches uploaded files from a run's server into the folder of the run.

A submission names its files in the log, so what has to be fetched survives a restart. A file counts as stored once it
is durable here and its size and hash are those of the submission; that is recorded, and only then is the server told
to delete its copy. A server that does not answer is asked again; one that does not have the file is believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import trio

from ...events import streams
from ...events.agent import (
    AgentFileLost,
    AgentFileStored,
    AgentMetadataReceived,
    AgentSubmitted,
    AgentSubmittedAgain,
    AgentSubmittedLate,
    FileLoss,
)
from ...events.base import FileRef
from ...events.envelope import RecordedEvent
from ...events.ids import AgentId, TaskRunId
from ..abstractions.architect import Architect
from ..command_issuer import CommandIssuer
from ..commands.agent import RecordFile
from ..errors import ProtocolError, UploadGoneError
from ..ledger import Ledger
from ..payloads import agent_files_dir
from ..ports import Ids
from ..signal import Signal
from .logger_core import get_logger
from .run_context import RunContext

#: Files that are fetched at a time.
CONCURRENT_FILES = 4
#: Seconds before a server is asked again: at first, and at most.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
#: Times that a file is fetched whose content is not what the submission says.
CONTENT_TRIES = 3
#: Bytes that are hashed before other tasks get their turn.
HASHED_BYTES = 2**20
#: Seconds without a stored file after which the end of a run waits no longer.
PATIENCE_SECONDS = 600.0
#: The same if the run must end immediately.
SHORT_PATIENCE_SECONDS = 30.0
#: Agents that the reason for a pause names.
NAMED_AGENTS = 5

logger = get_logger(__name__)

_WITH_FILES = AgentSubmitted | AgentSubmittedAgain | AgentSubmittedLate | AgentMetadataReceived


class UploadFetcher:
    """The uploaded files of one run."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids) -> None:
        """Keep the parts.

        Args:
            context: the run.
            ledger: takes the commands.
            ids: source of command ids.
        """
        self._run: TaskRunId = context.task_run
        self._architect: Architect = context.architect
        self._nursery = context.nursery
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids)
        self._limit = trio.CapacityLimiter(CONCURRENT_FILES)
        #: Names of the files that are being fetched, or dropped by the server.
        self._fetching: set[str] = set()
        self._stored = Signal()

    def resume(self) -> None:
        """Fetch what an earlier process of the run did not get to."""
        for agent in self._awaiting():
            self._fetch_soon(agent, self._awaited_files(agent))

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Follow submissions with files among durable events of the run."""
        for recorded in events:
            event = recorded.envelope.event
            if isinstance(event, _WITH_FILES) and event.files:
                self._fetch_soon(AgentId(streams.number_of(recorded.envelope.stream)), event.files)
            elif isinstance(event, AgentFileStored | AgentFileLost):
                self._stored.notify()

    async def wait_for(self, agent: AgentId) -> None:
        """Wait until nothing more of an agent's files is awaited."""
        while self._awaited_files(agent):
            await self._stored.wait()

    async def wait_for_all(self, *, at_once: bool) -> str | None:
        """Wait until nothing more is awaited and the server has dropped what is here, or nothing has happened for long.

        Args:
            at_once: wait only briefly.

        Returns:
            Why the run must keep its server; None if it need not.
        """
        patience = SHORT_PATIENCE_SECONDS if at_once else PATIENCE_SECONDS
        while self._awaiting() or self._fetching:
            with trio.move_on_after(patience) as waiting:
                await self._stored.wait()
            if waiting.cancelled_caught:
                break
        if not self._awaiting():
            return None
        agents = ", ".join(f"agent-{agent}" for agent in self._awaiting()[:NAMED_AGENTS])
        return f"uploaded files of {agents} are still at the server; resume the run to fetch them"

    def _awaiting(self) -> list[AgentId]:
        return sorted(self._ledger.state.runs[self._run].awaiting_files)

    def _awaited_files(self, agent: AgentId) -> tuple[FileRef, ...]:
        return self._ledger.state.agents[streams.agent(self._run, agent)].awaited_files

    def _fetch_soon(self, agent: AgentId, files: Sequence[FileRef]) -> None:
        for file in files:
            if file.filename not in self._fetching:
                self._fetching.add(file.filename)
                self._nursery.start_soon(self._fetch, agent, file)

    async def _fetch(self, agent: AgentId, file: FileRef) -> None:
        """Fetch a file, however long it takes, and record the outcome."""
        pause, differing = FIRST_PAUSE_SECONDS, 0
        outcome: AgentFileStored | AgentFileLost | None = None
        while outcome is None:
            try:
                async with self._limit:
                    if await self._store(agent, file):
                        outcome = AgentFileStored(filename=file.filename)
                    elif (differing := differing + 1) == CONTENT_TRIES:
                        outcome = AgentFileLost(filename=file.filename, reason=FileLoss.DIFFERENT)
            except UploadGoneError:
                outcome = AgentFileLost(filename=file.filename, reason=FileLoss.GONE)
            except (ProtocolError, OSError) as error:
                logger.warning(
                    "an uploaded file was not fetched", agent=agent, error=str(error), again_in_seconds=pause
                )
            if outcome is None:
                await trio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        await self._issuer.issue(RecordFile(task_run=self._run, agent=agent, event=outcome))
        if isinstance(outcome, AgentFileLost):
            logger.error("an uploaded file is lost", agent=agent, file=file.filename, reason=outcome.reason.value)
        else:
            await self._drop(file)
        self._fetching.discard(file.filename)
        self._stored.notify()

    async def _store(self, agent: AgentId, file: FileRef) -> bool:
        """Fetch a file unless it is here already; returns False if it has another content than the submission says."""
        folder = agent_files_dir(self._architect.build_dir, agent)
        path = folder / file.filename
        # An earlier process may have died before it recorded that it had stored the file.
        if path.is_file() and await _has_content(path, file):
            return True
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = await self._architect.download_file(file.filename, folder)
        if await _has_content(path, file):
            return True
        path.unlink(missing_ok=True)
        return False

    async def _drop(self, file: FileRef) -> None:
        try:
            await self._architect.drop_file(file.filename)
        except ProtocolError as error:
            logger.info("the server keeps an uploaded file until the end of the run", error=str(error))


async def _has_content(path: Path, file: FileRef) -> bool:
    """Return whether a file has the size and the hash that a submission says."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as content:
        while piece := content.read(HASHED_BYTES):
            digest.update(piece)
            size += len(piece)
            await trio.lowlevel.checkpoint()
    return size == file.size and digest.hexdigest() == file.sha256
