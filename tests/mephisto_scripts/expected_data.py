"""What each of the sixteen scripts has collected, under Mephisto's names, without ids and times."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mephisto_es import AgentView, DataBrowser, MephistoDB

#: Keys of `DataBrowser.get_data_from_unit` in Mephisto 1.5.
UNIT_KEYS = {
    *("assignment_id", "unit_id", "worker_id", "worker_name", "status", "data", "metadata"),
    *("task_start", "task_end", "tips", "feedback"),
}
METADATA_KEYS = {"task_start", "task_end", "tips", "feedback", "worker_opinion", "default"}
#: Ids and times: they are there, and differ from run to run.
_CHANGING = ("update_id", "timestamp", "uuid", "start_time", "end_time", "task_start", "task_end", "id")

YES = {"truth": "yes"}
LEMON, PLUM = {"fruit": "lemon", "color": "yellow"}, {"fruit": "plum", "color": "blue"}
FIG, BLUE_FIG = {"fruit": "fig"}, {"fruit": "fig", "color": "blue"}
GREEN_KIWI = {"fruit": "kiwi", "color": "green"}
TRIAL = {"color": "yellow", "success": True}
OPINION = {
    "attachments": [],
    "attachments_by_fields": {},
    "questions": [{"question": "Was it clear?", "answer": "yes", "reviewed": False, "toxicity": None}],
}


def form(inputs: dict[str, Any], outputs: object = YES) -> dict[str, Any]:
    """Return the data of a form."""
    return {"inputs": inputs, "outputs": outputs}


def calls(*answers: str) -> dict[str, Any]:
    """Return the data of a page that called two procedures."""
    asked = (("describe", '{"size": "big"}'), ("count", "null"))
    requests = []
    for number, ((target, args), answer) in enumerate(zip(asked, answers, strict=True)):
        requests.append({"target": target, "args_json": args, "response_json": None})
        requests.append({"target": f"call {number}", "args_json": None, "response_json": answer})
    return {"inputs": FIG, "outputs": {"requests": requests, "final_submission": {"done": FIG}}}


def task(**update: object) -> dict[str, object]:
    """Return a message of the task's code."""
    return {**update, "sent_by": "task"}


def worker(text: str) -> dict[str, object]:
    """Return a message of the worker."""
    return {"text": text, "sent_by": "worker"}


def chat(inputs: dict[str, Any], guests: int, name: str, *messages: dict[str, object]) -> dict[str, Any]:
    """Return the data of a worker in a chat, from the name that the world gives to the data that it saves."""
    end = {"WORLD_DATA": {"guests": guests}, "text": "", "task_data": {"task_done": True}}
    said = [task(task_data={"agent_display_name": name}), *messages, task(**end)]
    outputs = {"messages": said, "final_submission": {"lines": 2}}
    return {"inputs": inputs, "outputs": outputs, "metadata": dict.fromkeys(METADATA_KEYS - set(_CHANGING))}


def _turn(text: str) -> tuple[dict[str, object], dict[str, object]]:
    return task(task_data={"live_update_requested": True}), worker(text)


#: The data of the agents of each script.
AGENTS: dict[str, list[dict[str, Any]]] = {
    "html": [form(LEMON), form(LEMON), form(PLUM), form(PLUM)],
    "html_onboarding": [form(LEMON), form(PLUM)],
    "react": [form(FIG), form({"fruit": "lime"})],
    "react_onboarding": [form(FIG)],
    "react_screening": [form(BLUE_FIG), form(GREEN_KIWI)],
    "worker_opinion": [form(FIG)],
    "remote_procedure": [calls('{"text":"big fig"}', "1")],
    "remote_procedure_onboarding": [calls('{"size":"big"}', "null")],
    "chat": [
        chat(
            {"topic": "fruits"},
            2,
            "Guest 1",
            *(*_turn("line 1"), task(text="line 1")),
            *(*_turn("line 2"), task(text="line 2")),
        ),
        chat(
            {"topic": "fruits"},
            2,
            "Guest 2",
            *(task(text="line 1"), *_turn("line 1")),
            *(task(text="line 2"), *_turn("line 2")),
        ),
    ],
    "chat_onboarding": [chat({}, 1, "Guest 1", *_turn("line 1"), *_turn("line 2"))] * 2,
    "gold": [form(BLUE_FIG), form(GREEN_KIWI)],
    "form_pages": [form({"form": {"title": "Fruits", "sections": [{"fields": [{"name": "fruit"}]}]}})],
    "form_upload": [form(FIG, {"proof": {"name": "proof.png", "size": 3, "type": "image/png"}})],
    "generated": [form({"fruit": "fruit 0"}), form({"fruit": "fruit 1"})],
    "mock": [form({"index": 0})],
    "review": [form(LEMON), form(PLUM)],
}
#: The data of the onboardings of each script that has some.
ONBOARDINGS: dict[str, list[dict[str, Any]]] = {
    "html_onboarding": [form({"fruit": "lemon"}, TRIAL)],
    "react_onboarding": [form({"a": 1}, TRIAL)],
    "remote_procedure_onboarding": [form({}, TRIAL)],
    "chat_onboarding": [
        {
            **form(
                {},
                {
                    "messages": [task(text="Which fruit is yellow?"), *_turn("lemon")],
                    "final_submission": {},
                },
            ),
            "metadata": dict.fromkeys(METADATA_KEYS - set(_CHANGING)),
        }
    ],
    "mock": [form({}, TRIAL)],
}


def collected(db: MephistoDB, agents: Iterable[AgentView]) -> list[dict[str, Any]]:
    """Return the data of agents without ids and times, after a look at everything that Mephisto has beside it."""
    found = []
    for agent in agents:
        whole: dict[str, Any] = {**DataBrowser(db).get_data_from_unit(db.get_unit(agent.unit_id))}
        assert set(whole) == UNIT_KEYS
        assert set(whole["metadata"]) == METADATA_KEYS
        assert (whole["status"], whole["worker_name"]) == (agent.status, agent.get_worker().worker_name)
        assert whole["task_start"] <= whole["task_end"]
        found.append(without_ids(agent.state.get_data()))
    return found


def in_order(data: Iterable[dict[str, Any]]) -> list[str]:
    """Return data as sorted texts: which worker gets which unit is not settled."""
    return sorted(json.dumps(one, sort_keys=True) for one in data)


def without_ids(data: dict[str, Any]) -> dict[str, Any]:
    """Return data with calls numbered, and without what differs from run to run."""
    named: dict[str, str] = {}
    for request in (data["outputs"] or {}).get("requests", ()):
        if request["args_json"] is not None:
            named[request["uuid"]] = f"call {len(named)}"
    plain: dict[str, Any] = _without_ids(data, named)
    return plain


def _without_ids(value: Any, named: dict[str, str]) -> Any:
    match value:
        case dict():
            return {key: _without_ids(one, named) for key, one in value.items() if key not in _CHANGING}
        case list():
            return [_without_ids(one, named) for one in value]
        case str():
            return named.get(value, value)
        case _:
            return value
