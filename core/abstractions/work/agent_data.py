"""The data of an agent's work in Mephisto's shape, computed from what its page and the task's code sent each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ..work_data import FileDetails, RemoteRequest, Update, WorkKind

#: The shape of the outputs of blueprints that come with Mephisto or this project, whatever was sent.
_KINDS = {
    "static_task": WorkKind.FORM,
    "static_react_task": WorkKind.FORM,
    "static_html_task": WorkKind.FORM,
    "remote_procedure": WorkKind.PROCEDURES,
    "paired_chat": WorkKind.CHAT,
    "parlai_chat": WorkKind.CHAT,
}
#: Key by which a message tells who sent it: the worker's page or the task's code.
SENT_BY = "sent_by"


class PastUpdate(NamedTuple):
    """A recorded live update between an agent's page and task code."""

    #: True if the page sent it, False if task code did.
    by_page: bool
    update: Update
    #: Seconds since the epoch.
    at: float


class _Called(msgspec.Struct):
    request_id: str
    target: str
    args: str = "null"


def work_kind(blueprint_type: str) -> WorkKind:
    """Return the shape of the outputs of a task, by the name of its blueprint."""
    return _KINDS.get(blueprint_type, WorkKind.OTHER)


def onboarding_kind(blueprint_type: str, *, has_updates: bool) -> WorkKind:
    """Return the shape of the outputs of an onboarding: a chat's may be a chat too, or a form."""
    if not has_updates:
        return WorkKind.FORM
    return WorkKind.CHAT if work_kind(blueprint_type) is WorkKind.CHAT else WorkKind.OTHER


def make_outputs(
    kind: WorkKind, submission: object, updates: Iterable[PastUpdate], files: Sequence[FileDetails] | None = None
) -> Any:
    """Return the outputs of an agent.

    Args:
        kind: their shape.
        submission: the submission, decoded; None if there is none.
        updates: all live updates, the oldest first.
        files: uploaded files of the submission; None if the page sent no form.
    """
    final = with_files(submission, files)
    match kind:
        case WorkKind.FORM:
            return final
        case WorkKind.OTHER:
            messages = [as_message(one) for one in updates]
            return {"messages": messages, **(final or {})} if messages and isinstance(final, dict | None) else final
        case WorkKind.CHAT:
            return {"messages": [as_message(one) for one in updates], "final_submission": final}
        case WorkKind.PROCEDURES:
            found = (as_request(one) for one in updates)
            return {"requests": [one.to_dict() for one in found if one is not None], "final_submission": final}


def with_files(submission: object, files: Sequence[FileDetails] | None) -> object:
    """Add the names of uploaded files to a submission, as Mephisto does: `files`, and `filesByFields` with details."""
    if files is None or not isinstance(submission, dict | None):
        return submission
    return {**(submission or {}), "files": [file.filename for file in files], "filesByFields": files_by_fields(files)}


def files_by_fields(files: Iterable[FileDetails]) -> dict[str, list[dict[str, Any]]]:
    """Return the details of files by the form field they were uploaded in."""
    by_field: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        details = msgspec.structs.asdict(file)
        by_field.setdefault(details.pop("fieldname"), []).append(details)
    return by_field


def as_message(past: PastUpdate) -> dict[str, Any]:
    """Return a live update as a message, with its time in seconds since the epoch and who sent it."""
    sender = "worker" if past.by_page else "task"
    return {**past.update, "timestamp": past.at, SENT_BY: sender}


def as_request(past: PastUpdate) -> RemoteRequest | None:
    """Return a live update as a call or an answer; None if it is neither."""
    update = past.update
    if past.by_page:
        try:
            called = msgspec.convert(update, _Called)
        except msgspec.ValidationError:
            return None
        return RemoteRequest(called.request_id, called.target, called.args, None, past.at)
    if "handles" not in update:
        return None
    return RemoteRequest(update.get("update_id", ""), update["handles"], None, update.get("response"), past.at)


class SentMetadata(NamedTuple):
    """One submission of metadata."""

    #: The decoded metadata.
    body: object
    files: Sequence[FileDetails]
    #: Identifies the parts of it.
    key: str


def make_metadata(sent: Iterable[SentMetadata], task_start: float | None, task_end: float | None) -> dict[str, Any]:
    """Return what a worker left beside the work under Mephisto's names: tips, feedback, an opinion, and the times.

    Args:
        sent: everything that the worker left, the oldest first.
        task_start: seconds since the epoch; None if the work has not started.
        task_end: seconds since the epoch; None if it was not submitted.
    """
    metadata: dict[str, Any] = {
        "default": None,
        "feedback": None,
        "task_end": task_end,
        "task_start": task_start,
        "tips": None,
        "worker_opinion": None,
    }
    for one in sent:
        if not isinstance(one.body, dict):
            continue
        body = one.body
        if isinstance(body.get("tips"), dict):
            metadata["tips"] = [*(metadata["tips"] or []), _tip(body["tips"], one.key)]
        elif isinstance(body.get("feedback"), dict):
            answers = _questions(body["feedback"].get("data"))
            new = [_feedback(answer, f"{one.key}-{number}") for number, answer in enumerate(answers)]
            metadata["feedback"] = [*(metadata["feedback"] or []), *new]
        elif isinstance(body.get("worker_opinion"), dict):
            metadata["worker_opinion"] = _opinion(metadata["worker_opinion"], body["worker_opinion"], one)
        else:
            metadata["default"] = body
    return metadata


def _tip(tip: Mapping[str, object], key: str) -> dict[str, object]:
    return {"id": key, "header": tip.get("header"), "text": tip.get("text"), "accepted": False}


def _feedback(answer: Mapping[str, object], key: str) -> dict[str, object]:
    return {
        "id": key,
        "question": answer.get("question"),
        "text": answer.get("text"),
        "reviewed": False,
        "toxicity": None,
    }


def _opinion(before: dict[str, Any] | None, opinion: Mapping[str, object], sent: SentMetadata) -> dict[str, Any]:
    earlier: dict[str, Any] = before or {"attachments": [], "attachments_by_fields": {}, "questions": []}
    questions = [
        {
            "id": f"{sent.key}-{number}",
            "question": answer.get("question"),
            "answer": answer.get("text"),
            "reviewed": False,
            "toxicity": None,
        }
        for number, answer in enumerate(_questions(opinion.get("questions")))
    ]
    return {
        "attachments": [*earlier["attachments"], *(msgspec.structs.asdict(file) for file in sent.files)],
        "attachments_by_fields": {**earlier["attachments_by_fields"], **files_by_fields(sent.files)},
        "questions": [*earlier["questions"], *questions],
    }


def _questions(value: object) -> list[Mapping[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
