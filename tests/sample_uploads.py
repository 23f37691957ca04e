"""Two uploads in a sample log: one whose file is here, and one that is still at the server."""

from __future__ import annotations

import json
from pathlib import Path

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.payloads import seal
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentMetadataReceived
from mephisto_es.events.base import FileRef
from mephisto_es.events.ids import AgentId
from mephisto_es.projections.mephisto_db import MephistoDB
from mephisto_es.projections.registry import PROJECTIONS

from .sample_log import RUN

#: Names under which the two files are stored.
HERE, AWAY = "a" * 32, "b" * 32
#: What a worker's computer may call a file.
EVIL = "../../<b>me\x1b[31m .png"


def add_uploads(path: Path) -> AgentId:
    """Let the first agent of a log leave two files with its feedback; returns the agent."""
    with MephistoDB(path) as db:
        agent = db.find_agents()[0]
    files = tuple(FileRef(filename=name, size=3, sha256="0" * 64) for name in (HERE, AWAY))
    details = [
        {"filename": HERE, "fieldname": "photo", "originalname": EVIL, "mimetype": "image/png", "size": 3},
        {"filename": AWAY, "fieldname": "voice", "originalname": "x.wav", "mimetype": "text/html", "size": 3},
    ]
    said = seal(b'{"metadata": {}}', b"1" * 16, agent.worker_id)
    names = seal(json.dumps(details).encode(), b"2" * 16, agent.worker_id)
    received = AgentMetadataReceived(metadata=said.ref, files=files, file_details=names.ref)
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        events = (NewEvent(streams.agent(RUN, agent.agent_id), received),)
        at, payloads = log.head().at, (said, names)
        log.commit([AppendRequest(command="files", actor="worker/1", at=at, events=events, payloads=payloads)])
    stored = path.parent / "runs" / str(RUN) / "files" / str(agent.agent_id)
    stored.mkdir(parents=True)
    (stored / HERE).write_bytes(b"PNG")
    return agent.agent_id
