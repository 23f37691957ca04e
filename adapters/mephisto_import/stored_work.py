"""Reads what Mephisto keeps of an agent in files: submission, messages, requests, metadata, uploaded files.

Static tasks have an `agent_data.json`; chats and remote procedures have a `state.json`, whose outputs hold messages or
requests beside the final submission; tips, feedback and opinions are in `agent_meta.json`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ...core.abstractions.work.agent_data import PastUpdate
from ...core.abstractions.work_data import FileDetails
from ...events.base import FileRef
from .source import Source

#: The file of tasks with live updates, and those of all tasks.
_LIVE_FILE = "state.json"
_DATA_FILES = ("agent_data.json", _LIVE_FILE)
_META_FILE = "agent_meta.json"
#: Parts of the outputs of remote procedures.
_OUTPUTS = ("requests", "final_submission")
#: Keys of what a page submitted that this import sets itself.
_FILE_KEYS = ("files", "filesByFields")
_HASHED_BYTES = 2**20


class KeptFile(NamedTuple):
    """An uploaded file in the folder of an agent."""

    path: Path
    ref: FileRef
    details: FileDetails


class StoredWork(msgspec.Struct):
    """The stored work of an agent or an onboarding agent."""

    #: False if there is no file about it.
    is_there: bool = False
    #: What the page was given.
    inputs: object = None
    #: What the page submitted.
    submission: object = None
    #: Messages of a chat, or requests of remote procedures, oldest first.
    updates: list[PastUpdate] = []
    #: Metadata in the shape in which pages send it.
    metadata: list[dict[str, Any]] = []
    #: Seconds since the epoch.
    task_start: float | None = None
    task_end: float | None = None
    files: list[KeptFile] = []
    #: Names of files of the submission that are not in the folder.
    missing_files: list[str] = []
    #: The outputs as Mephisto reads them.
    outputs: object = None
    #: Tips that were accepted, and feedback that was looked at.
    marks: int = 0
    #: Files attached to opinions.
    attachments: int = 0


def read_work(source: Source, run: int, *folder: str | int) -> StoredWork:
    """Return what there is in the folder of an agent.

    Args:
        source: the database.
        run: the run.
        folder: the path of the agent's folder below that of the run.
    """
    work = StoredWork()
    for name in _DATA_FILES:
        state = source.json(run, *folder, name)
        if isinstance(state, dict) and ("outputs" in state or "requests" in state):
            # Before 1.2 a remote procedure had its requests and its submission beside each other.
            work.inputs = state.get("inputs", state.get("init_data"))
            work.is_there, work.outputs = True, state.get("outputs", {key: state.get(key) for key in _OUTPUTS})
            _read_outputs(work, work.outputs, is_live=name == _LIVE_FILE)
            _read_times(work, state)
            break
    match source.json(run, *folder, _META_FILE):
        case dict() as meta:
            _read_times(work, meta)
            work.metadata = list(_metadata(meta))
            said = [*_dicts(meta.get("tips")), *_dicts(meta.get("feedback"))]
            work.marks = sum(bool(one.get("accepted") or one.get("reviewed")) for one in said)
            opinion = meta.get("worker_opinion")
            work.attachments = len(_dicts(opinion.get("attachments"))) if isinstance(opinion, dict) else 0
        case _:
            pass
    place = source.folder(run, *folder)
    if place is not None:
        _read_files(work, place)
    return work


def _read_outputs(work: StoredWork, outputs: object, *, is_live: bool) -> None:
    match outputs:
        case _ if not is_live:
            # A form may have fields of any name.
            work.submission = outputs
        case {"messages": list() as messages, **rest}:
            work.submission = rest.get("final_submission")
            work.updates = [_message(message) for message in messages if isinstance(message, dict)]
        case {"requests": list() as requests, **rest}:
            work.submission = rest.get("final_submission")
            work.updates = [_request(request) for request in requests if isinstance(request, dict)]
        case _:
            work.submission = outputs


def _message(message: dict[str, Any]) -> PastUpdate:
    update = {key: value for key, value in message.items() if key != "timestamp"}
    # Mephisto does not keep who sent a message; what the task's code sends has its data or its speaker's id.
    return PastUpdate(False, update, _seconds(message.get("timestamp")) or 0.0)


def _request(request: dict[str, Any]) -> PastUpdate:
    at = _seconds(request.get("timestamp")) or 0.0
    uuid, target = str(request.get("uuid")), str(request.get("target"))
    if request.get("args_json") is None:
        return PastUpdate(False, {"update_id": uuid, "handles": target, "response": request.get("response_json")}, at)
    return PastUpdate(True, {"request_id": uuid, "target": target, "args": str(request["args_json"])}, at)


def _read_times(work: StoredWork, values: dict[str, Any]) -> None:
    known = dict(values)
    for part in (values.get("times"), values.get("metadata")):
        known |= part if isinstance(part, dict) else {}
    work.task_start = _seconds(known.get("task_start", known.get("start_time"))) or work.task_start
    work.task_end = _seconds(known.get("task_end", known.get("end_time"))) or work.task_end


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _metadata(meta: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield stored metadata in the shape in which pages send it."""
    for tip in _dicts(meta.get("tips")):
        yield {"tips": {"header": tip.get("header"), "text": tip.get("text")}}
    for said in _dicts(meta.get("feedback")):
        yield {"feedback": {"data": [{"question": said.get("question"), "text": said.get("text")}]}}
    opinion = meta.get("worker_opinion")
    if isinstance(opinion, dict):
        questions = _dicts(opinion.get("questions"))
        answers = [{"question": one.get("question"), "text": one.get("answer")} for one in questions]
        yield {"worker_opinion": {"questions": answers}}
    if isinstance(meta.get("default"), dict):
        yield meta["default"]


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _read_files(work: StoredWork, folder: Path) -> None:
    """Find the files that the submission names, and take them out of it."""
    match work.submission:
        case {"files": list() as named, **rest}:
            details = _details(rest.get("filesByFields"))
            names = [str(one.get("filename")) if isinstance(one, dict) else str(one) for one in named]
            work.submission = {key: value for key, value in rest.items() if key not in _FILE_KEYS}
            for name in names:
                path = folder / name
                if Path(name).name != name or not path.is_file():
                    work.missing_files.append(name)
                    continue
                ref = FileRef(filename=name, size=path.stat().st_size, sha256=_hash(path))
                known = details.get(name, FileDetails(filename=name, originalname=name))
                work.files.append(KeptFile(path, ref, msgspec.structs.replace(known, size=ref.size)))


def _details(by_fields: object) -> dict[str, FileDetails]:
    if not isinstance(by_fields, dict):
        return {}
    return {
        str(file.get("filename")): FileDetails(
            filename=str(file.get("filename")),
            fieldname=str(field),
            originalname=str(file.get("originalname", "")),
            mimetype=str(file.get("mimetype", "application/octet-stream")),
        )
        for field, files in by_fields.items()
        for file in _dicts(files)
    }


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while piece := content.read(_HASHED_BYTES):
            digest.update(piece)
    return digest.hexdigest()
