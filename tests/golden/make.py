"""Writes the golden log of a release: `python tests/golden/make.py 0.1.0`.

`0.1.0.db.gz` is a log with every event that the release can write and the views as the release built them;
`0.1.0.anchor` is its head. Until the release is out they may be written again. After that they never change.
"""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from random import Random

from mephisto_es.adapters.log.anchor import anchor_path
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import (
    AgentFileLost,
    AgentFileStored,
    AgentMetadataReceived,
    AgentModelAsked,
    AgentModelReplied,
    FileLoss,
)
from mephisto_es.events.base import FileRef
from mephisto_es.events.codec import KIND_OF
from mephisto_es.events.engagement import SiteMessageAnswered, SiteMessageIntended, SiteMessageKind
from mephisto_es.events.payment import Answer
from mephisto_es.events.task_run import (
    SiteListAnswered,
    SiteListIntended,
    SiteListObserved,
    TaskRunBudgetChanged,
    TaskRunCompleted,
    TaskRunCreated,
    TaskRunDataAdded,
    TaskRunDataExhausted,
    TaskRunDeployed,
    TaskRunDraining,
    TaskRunOfferChanged,
    TaskRunPrepared,
    TaskRunStopping,
    TaskRunUnitsRaised,
    TaskRunWentLive,
)
from mephisto_es.projections.registry import PROJECTIONS
from mephisto_es.tests.history_generator import HistoryGenerator

HERE = Path(__file__).parent
#: So many moves that most kinds of events come by chance, and how many more a history gets that lacks a few.
MOVES = 2500
MORE_MOVES = 300
MAX_EXTENSIONS = 12
MAX_SEEDS = 100


class EveryKindGenerator(HistoryGenerator):
    """A generator that also writes a run that ended well, and what becomes of uploaded files."""

    def end_a_run(self) -> None:
        """A run from its beginning to its end, without any work."""
        run = ids.TaskRunId(self._next())
        created = TaskRunCreated(
            task_run=run,
            task=ids.TaskId(self._id("task")),
            requester=ids.RequesterId(self._id("requester")),
            blueprint_type="static_task",
            architect_type="local",
            provider_type="mock",
            config="{}",
            allowed_concurrent=1,
            maximum_units_per_worker=2,
            seed="0123",
            given_by_script=("static_task_data",),
        )
        stream = streams.task_run(run)
        self._request([NewEvent(stream, created)])
        rest = (TaskRunPrepared, TaskRunDeployed, TaskRunWentLive, TaskRunDataExhausted)
        more = (TaskRunDataAdded, TaskRunUnitsRaised, TaskRunBudgetChanged, TaskRunOfferChanged, TaskRunDataExhausted)
        lists = (SiteListIntended, SiteListAnswered, SiteListObserved)
        for kind in (*rest, *more, *lists, TaskRunDraining, TaskRunStopping, TaskRunCompleted):
            self._request([NewEvent(stream, self._fill(kind))])

    def ask_model(self) -> None:
        """A question to a language model on behalf of an agent, and its reply."""
        if not self._streams["agent"]:
            return
        stream = self._pick("agent")
        worker = self.state.agents[stream].worker
        text = self._json({"text": "hello"}, worker)
        self._request([NewEvent(stream, AgentModelAsked(number=1, model="small", request=text, limit_cents=2))])
        self._request([NewEvent(stream, AgentModelReplied(number=1, model="small", reply=text, cost_cents=1))])

    def send_message(self) -> None:
        """A message that a crowd site passes on, and its answer."""
        stream = self._pick("engagement")
        worker = self.state.engagements[stream].worker
        text = self._json({"text": "thank you"}, worker)
        intended = SiteMessageIntended(registration="r", message=SiteMessageKind.MESSAGE, text=text)
        self._request([NewEvent(stream, intended)])
        self._request([NewEvent(stream, SiteMessageAnswered(registration="r", answer=Answer.DONE))])

    def receive_files(self) -> None:
        """Two files that come with the metadata of an agent: one is stored, the other one is lost."""
        if not self._streams["agent"]:
            return
        stream = self._pick("agent")
        worker = self.state.agents[stream].worker
        names = (f"{self._next()}.png", f"{self._next()}.png")
        files = tuple(FileRef(filename=name, size=3, sha256="a" * 64) for name in names)
        details = [{"filename": name, "fieldname": "photo", "originalname": "me.png", "size": 3} for name in names]
        metadata = self._json({"metadata": {"worker_opinion": {"questions": []}}}, worker)
        received = AgentMetadataReceived(metadata=metadata, files=files, file_details=self._json(details, worker))
        self._request([NewEvent(stream, received)])
        self._request([NewEvent(stream, AgentFileStored(filename=names[0]))])
        self._request([NewEvent(stream, AgentFileLost(filename=names[1], reason=FileLoss.GONE))])


def requests_of_every_kind() -> tuple[AppendRequest, ...]:
    """The first history in which everything there is happens."""
    for seed in range(MAX_SEEDS):
        generator = EveryKindGenerator(Random(seed))
        generator.begin()
        generator.write(MOVES)
        generator.end_a_run()
        generator.receive_files()
        generator.ask_model()
        generator.send_message()
        generator.send_message()
        for _ in range(MAX_EXTENSIONS):
            if {type(event) for request in generator.requests for _, event in request.events} == set(KIND_OF):
                return tuple(generator.requests)
            generator.write(MORE_MOVES)
    raise LookupError(
        "some event never happens; let `HistoryGenerator` write it more often, or `EveryKindGenerator` once"
    )


def make(release: str) -> None:
    """Write the two files of a release."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        with SqliteLog.create_or_open(path, PROJECTIONS) as log:
            for request in requests_of_every_kind():
                log.commit([request])
        with closing(sqlite3.connect(path)) as db:
            db.execute("VACUUM")
            db.execute("PRAGMA journal_mode=DELETE")
        (HERE / f"{release}.db.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        shutil.copy(anchor_path(path), HERE / f"{release}.anchor")


if __name__ == "__main__":
    make(sys.argv[1])
