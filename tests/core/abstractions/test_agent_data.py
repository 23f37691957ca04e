"""The shapes in which collected work comes out, those of Mephisto."""

from __future__ import annotations

from typing import Any

import pytest

from mephisto_es.core.abstractions.work.agent_data import PastUpdate, make_metadata, make_outputs, work_kind
from mephisto_es.core.abstractions.work_data import AgentState, FileDetails, WorkKind
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.onboarding import OnboardingStatus

SAID = [
    PastUpdate(False, {"task_data": {"agent_display_name": "Speaker 1"}, "update_id": "a"}, 1.0),
    PastUpdate(True, {"id": "Speaker 1", "text": "hello", "update_id": "b"}, 2.0),
    PastUpdate(False, {"id": "Speaker 2", "text": "hi", "update_id": "c"}, 3.0),
]
CALLS = [
    PastUpdate(True, {"request_id": "r1", "target": "add", "args": "[1]", "update_id": "u1"}, 1.0),
    PastUpdate(False, {"text": "wait", "update_id": "o1"}, 2.0),
    PastUpdate(False, {"handles": "r1", "response": "2", "update_id": "o2"}, 3.0),
    PastUpdate(True, {"text": "no call"}, 4.0),
]
PHOTO = FileDetails(filename="f" * 32, fieldname="photo", originalname="me.png", mimetype="image/png", size=3)


@pytest.mark.parametrize(
    ("blueprint", "kind"),
    [
        ("static_task", WorkKind.FORM),
        ("paired_chat", WorkKind.CHAT),
        ("parlai_chat", WorkKind.CHAT),
        ("remote_procedure", WorkKind.PROCEDURES),
        ("my_own", WorkKind.OTHER),
    ],
)
def test_the_shape_follows_from_the_blueprint(blueprint: str, kind: WorkKind) -> None:
    assert work_kind(blueprint) is kind


def test_a_chat_has_messages_and_the_final_submission() -> None:
    outputs = make_outputs(WorkKind.CHAT, {"rating": 5}, SAID)
    state = AgentState({"topic": "cats"}, outputs, WorkKind.CHAT, make_metadata((), 0.5, 4.0))
    assert [(one.get("text"), one["timestamp"], one["sent_by"]) for one in state.messages] == [
        (None, 1.0, "task"),
        ("hello", 2.0, "worker"),
        ("hi", 3.0, "task"),
    ]
    assert state.final_submission == {"rating": 5}
    assert state.get_data() == {"inputs": {"topic": "cats"}, "outputs": outputs, "metadata": state.get_metadata()}
    parsed = state.get_parsed_data()
    assert (parsed["agent_name"], parsed["initial_data"], parsed["save_data"]) == ("Speaker 1", {"topic": "cats"}, None)
    assert (parsed["messages"], parsed["final_submission"]) == (outputs["messages"], {"rating": 5})


def test_a_world_saves_data_in_its_last_message() -> None:
    saved = [*SAID, PastUpdate(False, {"WORLD_DATA": {"turns": 2}}, 4.0)]
    state = AgentState({}, make_outputs(WorkKind.CHAT, None, saved), WorkKind.CHAT)
    assert state.get_parsed_data()["save_data"] == {"turns": 2}


def test_remote_procedures_have_requests_and_the_final_submission() -> None:
    outputs = make_outputs(WorkKind.PROCEDURES, {"done": True}, CALLS)
    state = AgentState({"text": "x"}, outputs, WorkKind.PROCEDURES, make_metadata((), 0.5, 4.0))
    call, answer = outputs["requests"]
    assert call == {"uuid": "r1", "target": "add", "args_json": "[1]", "response_json": None, "timestamp": 1.0}
    assert answer == {"uuid": "o2", "target": "r1", "args_json": None, "response_json": "2", "timestamp": 3.0}
    assert [one.target for one in state.requests.values()] == ["add", "r1"]
    assert state.init_data == {"text": "x"}
    data = state.get_data()
    assert (data["start_time"], data["end_time"], data["outputs"]["final_submission"]) == (0.5, 4.0, {"done": True})


@pytest.mark.parametrize(
    ("submission", "updates", "outputs", "final"),
    [
        ({"a": 1}, [], {"a": 1}, {"a": 1}),
        ({"a": 1}, SAID[:1], {"messages": 1, "a": 1}, {"a": 1}),
        (None, SAID[:1], {"messages": 1}, {}),
        ([1], SAID[:1], [1], [1]),
        ({"messages": ["own"]}, SAID[:1], {"messages": ["own"]}, {}),
    ],
)
def test_code_of_its_own_adds_messages_to_the_submission(
    submission: object, updates: list[PastUpdate], outputs: Any, final: object
) -> None:
    made = make_outputs(WorkKind.OTHER, submission, updates)
    if isinstance(outputs, dict) and outputs.get("messages") == 1:
        assert len(made["messages"]) == 1
        made = {**made, "messages": 1}
    assert made == outputs
    assert AgentState({}, make_outputs(WorkKind.OTHER, submission, updates), WorkKind.OTHER).final_submission == final


@pytest.mark.parametrize(("submission", "kept"), [({"a": 1}, {"a": 1}), (None, {}), ("text", None)])
def test_files_are_named_in_the_outputs(submission: object, kept: dict[str, object] | None) -> None:
    outputs = make_outputs(WorkKind.FORM, submission, [], [PHOTO])
    if kept is None:
        assert outputs == submission
        return
    details = {"filename": "f" * 32, "originalname": "me.png", "mimetype": "image/png", "size": 3}
    assert outputs == {**kept, "files": ["f" * 32], "filesByFields": {"photo": [details]}}


def test_constants_of_statuses_are_those_that_agents_have() -> None:
    constants = {name: value for name, value in vars(AgentState).items() if name.startswith("STATUS_")}
    assert set(constants.values()) == {status.value for status in (*AgentStatus, OnboardingStatus.ONBOARDING)}
    assert AgentState.STATUS_COMPLETED == "completed"
    assert AgentState.STATUS_PARTNER_DISCONNECT == "partner disconnect"
