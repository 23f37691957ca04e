"""A copy of the decision state in bytes is the state that the log gives."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.core.ports import AppendRequest
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.core.state.state_snapshot import StateSnapshot, restored
from mephisto_es.events.envelope import RecordedEvent

from ...histories import histories, numbered


def fold(state: DecisionState, events: list[RecordedEvent]) -> DecisionState:
    for recorded in events:
        state.apply(recorded.envelope)
    return state


def everything_in(state: DecisionState) -> dict[str, object]:
    """All attributes, whichever there are; maps with their order."""
    found = {name: value for name, value in vars(state).items() if name != "_folds"}
    return found | {f"order of {name}": list(value) for name, value in found.items() if name in ORDERED}


#: Maps whose order says which entity is the oldest.
ORDERED = ("records", "workers", "task_runs", "units", "agents", "onboardings", "engagements", "payments")


@given(histories(), st.floats(0, 1))
def test_a_copy_and_the_rest_of_the_log_give_the_state_of_the_whole_log(
    requests: tuple[AppendRequest, ...], part: float
) -> None:
    events = numbered(requests)
    cut = int(len(events) * part)
    state = fold(DecisionState(), events[:cut])
    copy = StateSnapshot(state)
    whole = everything_in(fold(state, events[cut:]))
    assert everything_in(fold(restored(copy.parts()), events[cut:])) == whole


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b""],
        [b"\xc1"],
        [msgspec.msgpack.encode(["units", {}])],
        [msgspec.msgpack.encode(["walls", {}])],
        [msgspec.msgpack.encode(["units", {"unit/1/1": [1, {"status": "launched"}]}])],
        [msgspec.msgpack.encode(["indexes", []])],
    ],
    ids=range(7),
)
def test_anything_else_is_refused(parts: list[bytes]) -> None:
    with pytest.raises(msgspec.DecodeError):
        restored(parts)
